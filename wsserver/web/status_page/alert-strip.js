// @ts-check
import { button, el, icon } from "./dom.js";
import { clockTime, count, duration, milliseconds, percent } from "./figures.js";
/** @import {App} from "./app.js" */

/**
 * @typedef {object} ActiveAlert
 * @property {string} alert
 * @property {"warning" | "critical"} level
 * @property {string} since
 * @property {number | null} value
 * @property {number | null} peak
 * @property {string} unit
 * @property {{by: string, at: string} | null} acknowledged
 */

/** What is watched, for people. @type {Record<string, string>} */
const NAMES = {
  connection_count: "Connections",
  error_rate: "Error rate",
  latency: "Round trip of pings",
  memory_usage: "Memory in use",
  loop_lag: "Event loop lag",
  descriptors: "File descriptors",
  slow_connections: "Slow connections",
  store: "Durable store",
  SYSTEM_OVERLOAD: "Overload",
};

/** @param {string} name */
export const alertName = (name) => (Object.hasOwn(NAMES, name) ? NAMES[name] : name);

/** @param {unknown} value @param {string} unit */
export function inUnit(value, unit) {
  if (typeof value !== "number") return "–";
  if (unit === "ms") return milliseconds(value);
  if (unit === "percent") return percent(value);
  return unit === "active" ? (value ? "active" : "not active") : count(value);
}

/** One raised alert, with the button that says somebody has seen it. @param {App} app @param {ActiveAlert} alert */
export function alertStrip(app, { alert, level, since, value, peak, unit, acknowledged }) {
  const tone = level === "critical" ? "bad" : "warn";
  const figures = unit === "active" ? "" : `: ${inUnit(value, unit)}${peak !== null && peak !== value ? ` (highest ${inUnit(peak, unit)})` : ""}`;
  const age = duration((Date.now() - Date.parse(since)) / 1000);

  async function acknowledge() {
    try {
      await app.api.post(`alerts/${encodeURIComponent(alert)}/acknowledge`);
      app.notices.done(`${alertName(alert)}: acknowledged.`);
    } catch (error) {
      app.notices.failed(error);
    }
  }

  const seen = acknowledged === null ? null : el("span", { class: "muted", title: acknowledged.at }, `acknowledged by ${acknowledged.by}`);
  return el(
    "li",
    { class: `strip ${tone}` },
    icon(level === "critical" ? "critical" : "alert"),
    el(
      "p",
      { class: "text" },
      el("b", null, `${level === "critical" ? "Critical" : "Warning"}: ${alertName(alert)}`),
      `${figures} `,
      el("span", { class: "muted", title: since }, `since ${clockTime(since)}, ${age}`),
    ),
    el(
      "div",
      { class: "row" },
      seen,
      acknowledged === null && app.session.canWrite ? button("Acknowledge", acknowledge, { icon: "eye", kind: "small" }) : null,
    ),
  );
}
