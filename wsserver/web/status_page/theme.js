// @ts-check

/** @typedef {"auto" | "light" | "dark"} Theme */

const KEY = "wsserver-status-theme";
/** @type {Record<Theme, Theme>} */
const NEXT = { auto: "light", light: "dark", dark: "auto" };

/** Light or dark, as the system has it or as this person wants it. Event: `change`. */
export class ThemeChoice extends EventTarget {
  /** @type {Theme} */
  theme = "auto";

  constructor() {
    super();
    const kept = localStorage.getItem(KEY);
    if (kept === "light" || kept === "dark") this.#set(kept);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.dispatchEvent(new Event("change")));
  }

  next() {
    this.#set(NEXT[this.theme]);
    if (this.theme === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, this.theme);
  }

  /** @param {Theme} theme */
  #set(theme) {
    this.theme = theme;
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    this.dispatchEvent(new Event("change"));
  }
}
