// @ts-check
import { button, el, fill, say, setIcon } from "./dom.js";
import { clockTime, isKnown, minuteTime } from "./figures.js";
import { empty, failed, loading } from "./placeholder.js";
/** @import {Series} from "./series.js" */

/**
 * @typedef {object} Line
 * @property {string} column of the series
 * @property {string} label
 * @property {"one-tone" | "two-tone" | "three-tone" | "four-tone"} tone a class of that colour
 * @property {boolean} [sparse] unknown while nothing happens: the points that are known are joined
 */
/** @typedef {{value: number, tone: "warn" | "bad"}} Threshold */

const HEIGHT = 168;
/** Seconds. */
const CLOSE = 300;
/** Distances between grid lines where units go by 1024. */
const BINARY = Array.from({ length: 44 }, (_, power) => 2 ** power);
const ROWS = 15;
/** A threshold this many times above everything would only flatten the lines. */
const FAR = 3;

/** Lines over time, with their figures under the cursor, their thresholds, a summary and a twin as a table. */
export class Chart {
  #series;
  #title;
  #lines;
  #base;
  #format;
  /** @type {Threshold[]} */
  #thresholds = [];
  /** @type {uPlot | null} */
  #plot = null;
  #plotted = el("div", { class: "plot" });
  #table = el("div", { class: "scroll", hidden: true, tabindex: 0, role: "region" });
  #summary = el("p", { class: "summary" });
  /** @type {HTMLElement[]} */
  #values = [];
  #toggle;
  #columns;

