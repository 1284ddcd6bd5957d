// @ts-check
import { repeat } from "./app.js";
import { filterOf, topicOf } from "./connection-words.js";
import { DataTable } from "./data-table.js";
import { badge, button, card, el, fill, mono, tell } from "./dom.js";
import { count, percent } from "./figures.js";
import { FilterTester } from "./filter-tester.js";
import { RevealSwitch } from "./reveal-switch.js";
/** @import {App} from "./app.js" */

const REFRESH_MS = 5_000;
const ROWS = 50;

/** What is subscribed to, how filters do, and who would get a message. */
export class SubscriptionsScreen {
  #app;
  #facts = el("dl", { class: "facts-list" });
  #types;
  #targets;
  #filters;
  #health = el("span");
  #reveal;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    /** @type {[string, string]} */
    const none = ["No subscriptions", "Clients subscribe once they are connected."];
    this.#types = new DataTable("Subscriptions by type", none, [
      { label: "Type", cell: ([type]) => mono(type), head: true },
      { label: "Subscriptions", cell: ([, number]) => count(number), numeric: true },
    ]);
    this.#targets = new DataTable("Topics with the most subscriptions", none, [
      { label: "Topic", cell: topicOf, head: true },
      { label: "Subscriptions", cell: (one) => count(one.subscriptions), numeric: true },
    ]);
    this.#filters = new DataTable("Filters", none, [
      { label: "Filter", cell: (one) => filterOf(one.filters, "none: every message"), head: true, kind: "wide" },
      { label: "Subscriptions", cell: (one) => count(one.subscriptions), numeric: true },
      { label: "Cost", cell: (one) => one.complexity, numeric: true },
      { label: "Tested", cell: (one) => count(one.tested), numeric: true },
      { label: "Matched", cell: (one) => count(one.matched), numeric: true },
      { label: "Share", cell: (one) => (one.tested > 0 ? percent((one.matched / one.tested) * 100) : "–"), numeric: true },
    ]);
    this.#reveal = new RevealSwitch(app, () => this.#load());
    const check = button("Check and repair", () => this.#check(), { title: "Ends subscriptions that have outlived their connection" });
    this.element = el(
      "div",
      { class: "screen" },
      el("div", { class: "title" }, el("h1", null, "Subscriptions"), el("div", { class: "row" }, this.#health, this.#reveal.element, app.session.canWrite && check)),
      el("section", { class: "card state", "aria-label": "Figures" }, this.#facts),
      new FilterTester(app, this.#reveal).element,
      el("div", { class: "grid two low" }, card("By type", null, this.#types.element), card("Top targets", null, this.#targets.element)),
      card("Filters in use", null, this.#filters.element),
    );
    repeat(app, REFRESH_MS, () => {
      if (!this.#reveal.isOn) this.#load();
    });
  }

  show() {}

  async #load() {
    const { api, left } = this.#app;
    try {
      const [figures, inspected] = await Promise.all([api.get("subscriptions", { limit: ROWS, reveal: this.#reveal.isOn }, left), api.get("inspect", {}, left)]);
      this.#take(figures);
      const { orphaned } = inspected.subscription_health;
      fill(this.#health, orphaned === 0 ? badge("ok", "no orphans") : badge("bad", `${count(orphaned)} orphaned`));
    } catch (error) {
      if (!left.aborted) for (const table of [this.#types, this.#targets, this.#filters]) table.fail(error, () => this.#load());
    }
  }

  async #check() {
    try {
      const { orphaned } = await this.#app.api.post("subscriptions/check");
      this.#app.notices.done(orphaned === 0 ? "Every subscription belongs to an open connection." : `${count(orphaned)} orphaned subscriptions were ended.`);
    } catch (error) {
      this.#app.notices.failed(error);
    }
  }

  /** @param {any} figures */
  #take({ active, expired_total: expired, wildcard_count: wildcards, distinct_filters: distinct, filter_complexity: cost, topics, by_type: types, top_targets: targets, filters }) {
    tell(this.#facts, {
      Active: count(active),
      Topics: count(topics),
      "To a whole type": `${count(wildcards)}${active > 0 ? `, ${percent((wildcards / active) * 100)}` : ""}`,
      "Distinct filters": count(distinct),
      "Mean cost of a filter": String(cost),
      "Expired since the start": count(expired),
    });
    this.#types.show(Object.entries(types));
    this.#targets.show(targets);
    this.#filters.show(filters);
  }
}
