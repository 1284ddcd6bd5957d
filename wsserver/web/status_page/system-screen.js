// @ts-check
import { watch } from "./app.js";
import { AuditQuery } from "./audit-query.js";
import { DataTable } from "./data-table.js";
import { card, el, mono, say, tell } from "./dom.js";
import { bytes, count, dateTime, duration } from "./figures.js";
import { Profiler } from "./profiler.js";
import { Switches } from "./switches.js";
/** @import {App} from "./app.js" */

/** What the server is made of and goes by, and the switches that act on all of it. */
export class SystemScreen {
  #app;
  #facts = el("dl", { class: "pairs" });
  #versions = el("dl", { class: "pairs" });
  #settings;
  #all = el("input", { type: "checkbox", onchange: () => this.#list() });
  #find = el("input", { type: "search", placeholder: "Find a setting", "aria-label": "Find a setting", oninput: () => this.#list() });
  #count = el("span");
  /** @type {any[]} */
  #rows = [];

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#settings = new DataTable("Settings in force", ["Every setting is at its default", "", "ok"], [
      { label: "Setting", cell: (one) => mono(one.key), head: true },
      { label: "Value", cell: (one) => el("code", null, one.value), kind: "wrap" },
      { label: "Default", cell: (one) => (one.is_default ? el("span", { class: "muted" }, "the same") : el("code", { class: "muted" }, one.default ?? "not set")), kind: "wrap" },
    ]);
    const body = (/** @type {HTMLElement} */ content) => el("div", { class: "body" }, content);
    this.element = el(
      "div",
      { class: "screen" },
      el("div", { class: "title" }, el("h1", null, "System")),
      el("div", { class: "grid two stretch" }, card("Instance", null, body(this.#facts)), card("Versions", null, body(this.#versions))),
      app.session.canWrite && new Switches(app).element,
      new Profiler(app).element,
      app.session.canWrite && new AuditQuery(app).element,
      card(
        "Settings in force",
        el("span", { class: "muted" }, "Secrets are masked by the server"),
        el("div", { class: "filters" }, el("div", { class: "field" }, this.#find), el("label", { class: "check" }, this.#all, "Show those at their default as well")),
        this.#settings.element,
        el("footer", null, this.#count),
      ),
    );
    watch(app, "overview", (overview) => this.#take(overview));
    this.#load();
  }

  show() {}

  /** @param {any} overview */
  #take({ node, version, core, python, started_at: started, uptime_s: uptime, capacity, viewers, viewers_limit: most }) {
    const full = (/** @type {any} */ { current, limit }, /** @type {(value: number) => string} */ format) => `${format(current)} of ${limit === null ? "no limit" : format(limit)}`;
    tell(this.#facts, {
      Node: node,
      Server: version,
      Core: core,
      Python: python,
      Started: `${dateTime(started)}, ${duration(uptime)} ago`,
      Connections: full(capacity.connections, count),
      Subscriptions: full(capacity.subscriptions, count),
      Memory: full(capacity.memory_bytes, bytes),
      "File descriptors": full(capacity.descriptors, count),
      "Queued bytes": full(capacity.queue_bytes, bytes),
      "Viewers of this page": `${count(viewers)} of ${count(most)}`,
    });
  }

  async #load() {
    try {
      const { settings, versions } = await this.#app.api.get("settings", {}, this.#app.left);
      this.#rows = settings;
      tell(this.#versions, versions);
      this.#list();
    } catch (error) {
      if (!this.#app.left.aborted) this.#settings.fail(error, () => this.#load());
    }
  }

  #list() {
    const wanted = this.#find.value.trim().toLowerCase();
    const rows = this.#rows.filter(({ key, is_default: isDefault }) => (this.#all.checked || wanted !== "" || !isDefault) && key.includes(wanted));
    say(this.#count, `${count(rows.length)} of ${count(this.#rows.length)} settings shown; ${count(this.#rows.filter((row) => !row.is_default).length)} differ from their default`);
    this.#settings.show(rows, wanted ? ["No such setting", "", "search"] : undefined);
  }
}
