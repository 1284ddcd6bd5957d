// @ts-check
import { button, el, icon } from "./dom.js";

const SHOWN_MS = 6_000;
const MOST = 4;
const SYMBOLS = { ok: "ok", bad: "alert", info: "info" };

/** Short messages in the corner: what was done, and what was not. Read out politely. */
export class Notices {
  element = el("div", { class: "notices", role: "status", "aria-label": "Notices" });

  /** @param {string} text */
  done(text) {
    this.#add("ok", text, SHOWN_MS);
  }

  /** Stays until it is closed. @param {unknown} error */
  failed(error) {
    this.#add("bad", error instanceof Error ? error.message : String(error));
  }

  /** @param {"ok" | "bad" | "info"} tone @param {string} text @param {number} [milliseconds] */
  #add(tone, text, milliseconds) {
    const close = button("Close", () => notice.remove(), { icon: "close", kind: "bare square small" });
    const notice = el("div", { class: `strip ${tone}` }, icon(SYMBOLS[tone]), el("p", { class: "text" }, text), close);
    this.element.append(notice);
    while (this.element.children.length > MOST) this.element.firstElementChild?.remove();
    if (milliseconds !== undefined) setTimeout(() => notice.remove(), milliseconds);
  }
}
