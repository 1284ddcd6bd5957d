// @ts-check
import { badge, brand, button, el, fill, icon, say, setIcon } from "./dom.js";
import { duration } from "./figures.js";
/** @import {LiveFeed} from "./live-feed.js" */

/** What the server does, in a word. @type {Record<string, {tone: "ok" | "warn" | "bad" | "info", word: string, icon: string}>} */
export const STATES = {
  accepting: { tone: "ok", word: "Accepting", icon: "ok" },
  draining: { tone: "info", word: "Draining", icon: "drain" },
  overloaded: { tone: "bad", word: "Overloaded", icon: "critical" },
  refusing: { tone: "warn", word: "Refusing", icon: "alert" },
  store_lost: { tone: "bad", word: "Store lost", icon: "critical" },
};

/** @param {string} state */
export const stateOf = (state) => (Object.hasOwn(STATES, state) ? STATES[state] : { tone: /** @type {const} */ ("warn"), word: state, icon: "alert" });

/**
 * @typedef {object} Head
 * @property {LiveFeed} feed
 * @property {{name: string, role: string}} who
 * @property {{screen: string, title: string, href: string}[]} tabs
 * @property {{theme: () => void, help: () => void, signOut: () => void}} act
 */

/** The top of every screen: state, tabs, pause, who is signed in, and whether the figures are fresh. */
export class Masthead {
  #feed;
  #state = el("span", null, badge("calm", "Connecting", "wait"));
  #shown = "";
  #facts = el("p", { class: "facts" });
  #pause;
  #banner = el("div", { class: "strip warn", hidden: true });
  #bannerText = el("span", { role: "status" });
  /** Counts, so it is not read out. */
  #bannerDetail = el("span");
  /** @type {Map<string, {link: HTMLAnchorElement, number: HTMLElement}>} */
  #tabs = new Map();

  /** @param {Head} head */
  constructor({ feed, who, tabs, act }) {
    this.#feed = feed;
    this.#pause = button("Pause", () => (feed.paused = !feed.paused), { icon: "pause", title: "Pause updates (p)" });
    this.#pause.setAttribute("aria-pressed", "false");
    const links = tabs.map(({ screen, title, href }) => {
      const number = el("span", { class: "number", hidden: true });
      const link = el("a", { class: "tab", href }, title, number);
      this.#tabs.set(screen, { link, number });
      return el("li", null, link);
    });
    const tools = el(
      "div",
      { class: "tools" },
      this.#pause,
      button("Light or dark", act.theme, { icon: "theme", kind: "bare square", title: "Light, dark or as the system (d)" }),
      button("Keyboard shortcuts", act.help, { icon: "help", kind: "bare square", title: "Keyboard shortcuts (?)" }),
      el("div", { class: "who" }, el("b", { title: `Signed in as ${who.name}` }, who.name), badge("calm", who.role)),
      button("Sign out", act.signOut, { icon: "out", kind: "bare square", title: "Sign out" }),
    );
    const again = button("Try now", () => feed.retry(), { icon: "again", kind: "small" });
    fill(this.#banner, icon("alert"), el("p", { class: "text" }, this.#bannerText, " ", this.#bannerDetail), again);
    this.element = el(
      "header",
      { class: "head" },
      el("div", { class: "masthead" }, brand(), this.#state, this.#facts, tools),
      el("nav", { "aria-label": "Screens" }, el("ul", { class: "tabs" }, links)),
      this.#banner,
    );
    feed.addEventListener("state", () => this.freshness());
    feed.addEventListener("paused", () => this.freshness());
  }

  /** @param {string} screen */
  select(screen) {
    for (const [name, { link }] of this.#tabs) {
      if (name === screen) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.#tabs.get(screen)?.link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** @param {any} overview */
  show({ state, node, version, core, uptime_s: uptime, slow_connections: slow, alerts }) {
    if (state !== this.#shown) {
      const { tone, word, icon: symbol } = stateOf(state);
      fill(this.#state, badge(tone, word, symbol));
      this.#shown = state;
    }
    if (this.#facts.childElementCount === 0) fill(this.#facts, el("span", null, el("b", null, node)), el("span"), el("span", null, `v${version}`), el("span", null, core));
    say(this.#facts.children[1], `up ${duration(uptime)}`);
    this.#number("slow", slow, "warn");
    const open = alerts.filter((/** @type {any} */ one) => one.acknowledged === null);
    this.#number("alerts", open.length, open.some((/** @type {any} */ one) => one.level === "critical") ? "bad" : "warn");
  }

  /** @param {string} screen @param {number} number @param {"warn" | "bad"} tone */
  #number(screen, number, tone) {
    const place = this.#tabs.get(screen)?.number;
    if (place === undefined) return;
    place.hidden = number === 0;
    place.className = `number badge ${tone}`;
    say(place, number);
  }

  /** Whether what is shown is as it is now. */
  freshness() {
    const { state, paused, retryIn, silentFor } = this.#feed;
    this.#pause.setAttribute("aria-pressed", String(paused));
    setIcon(this.#pause, paused ? "play" : "pause");
    say(this.#pause.children[1], paused ? "Resume" : "Pause");
    document.body.dataset.feed = paused ? "paused" : state;
    // What was true then may not be now: nothing green while nobody knows.
    if (state === "stale" || state === "lost") {
      fill(this.#state, badge("warn", "Unknown", "alert"));
      this.#shown = "";
    }
    this.#banner.hidden = paused ? false : state === "live" || (state === "connecting" && silentFor < 3);
    const texts = { connecting: "Connecting to the live figures.", live: "", stale: "No news from the server.", lost: "The live connection is lost." };
    say(this.#bannerText, paused ? "Updates are paused: what you see is standing still." : texts[state]);
    const next = state === "lost" && retryIn !== null ? `Next attempt in ${retryIn} s.` : "";
    const age = silentFor >= 2 ? `The figures are ${duration(silentFor)} old.` : "";
    say(this.#bannerDetail, paused ? "" : `${age} ${next}`);
    const again = /** @type {HTMLElement} */ (this.#banner.lastElementChild);
    again.hidden = paused || state !== "lost";
  }
}
