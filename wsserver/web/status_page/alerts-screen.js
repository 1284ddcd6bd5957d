// @ts-check
import { alertName, alertStrip, inUnit } from "./alert-strip.js";
import { repeat, watch } from "./app.js";
import { DataTable } from "./data-table.js";
import { badge, card, el, fill, moment, say } from "./dom.js";
import { count, dateTime, duration } from "./figures.js";
/** @import {App} from "./app.js" */

const REFRESH_MS = 10_000;
/** @type {Record<string, "ok" | "warn" | "bad">} */
const LEVELS = { ok: "ok", warning: "warn", critical: "bad" };

/** @param {string} level */
const levelBadge = (level) => badge(LEVELS[level] ?? "calm", level);

/** What is wrong and since when, every value with its thresholds, and what was. */
export class AlertsScreen {
  #app;
  #active = el("ul", { class: "stack", "aria-live": "polite", "aria-label": "Active alerts" });
  #shown = "";
  #values;
  #history;
  #webhook = el("span", null, "\u00a0");

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#values = new DataTable("Watched values", ["Nothing is watched"], [
      { label: "Value", cell: ([name]) => alertName(name), head: true },
      { label: "Level", cell: ([, one]) => levelBadge(one.level), kind: "tight" },
      { label: "Now", cell: ([, one]) => inUnit(one.value, one.unit), numeric: true },
      { label: "Warning from", cell: ([, one]) => inUnit(one.warning, one.unit), numeric: true },
      { label: "Critical from", cell: ([, one]) => inUnit(one.critical, one.unit), numeric: true },
    ]);
    this.#history = new DataTable("Latest changes", ["No alert so far", "Every change is listed here, with how long it lasted.", "ok"], [
      { label: "Time", cell: (one) => moment(one.at, dateTime), kind: "tight" },
      { label: "Alert", cell: (one) => alertName(one.alert), head: true },
      { label: "Level", cell: (one) => levelBadge(one.level), kind: "tight" },
      { label: "Value", cell: (one) => inUnit(one.value, one.unit), numeric: true },
      { label: "Threshold", cell: (one) => inUnit(one.threshold, one.unit), numeric: true },
      { label: "Before it", cell: (one) => (one.lasted_s === undefined ? "–" : `${one.previous} for ${duration(one.lasted_s)}`) },
      { label: "Details", cell: (one) => (one.details === undefined ? "" : el("code", null, JSON.stringify(one.details))), kind: "wide" },
    ]);
    this.element = el(
      "div",
      { class: "screen" },
      el("div", { class: "title" }, el("h1", null, "Alerts")),
      this.#active,
      card("Watched values", null, this.#values.element, el("footer", null, this.#webhook)),
      card("History", null, this.#history.element),
    );
    watch(app, "alerts", (panel) => this.#take(panel));
    repeat(app, REFRESH_MS, () => this.#load());
  }

  show() {}

  async #load() {
    try {
      const { webhook, ...panel } = await this.#app.api.get("alerts", { limit: 50 }, this.#app.left);
      this.#take(panel);
      const { configured, delivered, waiting, retries, dropped } = webhook;
      const told = `Webhook: ${count(delivered)} delivered, ${count(waiting)} waiting, ${count(retries)} retries, ${count(dropped)} dropped`;
      say(this.#webhook, configured ? told : "No webhook is set (alerts.webhook_url): nobody is told by the server itself.");
    } catch (error) {
      if (!this.#app.left.aborted) this.#values.fail(error, () => this.#load());
    }
  }

  /** @param {any} panel */
  #take({ active, current, history }) {
    const shown = JSON.stringify(active.map((/** @type {any} */ one) => [one.alert, one.level, one.acknowledged]));
    if (shown !== this.#shown) {
      this.#shown = shown;
      const calm = el("li", { class: "strip ok" }, badge("ok", "All is well"), el("span", { class: "muted" }, "No alert is raised."));
      fill(this.#active, active.length > 0 ? active.map((/** @type {any} */ one) => alertStrip(this.#app, one)) : calm);
    }
    this.#values.show(Object.entries(current));
    this.#history.show(history);
  }
}
