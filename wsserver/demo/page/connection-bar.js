// @ts-check
import { byId, clone, setIcon, textOf } from "./markup.js";
/** @import {ConnectedEvent, DisconnectedEvent, Metrics, State} from "../ws/client/index.js" */

/** @type {Record<State, {word: string, icon: string}>} */
const STATES = {
  idle: { word: "Connecting", icon: "connecting" },
  connecting: { word: "Connecting", icon: "connecting" },
  connected: { word: "Live", icon: "live" },
  reconnecting: { word: "Reconnecting", icon: "waiting" },
  offline: { word: "No network", icon: "offline" },
  suspended: { word: "Asleep", icon: "pause" },
  failed: { word: "Given up", icon: "closed" },
  closed: { word: "Closed", icon: "closed" },
};

/** @type {Record<number, string>} What the server means by closing for good. */
const ENDINGS = {
  4501: "The server does not accept this page's sign-in.",
  4511: "The right to watch was taken away.",
  4522: "This session goes on in another window.",
  4523: "An operator has ended this connection.",
};

const CODECS = { "wsserver.v1.bin": "Binary", "wsserver.v1.json": "JSON" };

/** How the connection is: in words, with an icon and a colour, in figures, and loudly when it has ended. */
export class ConnectionBar {
  #pill = byId("link");
  #word = byId("link-word");
  #detail = byId("link-detail");
  #notice = byId("notice");
  #retryAt = 0;
  #received = 0;
  #bytes = 0;
  #countedAt = performance.now();

  /** @param {State} state */
  state(state) {
    this.#pill.dataset.state = state;
    this.#word.textContent = STATES[state].word;
    setIcon(byId("link-icon"), STATES[state].icon);
    this.#retryAt = 0;
    this.#detail.textContent = "";
    if (state === "connected") this.#notice.textContent = "";
    else byId("round-trip").textContent = "–";
    if (state !== "closed" && state !== "failed") byId("ended").replaceChildren();
  }

  /** @param {ConnectedEvent} event */
  connected({ resumed, protocol }) {
    byId("session").textContent = resumed ? "Resumed" : "New";
    byId("codec").textContent = Object.hasOwn(CODECS, protocol)
      ? CODECS[/** @type {keyof typeof CODECS} */ (protocol)]
      : textOf(protocol);
  }

  /** @param {number} delay milliseconds until the next attempt */
  retry(delay) {
    this.#retryAt = performance.now() + delay;
    this.#countDown();
  }

  /** Nothing will come any more by itself. @param {DisconnectedEvent} event @param {() => void} again */
  ended({ code, reason }, again) {
    const shown = clone("ended-content");
    const said = reason ? ` The server said: ${textOf(reason)}` : "";
    shown.querySelector(".text").textContent =
      `${ENDINGS[code] ?? "The server has ended this connection for good."} Nothing new is shown (code ${code}).${said}`;
    shown.querySelector("button").addEventListener("click", again);
    byId("ended").replaceChildren(shown);
    this.#detail.textContent = `code ${code}`;
  }

  /** Something a person should know. @param {string} text */
  notice(text) {
    this.#notice.textContent = text;
  }

  /** @param {number} milliseconds */
  roundTrip(milliseconds) {
    byId("round-trip").textContent = `${milliseconds.toFixed(1)} ms`;
  }

  /** @param {string} count */
  missed(count) {
    byId("missed").textContent = count;
  }

  /** Once a second. @param {Metrics} metrics */
  tick({ received, bytesReceived }) {
    const now = performance.now();
    const seconds = (now - this.#countedAt) / 1000;
    byId("message-rate").textContent = `${Math.round((received - this.#received) / seconds)} /s`;
    byId("byte-rate").textContent = `${((bytesReceived - this.#bytes) / seconds / 1000).toFixed(1)} kB/s`;
    this.#received = received;
    this.#bytes = bytesReceived;
    this.#countedAt = now;
    this.#countDown();
  }

  #countDown() {
    if (this.#retryAt === 0) return;
    this.#detail.textContent = `in ${Math.max(1, Math.ceil((this.#retryAt - performance.now()) / 1000))} s`;
  }
}
