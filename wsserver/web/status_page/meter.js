// @ts-check
import { el, say } from "./dom.js";
import { isKnown, percent } from "./figures.js";

/** From this share of the limit on it is worth a look, and from that one a worry. */
const FULL = 80;
const NEARLY_OVER = 95;

/** How full something is: now, at most in the last quarter of an hour, and the limit. */
export class Meter {
  #format;
  #now = el("b", null, "–");
  #limit = el("span");
  #share = el("span", { class: "share" });
  #most = el("p", { class: "most" }, "\u00a0");
  #filled = el("i");
  #mark = el("u", { hidden: true });
  #bar;

  /** @param {string} title @param {(value: number | null | undefined) => string} format */
  constructor(title, format) {
    this.#format = format;
    this.#bar = el("div", { class: "meter", role: "meter", "aria-label": title, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 }, this.#filled, this.#mark);
    const reading = el("p", { class: "reading" }, this.#now, this.#limit, this.#share);
    this.element = el("section", { class: "card meter-card" }, el("h2", null, title), reading, this.#bar, this.#most);
  }

  /** @param {{current: number, peak: number, limit: number | null}} capacity @param {string} [remark] */
  show({ current, peak, limit }, remark = "") {
    say(this.#now, this.#format(current));
    say(this.#limit, limit ? `/ ${this.#format(limit)}` : "no limit");
    const share = limit ? (current / limit) * 100 : null;
    say(this.#share, share === null ? "" : percent(share));
    say(this.#most, [`Highest in 15 min ${this.#format(peak)}`, remark].filter(Boolean).join(" · "));
    this.#filled.style.width = `${Math.min(100, share ?? 0)}%`;
    this.#mark.hidden = !limit || !isKnown(peak);
    if (limit) this.#mark.style.left = `${Math.min(99.5, (peak / limit) * 100)}%`;
    this.#bar.className = `meter ${(share ?? 0) >= NEARLY_OVER ? "bad" : (share ?? 0) >= FULL ? "warn" : ""}`;
    this.#bar.setAttribute("aria-valuenow", String(Math.round(share ?? 0)));
    this.#bar.setAttribute("aria-valuetext", `${this.#format(current)}${limit ? ` of ${this.#format(limit)}` : ""}`);
  }
}
