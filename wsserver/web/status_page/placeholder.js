// @ts-check
import { button, el, icon } from "./dom.js";

/** What stands where nothing is (yet). */

/** Grey bars while an answer is awaited. @param {string} [what] */
export function loading(what = "Loading") {
  return el("div", { class: "loading", role: "status" }, el("i"), el("i"), el("i"), el("span", { class: "spoken" }, what));
}

/** Nothing there, and that is fine. @param {string} title @param {string} [text] @param {string} [symbol] */
export function empty(title, text = "", symbol = "none") {
  return el("div", { class: "placeholder" }, icon(symbol), el("b", null, title), text ? el("p", null, text) : null);
}

/** It did not work, and why. @param {unknown} error @param {() => void} [again] */
export function failed(error, again) {
  const text = error instanceof Error ? error.message : String(error);
  return el(
    "div",
    { class: "placeholder", role: "alert" },
    icon("alert"),
    el("b", null, "This could not be loaded"),
    el("p", null, text),
    again ? button("Try again", again, { icon: "again" }) : null,
  );
}
