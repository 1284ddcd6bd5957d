// @ts-check
import { byId, clone, setIcon, showTime, textOf } from "./markup.js";
/** @import {Bed} from "./bed.js" */

const MOST = 40;

const SEVERITIES = {
  info: { word: "Info", icon: "info" },
  warning: { word: "Warning", icon: "alert" },
  critical: { word: "Critical", icon: "alert" },
};

/** The newest alerts of the ward, newest first. */
export class AlertList {
  #list = byId("alerts");

  /** @param {{severity?: any, message?: unknown, timestamp?: unknown}} alert @param {Bed | undefined} bed */
  add({ severity, message, timestamp }, bed) {
    /** @type {keyof typeof SEVERITIES} */
    const known = typeof severity === "string" && Object.hasOwn(SEVERITIES, severity) ? /** @type {any} */ (severity) : "warning";
    const text = textOf(message);
    const time = new Date(typeof timestamp === "string" ? timestamp : NaN);
    const item = clone("alert");
    item.dataset.severity = known;
    setIcon(item.querySelector("use"), SEVERITIES[known].icon);
    item.querySelector(".severity").textContent = SEVERITIES[known].word;
    item.querySelector(".bed-name").textContent = bed?.label ?? "Ward";
    item.querySelector(".text").textContent = text;
    showTime(item.querySelector("time"), Number.isNaN(time.getTime()) ? new Date() : time);
    this.#list.prepend(item);
    while (this.#list.children.length > MOST) this.#list.lastElementChild.remove();
    byId("alerts-empty").hidden = true;
    bed?.alert(text);
  }
}
