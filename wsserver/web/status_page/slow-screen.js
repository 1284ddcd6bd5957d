// @ts-check
import { watch } from "./app.js";
import { ChartGroup } from "./chart-group.js";
import { connectionLink } from "./connection-words.js";
import { DataTable } from "./data-table.js";
import { badge, el, say, tell } from "./dom.js";
import { bytes, compact, count, duration } from "./figures.js";
/** @import {App} from "./app.js" */

/** Who does not keep up, what waits for them, and what they have lost. */
export class SlowScreen {
  #table;
  #facts = el("dl", { class: "facts-list" });
  #policy = el("p", null, "\u00a0");
  #count = el("span", { class: "muted" });

  /** @param {App} app */
  constructor(app) {
    const charts = new ChartGroup(app, [
      ["Waiting messages", compact, [{ column: "queued_messages", label: "Queued", tone: "one-tone" }]],
      ["Waiting bytes", bytes, [{ column: "queued_bytes", label: "Queued", tone: "one-tone" }], 1024],
      [
        "Dropped per second",
        compact,
        [
          { column: "dropped_slow", label: "Slow", tone: "four-tone" },
          { column: "dropped_conflated", label: "Conflated", tone: "three-tone" },
          { column: "dropped_expired", label: "Expired", tone: "two-tone" },
        ],
      ],
    ]);
    this.#table = new DataTable("Slow consumers", ["Everybody keeps up", "Connections that read too slowly appear here.", "ok"], [
      { label: "Connection", cell: (one) => connectionLink(one.connection_id), head: true, kind: "tight" },
      { label: "User", cell: (one) => one.user_id },
      { label: "Role", cell: (one) => one.role },
      { label: "What is done", cell: (one) => (one.policy === "closing" ? badge("bad", "about to be closed") : badge("warn", "thinned out")), kind: "tight" },
      { label: "Slow for", cell: (one) => duration(one.slow_for_s), numeric: true },
      { label: "Oldest waits", cell: (one) => duration(one.oldest_age_s), numeric: true },
      { label: "Messages", cell: (one) => count(one.pending_messages), numeric: true },
      { label: "Bytes", cell: (one) => bytes(one.pending_bytes), numeric: true },
      { label: "Lost", cell: (one) => count(one.dropped), numeric: true },
    ]);
    this.element = el(
      "div",
      { class: "screen" },
      el("div", { class: "title" }, el("h1", null, "Slow consumers"), this.#count),
      el("section", { class: "card state", "aria-label": "Queues" }, this.#facts),
      el("section", { class: "card", "aria-label": "List of slow consumers" }, this.#table.element, el("footer", null, this.#policy)),
      charts.element,
    );
    watch(app, "slow", (panel) => this.#take(panel));
  }

  show() {}

  /** @param {any} panel */
  #take(panel) {
    tell(this.#facts, {
      "Slow connections": count(panel.slow_connections),
      "Full sockets now": count(panel.stalled_connections),
      "Waiting messages": count(panel.queued_messages),
      "Waiting bytes": `${bytes(panel.queued_bytes)} of ${bytes(panel.queue_limit_bytes)}`,
      "Closed since the start": count(panel.closed),
      Publishers: panel.publishers_wait ? "are asked to wait" : "are not held up",
    });
    say(this.#count, panel.left_out > 0 ? `${count(panel.consumers.length)} shown, ${count(panel.left_out)} more` : "");
    const text = `Slow is whose oldest message waits over ${duration(panel.slow_after_s)}. It loses data that newer data replaces, and is closed (4005) after ${duration(panel.closed_after_s)}.`;
    say(this.#policy, text);
    this.#table.show(panel.consumers);
  }
}
