// @ts-check
import { watch } from "./app.js";
import { EVENTS, connectionLink, eventBadge, topicOf } from "./connection-words.js";
import { DataTable } from "./data-table.js";
import { button, choice, el, field, moment, say, wordInput } from "./dom.js";
import { saveNdjson } from "./download.js";
import { count, dateTime } from "./figures.js";
import { RevealSwitch } from "./reveal-switch.js";
/** @import {App} from "./app.js" */

const KEPT = 500;
const FETCHED = 200;

/** What happened to subscriptions, newest first, as it happens. */
export class EventsScreen {
  #app;
  /** @type {any[]} */
  #events = [];
  #table;
  #total = el("span", { class: "muted" });
  #kind;
  #reveal;
  #connection = wordInput({ placeholder: "c_…", onchange: () => this.#load() });

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#kind = choice({ onchange: () => this.#load() }, { "": "any", ...Object.fromEntries(Object.keys(EVENTS).map((kind) => [kind, kind])) });
    this.#table = new DataTable("Events", ["No events", "What happens to subscriptions is listed here as it happens."], [
      { label: "Time", cell: (one) => moment(one.at, dateTime), kind: "tight" },
      { label: "Event", cell: (one) => eventBadge(one.kind), kind: "tight" },
      { label: "Connection", cell: (one) => connectionLink(one.connection_id), kind: "tight" },
      { label: "Topic", cell: topicOf },
      { label: "Detail", cell: (one) => one.detail ?? "", kind: "wide" },
    ]);
    this.#reveal = new RevealSwitch(app, () => this.#load());
    const save = button("NDJSON", () => this.#export(), { icon: "down", title: "Save these events, one JSON object a line" });
    this.element = el(
      "div",
      { class: "screen" },
      el("div", { class: "title" }, el("h1", null, "Events"), this.#total, el("div", { class: "row" }, this.#reveal.element, save)),
      el(
        "section",
        { class: "card", "aria-label": "Events" },
        el("div", { class: "filters" }, field("Event", this.#kind), field("Connection, whole id", this.#connection)),
        this.#table.element,
        el("footer", null, "Pause (p) holds the list still; the server goes on counting."),
      ),
    );
    watch(app, "events", (panel) => this.#news(panel));
  }

  show() {
    this.#load();
  }

  async #load() {
    try {
      const asked = { limit: FETCHED, kind: this.#kind.value, connection_id: this.#connection.value.trim(), reveal: this.#reveal.isOn };
      const { events, counts } = await this.#app.api.get("events", asked, this.#app.left);
      this.#events = events;
      this.#count(counts);
      this.#table.show(events);
    } catch (error) {
      if (!this.#app.left.aborted) this.#table.fail(error, () => this.#load());
    }
  }

  /** @param {any} panel */
  #news({ events, counts }) {
    this.#count(counts);
    const kind = this.#kind.value;
    const connection = this.#connection.value.trim();
    // The first message brings what the answer has brought already.
    const known = new Set(this.#events.slice(0, FETCHED).map((one) => JSON.stringify(one)));
    const fresh = events.filter(
      (/** @type {any} */ one) => (!kind || one.kind === kind) && (!connection || one.connection_id === connection) && !known.has(JSON.stringify(one)),
    );
    // What comes live is masked, and would stand beside what is not.
    if (fresh.length === 0 || this.#reveal.isOn) return;
    this.#events = [...fresh, ...this.#events].slice(0, KEPT);
    this.#table.show(this.#events);
  }

  /** @param {Record<string, number>} counts */
  #count(counts) {
    say(this.#total, `${count(Object.values(counts).reduce((sum, one) => sum + one, 0))} since the start`);
  }

  #export() {
    saveNdjson("events", this.#events);
    this.#app.notices.done(`${count(this.#events.length)} events saved.`);
  }
}
