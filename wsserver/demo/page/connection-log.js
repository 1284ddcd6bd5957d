// @ts-check
import { byId, clone, setIcon, showTime, textOf } from "./markup.js";
/** @import {DisconnectedEvent, Gap, ReconnectedEvent} from "../ws/client/index.js" */

const MOST = 40;
/** Gaps of one patient for one reason that come so close together are one line. */
const TOGETHER_MS = 1_500;

/** Why messages are missing, by the protocol's words. */
const REASONS = {
  slow: "this page took them too slowly",
  conflated: "newer ones took their place",
  expired: "they had become too old to be sent",
  trimmed: "the server does not keep so many",
  restart: "the server was started anew",
  ahead: "the server has lost its latest ones",
  limit: "there were too many to send them again",
  forbidden: "this page may not see them any more",
};

/** @param {unknown} reason @returns {string} */
function because(reason) {
  return typeof reason === "string" && Object.hasOwn(REASONS, reason)
    ? REASONS[/** @type {keyof typeof REASONS} */ (reason)]
    : textOf(reason);
}

/** @param {number} count @param {string} one */
const plural = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

/** What befell the connection, newest first: losses, returns, and each gap with whose messages are missing and why. */
export class ConnectionLog {
  #list = byId("events");
  /** Of all gaps whose size is known. */
  #missed = 0;
  #isMore = false;
  /** @type {{key: string, at: number, count: number, isMore: boolean, item: any} | null} The last line, if it is a gap. */
  #gap = null;

  /** How many messages are missing, as text; `+` if there may be more. */
  get missed() {
    return `${this.#missed}${this.#isMore ? "+" : ""}`;
  }

  /** @param {DisconnectedEvent} event */
  lost({ code, reason }) {
    this.#add("lost", "Connection lost", "", reason ? `${textOf(reason)} (code ${code})` : `Code ${code}`);
  }

  /** @param {ReconnectedEvent} event */
  back({ downtimeMs, resumed, replayed }) {
    const away = `Back after ${(downtimeMs / 1000).toFixed(1)} s`;
    const session = resumed
      ? `the session was resumed and ${plural(replayed, "missed message")} sent again`
      : "with a new session, as the server did not have the old one";
    this.#add("back", resumed ? "Resumed" : "New session", "", `${away}: ${session}`);
  }

  /** @param {Gap} gap @param {string} who whose messages they were */
  gap({ reason, count }, who) {
    const isMore = count === undefined;
    this.#missed += count ?? 0;
    this.#isMore ||= isMore;
    const key = JSON.stringify([who, reason]);
    const now = performance.now();
    let line = this.#gap;
    if (line === null || line.key !== key || now - line.at > TOGETHER_MS) {
      line = { key, at: now, count: 0, isMore: false, item: this.#add("gap", "Gap", who, "") };
    }
    line.count += count ?? 0;
    line.isMore ||= isMore;
    line.at = now;
    const counted = line.isMore && line.count > 0 ? `At least ${plural(line.count, "message")}` : plural(line.count, "message");
    const missed = line.count > 0 ? `${counted} missed` : "Messages may be missing";
    line.item.querySelector(".text").textContent = `${missed}: ${because(reason)}`;
    this.#gap = line;
  }

  /** @param {"lost" | "back" | "gap"} kind @param {string} word @param {string} who @param {string} text */
  #add(kind, word, who, text) {
    const item = clone("event");
    item.dataset.kind = kind;
    setIcon(item.querySelector("use"), { lost: "closed", back: "live", gap: "gap" }[kind]);
    item.querySelector(".word").textContent = word;
    item.querySelector(".bed-name").textContent = who;
    item.querySelector(".text").textContent = text;
    showTime(item.querySelector("time"), new Date());
    this.#gap = null;
    this.#list.prepend(item);
    while (this.#list.children.length > MOST) this.#list.lastElementChild.remove();
    byId("events-empty").hidden = true;
    return item;
  }
}