  /**
   * @param {Series} series
   * @param {string} title
   * @param {(value: number | null | undefined) => string} format
   * @param {Line[]} lines
   * @param {1000 | 1024} [base] of the units
   */
  constructor(series, title, format, lines, base = 1000) {
    this.#series = series;
    this.#title = title;
    this.#format = format;
    this.#lines = lines;
    this.#base = base;
    this.#columns = lines.map(({ column }) => column);
    this.#toggle = button("Table", () => this.#turn(), { icon: "table", kind: "small bare", title: `${title} as a table` });
    this.#toggle.setAttribute("aria-pressed", "false");
    this.#table.setAttribute("aria-label", `${title} as a table`);
    const legend = lines.map(({ label, tone }) => {
      const value = el("b", null, "–");
      this.#values.push(value);
      return el("span", null, el("i", { class: tone }), label, value);
    });
    const heading = el("h2", null, title);
    this.element = el(
      "section",
      { class: "card chart", "aria-label": title },
      el("header", null, heading, this.#toggle),
      el("div", { class: "legend" }, legend),
      this.#plotted,
      this.#table,
      this.#summary,
    );
    this.#plotted.append(loading(`Loading ${title}`));
    new ResizeObserver(() => this.#fit()).observe(this.#plotted);
  }

  /** Horizontal lines from which on a value is worth a warning. @param {Threshold[]} thresholds */
  set thresholds(thresholds) {
    if (JSON.stringify(thresholds) === JSON.stringify(this.#thresholds)) return;
    this.#thresholds = thresholds;
    this.#plot?.setData(/** @type {any} */ (this.#plot.data));
  }

  /** Draw what the series holds now. */
  update() {
    const { times, fault } = this.#series;
    if (fault !== null) return this.#empty(failed(new Error(fault), () => this.#series.load()));
    const data = [times, ...this.#columns.map((name) => this.#series.column(name))];
    if (!data.slice(1).some((column) => column.some(isKnown))) {
      this.#summary.textContent = "";
      return this.#empty(times.length === 0 ? loading() : empty("Nothing measured yet", "", "chart"));
    }
    if (this.#plot === null) this.#begin(/** @type {any} */ (data));
    else this.#plot.setData(/** @type {any} */ (data));
    this.#showValues(null);
    this.#summarize();
    if (!this.#table.hidden) this.#tabulate();
  }

  /** Colours have changed. */
  recolour() {
    this.#plot?.redraw(false, true);
  }

  end() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  /** @param {HTMLElement} instead */
  #empty(instead) {
    this.end();
    this.#plotted.replaceChildren(instead);
  }

  /** @param {uPlot.AlignedData} data */
  #begin(data) {
    fill(this.#plotted);
    const tone = (/** @type {string} */ name) => this.#colour(name);
    const axis = { stroke: () => tone("muted"), ticks: { show: false }, font: "11px system-ui, sans-serif", gap: 6 };
    const grid = { stroke: () => tone("line"), width: 1 };
    this.#plot = new uPlot(
      {
        width: this.#width,
        height: HEIGHT,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: "status" }, drag: { x: false, y: false }, points: { size: 6 }, y: false },
        scales: { y: { range: (_, low, high) => this.#range(low, high) } },
        series: [{}, ...this.#lines.map((line) => ({ stroke: () => tone(line.tone), width: 1.5, spanGaps: line.sparse ?? false, points: { show: false } }))],
        axes: [
          { ...axis, grid: { show: false }, space: 70, values: (plot, splits) => splits.map((at) => this.#time(plot, at * 1000)), size: 26 },
          { ...axis, grid, size: 62, space: 34, ...(this.#base === 1024 ? { incrs: BINARY } : {}), values: (_, splits) => splits.map((value) => this.#format(value)) },
        ],
        hooks: {
          setCursor: [(plot) => this.#showValues(plot.cursor.idx ?? null)],
          draw: [(plot) => this.#drawThresholds(plot)],
        },
      },
      data,
      this.#plotted,
    );
    this.#plot.root.setAttribute("role", "img");
    this.#plot.root.setAttribute("aria-label", `${this.#title}, as lines over time`);
  }

  /** With seconds while minutes would all be the same. @param {uPlot} plot @param {number} at milliseconds */
  #time(plot, at) {
    const { min = 0, max = 0 } = plot.scales.x;
    return max - min < CLOSE ? clockTime(at) : minuteTime(at);
  }

  get #width() {
    return Math.max(120, this.#plotted.clientWidth - 16);
  }

  #fit() {
    if (this.#plot !== null && this.#plotted.clientWidth > 0) this.#plot.setSize({ width: this.#width, height: HEIGHT });
  }

  /** A colour as the style sheets have it at present. @param {string} name */
  #colour(name) {
    return getComputedStyle(probe(name)).color;
  }

  /** From zero, with the thresholds that are near. @param {number} low @param {number} high @returns {[number, number]} */
  #range(low, high) {
    if (!isKnown(high)) return [0, 1];
    const near = this.#thresholds.map(({ value }) => value).filter((value) => value <= high * FAR && high > 0);
    const top = Math.max(high, ...near);
    return [Math.min(0, low), top > 0 ? top * 1.12 : 1];
  }

  /** @param {uPlot} plot */
  #drawThresholds(plot) {
    const { ctx, bbox } = plot;
    for (const { value, tone } of this.#thresholds) {
      const y = Math.round(plot.valToPos(value, "y", true)) + 0.5;
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.save();
      ctx.strokeStyle = this.#colour(tone);
      ctx.setLineDash([4, 4]);
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.restore();
    }
  }

  /** In the legend: the values under the cursor, else the newest. @param {number | null} index */
  #showValues(index) {
    const place = index ?? this.#series.times.length - 1;
    this.#columns.forEach((name, number) => say(this.#values[number], this.#format(this.#series.column(name)[place])));
  }

  #summarize() {
    const words = this.#lines.map(({ column, label }) => {
      const known = this.#series.column(column).filter(isKnown);
      if (known.length === 0) return `${label}: nothing`;
      const [least, most] = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
      return `${this.#lines.length > 1 ? `${label} ` : ""}${this.#format(least)} to ${this.#format(most)}`;
    });
    const limits = this.#thresholds.filter(({ value }) => isKnown(value)).map(({ value, tone }) => `${tone === "warn" ? "warning" : "critical"} from ${this.#format(value)}`);
    say(this.#summary, [...words, ...limits].join(" · "));
  }

  #turn() {
    const asTable = this.#table.hidden;
    this.#table.hidden = !asTable;
    this.#plotted.hidden = asTable;
    this.#toggle.setAttribute("aria-pressed", String(asTable));
    setIcon(this.#toggle, asTable ? "chart" : "table");
    if (asTable) this.#tabulate();
    else this.#fit();
  }

  /** Means over a few stretches of time, newest first. */
  #tabulate() {
    const { times } = this.#series;
    const stretch = Math.max(1, Math.ceil(times.length / ROWS));
    const rows = [];
    for (let end = times.length; end > 0; end -= stretch) {
      const start = Math.max(0, end - stretch);
      const means = this.#columns.map((name) => this.#format(mean(this.#series.column(name).slice(start, end))));
      rows.push(
        el("tr", null, el("th", { scope: "row" }, `${clockTime(times[start] * 1000)} – ${clockTime(times[end - 1] * 1000)}`), means.map((text) => el("td", { class: "numeric" }, text))),
      );
    }
    const head = ["Time", ...this.#lines.map(({ label }) => `${label}, mean`)];
    fill(
      this.#table,
      el(
        "table",
        null,
        el("caption", null, this.#title),
        el("thead", null, el("tr", null, head.map((text, place) => el("th", { scope: "col", class: place ? "numeric" : "" }, text)))),
        el("tbody", null, rows),
      ),
    );
  }
}

/** @param {(number | null)[]} values */
function mean(values) {
  const known = values.filter(isKnown);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** @type {Map<string, HTMLElement>} */
const probes = new Map();

/** An unseen element in a colour, which is the way to what `light-dark()` comes to. @param {string} name */
function probe(name) {
  let element = probes.get(name);
  if (element === undefined) {
    element = el("span", { class: `spoken colour-${name}`, "aria-hidden": "true" });
    probes.set(name, element);
  }
  if (!element.isConnected) document.body.append(element);
  return element;
}
