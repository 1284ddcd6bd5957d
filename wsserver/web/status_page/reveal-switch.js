// @ts-check
import { el } from "./dom.js";
/** @import {App} from "./app.js" */

/**
 * Whether users and patients are shown by their whole ids. Each request for them stands in the audit, so a screen asks
 * once when it is switched on, and does not refresh itself meanwhile.
 */
export class RevealSwitch {
  #box = el("input", { type: "checkbox" });
  /** @type {HTMLElement | null} Null for who may not. */
  element = null;

  /** @param {App} app @param {() => void} changed */
  constructor({ session }, changed) {
    this.#box.addEventListener("change", changed);
    if (session.canWrite) this.element = el("label", { class: "check", title: "Whole ids of users and patients; the audit notes it" }, this.#box, "Show ids");
  }

  get isOn() {
    return this.#box.checked;
  }
}
