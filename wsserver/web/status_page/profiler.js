// @ts-check
import { DataTable } from "./data-table.js";
import { button, card, choice, el, fill, mono, tell } from "./dom.js";
import { count, milliseconds } from "./figures.js";
import { failed, loading } from "./placeholder.js";
/** @import {App} from "./app.js" */

/** Where the server's time goes, for some seconds on demand. */
export class Profiler {
  #app;
  #seconds = choice({ "aria-label": "Seconds" }, { 2: "2 s", 5: "5 s", 10: "10 s" });
  #go = button("Profile", () => this.#run(), { icon: "chart" });
  #result = el("div", { "aria-live": "polite" });

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    const remark = el("span", { class: "muted" }, "Python takes up to twice as long meanwhile");
    this.element = card("Profile", el("div", { class: "row" }, remark, this.#seconds, this.#go), this.#result);
  }

  async #run() {
    this.#go.disabled = true;
    fill(this.#result, loading("Looking at the event loop"));
    try {
      this.#show(await this.#app.api.get("profile", { seconds: this.#seconds.value }, this.#app.left));
    } catch (error) {
      if (!this.#app.left.aborted) fill(this.#result, failed(error));
    }
    this.#go.disabled = false;
  }

  /** @param {any} profile */
  #show({ seconds, cpu_seconds: cpu, worst_lag_ms: lag, by_own_time: functions, core }) {
    const table = new DataTable("Functions by their own time", ["Nothing ran"], [
      { label: "Function", cell: (/** @type {any} */ one) => mono(one.function), head: true },
      { label: "Calls", cell: (/** @type {any} */ one) => count(one.calls), numeric: true },
      { label: "Own time", cell: (/** @type {any} */ one) => milliseconds(one.own_ms), numeric: true },
      { label: "With callees", cell: (/** @type {any} */ one) => milliseconds(one.total_ms), numeric: true },
    ]);
    table.show(functions);
    const counters = el("dl", { class: "facts-list" });
    tell(counters, Object.fromEntries(Object.entries(core.counters).map(([name, value]) => [name.replaceAll("_", " "), count(/** @type {number} */ (value))])));
    const summary = el("p", { class: "muted" }, `${seconds.toFixed(1)} s looked at; ${milliseconds(cpu * 1000)} of processor time; loop late by ${milliseconds(lag)} at worst`);
    fill(this.#result, table.element, el("div", { class: "verdict stack" }, summary, counters));
  }
}
