// @ts-check
import { isOpen, show } from "./dialogs.js";
import { el } from "./dom.js";

/** @typedef {{keys: string, what: string, act: () => void}} Shortcut */

/** How long a first key waits for the second. */
const PAIR_MS = 1_200;

/** Keys that work everywhere on the page but in fields and dialogs. */
export class Shortcuts {
  /** @type {Shortcut[]} */
  #all = [];
  #first = "";
  #firstAt = 0;

  constructor() {
    addEventListener("keydown", (event) => this.#press(event));
  }

  /** @param {Shortcut[]} shortcuts one key, or two after each other with a space between */
  set(shortcuts) {
    this.#all = shortcuts;
  }

  /** The list of them. */
  help() {
    const rows = this.#all.map(({ keys, what }) => [
      el("dt", null, keys.split(" ").map((key) => [el("kbd", null, key), " "]).flat()),
      el("dd", null, what),
    ]);
    show("Keyboard shortcuts", el("dl", { class: "keys" }, rows.flat()));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || isOpen()) return;
    if (target instanceof Element && target.closest("input, select, textarea")) return;
    const pair = event.timeStamp - this.#firstAt < PAIR_MS ? `${this.#first} ${key}` : "";
    const found = this.#all.find(({ keys }) => keys === pair) ?? this.#all.find(({ keys }) => keys === key);
    [this.#first, this.#firstAt] = found ? ["", 0] : [key, event.timeStamp];
    if (found === undefined) return;
    event.preventDefault();
    found.act();
  }
}
