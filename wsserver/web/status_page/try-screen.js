// @ts-check
import { address, socketAddress } from "./api.js";
import { WebSocketReconnectService } from "./client/index.js";
import { badge, button, card, el, field, fill, form, icon, mono, tell, wordInput } from "./dom.js";
import { bytes, clockTime, count, milliseconds } from "./figures.js";
import { empty } from "./placeholder.js";
/** @import {App} from "./app.js" */

const LINES = 100;
const SHOWN_CHARACTERS = 400;
const TONES = /** @type {const} */ ({ connected: "ok", connecting: "info", reconnecting: "warn", failed: "bad", offline: "warn" });

/** A client of this server in this page: the real JavaScript client, and what it is told. */
export class TryScreen {
  #app;
  /** @type {WebSocketReconnectService | null} */
  #service = null;
  #token = wordInput({ placeholder: "wsserver token --user … --role … -q" });
  #topics = wordInput({ placeholder: "patient:123, type:vitals" });
  #state = el("span", null, badge("calm", "not connected"));
  #connect = el("button", { type: "submit", class: "button main" }, "Connect");
  #figures = el("dl", { class: "facts-list" });
  #fault = el("p", { class: "fault", role: "alert" });
  #log = el("ol", { class: "log", tabindex: 0, role: "region", "aria-label": "Messages" });
  #place = el("div", null, empty("Nothing received yet", "Connect to see messages as a client gets them."));
  #demo = el("div");

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.element = el(
      "div",
      { class: "screen" },
      el("div", { class: "title" }, el("h1", null, "Try it"), this.#state),
      this.#demo,
      card(
        "Connect as a client",
        el("span", { class: "muted" }, "With the JavaScript client that this server gives out"),
        form(
          () => this.#start(),
          "body stack",
          el("div", { class: "grid two" }, field("Token of a client", this.#token, "It stays in this page"), field("Topics, with commas between them", this.#topics)),
          el("div", { class: "row" }, this.#connect, button("Disconnect", () => this.#end(), {})),
          this.#fault,
        ),
        el("footer", null, this.#figures),
      ),
      card("Received", button("Clear", () => this.#clear(), { kind: "small" }), this.#place),
    );
    app.left.addEventListener("abort", () => this.#end());
    const timer = setInterval(() => this.#measure(), 1_000);
    app.left.addEventListener("abort", () => clearInterval(timer));
    this.#measure();
    this.#look();
  }

  show() {}

  /** Whether this server has a demonstration whose token can be had here. */
  async #look() {
    try {
      const { demo } = await this.#app.api.get("settings", {}, this.#app.left);
      if (demo) {
        const use = button("Take a demo token", () => this.#takeToken(), { icon: "play" });
        const page = el("a", { class: "button", href: address("../demo").href }, "Open the demo ward");
        fill(this.#demo, el("div", { class: "strip" }, icon("info"), el("p", { class: "text" }, "This server runs the demonstration: simulated patients stream here."), el("div", { class: "row" }, use, page)));
      } else {
        const text = "No token is given out here: this server runs without --demo. Make one with wsserver token, for a user who may see what you want to follow.";
        fill(this.#demo, el("div", { class: "strip" }, icon("info"), el("p", { class: "text" }, text)));
      }
    } catch (error) {
      if (!this.#app.left.aborted) this.#app.notices.failed(error);
    }
  }

  async #takeToken() {
    try {
      const response = await fetch(address("../demo/config.json"), { cache: "no-store", signal: this.#app.left });
      const { token, patients } = await response.json();
      this.#token.value = token;
      this.#topics.value = `patient:${patients[0].id}`;
      this.#connect.focus();
    } catch (error) {
      if (!this.#app.left.aborted) this.#app.notices.failed(error);
    }
  }

  async #start() {
    this.#end();
    this.#fault.textContent = "";
    const token = this.#token.value.trim();
    if (token === "") {
      this.#fault.textContent = "A token is needed.";
      return;
    }
    const subscriptions = this.#topics.value.split(",").map((topic) => topic.trim()).filter(Boolean);
    const service = new WebSocketReconnectService({ getToken: () => token });
    this.#service = service;
    service.on("state", ({ state }) => fill(this.#state, badge(TONES[/** @type {keyof typeof TONES} */ (state)] ?? "calm", state)));
    service.on("message", ({ data, topic, seq }) => this.#line(topic, `#${seq}`, data));
    service.on("gap", (gap) => this.#line("gap", gap.reason, gap));
    service.on("error", (error) => (this.#fault.textContent = error.message));
    try {
      await service.connect(socketAddress("connect"), { userId: subjectOf(token), subscriptions });
    } catch (/** @type {any} */ error) {
      this.#fault.textContent = error.message;
    }
  }

  #end() {
    this.#service?.disconnect();
    this.#service = null;
  }

  #clear() {
    fill(this.#log);
    fill(this.#place, empty("Nothing received yet"));
  }

  /** @param {string} topic @param {string} what @param {unknown} data */
  #line(topic, what, data) {
    if (this.#app.feed.paused) return;
    const text = JSON.stringify(data) ?? "";
    const now = new Date();
    const cut = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
    this.#log.prepend(el("li", null, el("time", { datetime: now.toISOString() }, clockTime(now)), mono(`${topic} ${what}`), el("pre", null, cut)));
    while (this.#log.children.length > LINES) this.#log.lastElementChild?.remove();
    if (this.#place.firstElementChild !== this.#log) fill(this.#place, this.#log);
  }

  #measure() {
    const { received = 0, bytesReceived = 0, lastRttMs = null, reconnects = 0 } = /** @type {any} */ (this.#service?.getMetrics() ?? {});
    tell(this.#figures, { Messages: count(received), Received: bytes(bytesReceived), "Round trip": milliseconds(lastRttMs), Reconnects: count(reconnects) });
  }
}

/** Whose token it is, which a client says when it connects. @param {string} token */
function subjectOf(token) {
  try {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return String(JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(claims), (one) => one.charCodeAt(0)))).sub);
  } catch {
    return "unknown";
  }
}
