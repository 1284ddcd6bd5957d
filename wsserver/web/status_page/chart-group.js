// @ts-check
import { Chart } from "./chart.js";
import { el } from "./dom.js";
/** @import {App} from "./app.js" */

/** Charts side by side, drawn with every second of the series until the screen is left. */
export class ChartGroup {
  /** @type {Chart[]} */
  charts;

  /** @param {App} app @param {ConstructorParameters<typeof Chart> extends [any, ...infer Rest] ? Rest[] : never} charts as Chart takes them */
  constructor({ series, theme, left }, charts) {
    this.charts = charts.map((chart) => new Chart(series, ...chart));
    this.element = el("div", { class: "grid three stretch" }, this.charts.map(({ element }) => element));
    const each = (/** @type {(chart: Chart) => void} */ act) => () => this.charts.forEach(act);
    series.addEventListener("change", each((chart) => chart.update()), { signal: left });
    theme.addEventListener("change", each((chart) => chart.recolour()), { signal: left });
    left.addEventListener("abort", each((chart) => chart.end()));
    each((chart) => chart.update())();
  }
}
