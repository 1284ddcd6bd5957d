// @ts-check
import { alertName, alertStrip } from "./alert-strip.js";
import { watch } from "./app.js";
import { ChartGroup } from "./chart-group.js";
import { closeWords, topicOf } from "./connection-words.js";
import { DataTable } from "./data-table.js";
import { button, card, el, fill, icon, mono, say, setIcon, tell } from "./dom.js";
import { bytes, bytesPerSecond, compact, count, duration, milliseconds, perSecond, plural } from "./figures.js";
import { stateOf } from "./masthead.js";
import { Meter } from "./meter.js";
import { Router } from "./router.js";
/** @import {App} from "./app.js" */

/** @type {Record<string, string>} */
const SENTENCES = {
  accepting: "Accepting connections",
  draining: "Draining: clients are sent to other instances",
  overloaded: "Overloaded: the server defends itself",
  refusing: "Refusing new connections",
  store_lost: "Durable messages cannot be stored",
};

/** Whether all is well, at a glance and over time. */
export class OverviewScreen {
  #app;
  #sign = el("span", { class: "sign" }, icon("wait"));
  #state;
  #sentence = el("h1", null, "Connecting");
  #reason = el("p", null, "Waiting for the first figures");
  #facts = el("dl", { class: "facts-list" });
  #alerts = el("ul", { class: "stack", "aria-live": "polite", "aria-label": "Active alerts" });
  #shownAlerts = "";
  #meters = {
    connections: new Meter("Connections", count),
    subscriptions: new Meter("Subscriptions", count),
    memory_bytes: new Meter("Memory", bytes),
    descriptors: new Meter("File descriptors", count),
  };
  #charts;
  #disconnects;
  #targets;
  #over = el("span", { class: "muted" });

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#charts = new ChartGroup(app, [
      [
        "Connections",
        compact,
        [
          { column: "connections", label: "Open", tone: "one-tone" },
          { column: "slow_connections", label: "Slow", tone: "four-tone" },
        ],
      ],
      [
        "Messages per second",
        compact,
        [
          { column: "messages_in", label: "In", tone: "two-tone" },
          { column: "messages_out", label: "Out", tone: "one-tone" },
        ],
      ],
      [
        "Bytes per second",
        bytesPerSecond,
        [
          { column: "bytes_in", label: "In", tone: "two-tone" },
          { column: "bytes_out", label: "Out", tone: "one-tone" },
        ],
        1024,
      ],
      [
        "Broadcast and ping latency",
        milliseconds,
        [
          { column: "write_p50_ms", label: "p50", tone: "two-tone", sparse: true },
          { column: "write_p95_ms", label: "p95", tone: "three-tone", sparse: true },
          { column: "write_p99_ms", label: "p99", tone: "four-tone", sparse: true },
          { column: "rtt_ms", label: "Ping", tone: "one-tone", sparse: true },
        ],
      ],
      ["Event loop lag", milliseconds, [{ column: "loop_lag_ms", label: "Worst", tone: "three-tone" }]],
      ["Memory", bytes, [{ column: "rss_bytes", label: "Resident", tone: "one-tone" }], 1024],
    ]);
    this.#disconnects = new DataTable("Connections that ended, by close code", ["Nobody has left", "Connections that end are counted here by their close code."], [
      { label: "Code", cell: ([code]) => mono(code), head: true, kind: "tight" },
      { label: "Meaning", cell: ([code]) => closeWords(code), kind: "wrap" },
      { label: "Connections", cell: ([, number]) => count(number), numeric: true },
    ]);
    this.#targets = new DataTable("Topics with the most subscriptions", ["No subscriptions", "Topics appear here when clients subscribe."], [
      { label: "Topic", cell: topicOf, head: true },
      { label: "Subscriptions", cell: (one) => count(one.subscriptions), numeric: true },
    ]);
    this.#state = el("section", { class: "card state", "aria-label": "State" }, el("div", { class: "what" }, this.#sign, el("div", null, this.#sentence, this.#reason)), this.#facts);
    this.element = el(
      "div",
      { class: "screen" },
      this.#state,
      this.#alerts,
      el("div", { class: "grid four" }, Object.values(this.#meters).map(({ element }) => element)),
      el("div", { class: "title" }, el("h2", null, "Over time"), this.#windows()),
      this.#charts.element,
      el(
        "div",
        { class: "grid two stretch" },
        card("Disconnects by code", this.#over, this.#disconnects.element),
        card("Top targets", el("a", { href: Router.href("subscriptions") }, "All subscriptions"), this.#targets.element),
      ),
    );
    watch(app, "overview", (overview) => this.#take(overview));
    this.#askThresholds();
  }

  show() {}

  #windows() {
    const { series } = this.#app;
    const choices = /** @type {const} */ ([["15m", "15 min"], ["6h", "6 hours"]]).map(([window, text]) => {
      const choice = button(text, () => {
        series.load(window);
        for (const [other, element] of choices) element.setAttribute("aria-pressed", String(other === window));
      }, { kind: "small" });
      choice.setAttribute("aria-pressed", String(series.window === window));
      return /** @type {const} */ ([window, choice]);
    });
    return el("div", { class: "row segments", role: "group", "aria-label": "Time shown" }, choices.map(([, element]) => element));
  }

  /** The lines in the charts from which on something is an alert. */
  async #askThresholds() {
    try {
      const { current } = await this.#app.api.get("alerts", { limit: 1 }, this.#app.left);
      const lines = (/** @type {string} */ name) => {
        const { warning, critical } = current[name] ?? {};
        return [{ value: warning, tone: /** @type {const} */ ("warn") }, { value: critical, tone: /** @type {const} */ ("bad") }].filter(({ value }) => typeof value === "number");
      };
      const { charts } = this.#charts;
      charts[0].thresholds = lines("connection_count");
      charts[3].thresholds = lines("latency");
      charts[4].thresholds = lines("loop_lag");
    } catch {
      // The charts are of use without them.
    }
  }

  /** @param {any} overview */
  #take(overview) {
    this.#showState(overview);
    this.#showAlerts(overview.alerts);
    for (const [name, meter] of Object.entries(this.#meters)) meter.show(overview.capacity[name]);
    const ended = Object.entries(overview.disconnects).sort(([, a], [, b]) => /** @type {number} */ (b) - /** @type {number} */ (a));
    say(this.#over, `Last ${duration(overview.disconnects_over_s)}`);
    this.#disconnects.show(/** @type {any} */ (ended));
    this.#targets.show(overview.top_targets);
  }

  /** @param {any} overview */
  #showState({ state, reasons, since, viewers, viewers_limit: most, capacity, point, slow_connections: slow, alerts }) {
    const { tone, icon: symbol } = stateOf(state);
    const critical = alerts.some((/** @type {any} */ one) => one.level === "critical");
    const troubled = state === "accepting" && alerts.length > 0;
    this.#state.className = `card state ${troubled ? (critical ? "bad" : "warn") : tone === "info" ? "warn" : tone}`;
    setIcon(this.#sign, troubled ? "alert" : symbol);
    say(this.#sentence, troubled ? `${SENTENCES.accepting}, with ${plural(alerts.length, "alert")}` : (SENTENCES[state] ?? state));
    const calm = `${plural(capacity.connections.current, "client")} connected, no alerts`;
    const named = alerts.map((/** @type {any} */ one) => alertName(one.alert)).join(", ");
    say(this.#reason, reasons.length > 0 ? reasons.join(", ") : troubled ? named : calm);
    tell(this.#facts, {
      Published: perSecond(point.published),
      "Waiting to be sent": bytes(capacity.queue_bytes.current),
      "Slow clients": count(slow),
      "Round trip": milliseconds(point.rtt_ms),
      "State since": duration((Date.now() - Date.parse(since)) / 1000),
      Viewers: `${viewers} of ${most}`,
    });
  }

  /** @param {any[]} alerts */
  #showAlerts(alerts) {
    // Drawn anew only when there is something to say: the value changes each second.
    const shown = JSON.stringify(alerts.map(({ alert, level, acknowledged }) => [alert, level, acknowledged]));
    if (shown === this.#shownAlerts) return;
    this.#shownAlerts = shown;
    fill(this.#alerts, alerts.map((alert) => alertStrip(this.#app, alert)));
  }
}
