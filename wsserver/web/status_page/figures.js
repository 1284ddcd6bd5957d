// @ts-check
/** Figures as people read them; `–` stands for what is not known. */

const NONE = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const CLOCK = /** @type {const} */ ({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const clock = new Intl.DateTimeFormat("en", CLOCK);
const minute = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

/** @typedef {number | null | undefined} Maybe */

/** @param {Maybe} value @returns {value is number} */
export const isKnown = (value) => typeof value === "number" && Number.isFinite(value);

/** @param {number} value of about three digits */
const short = (value) => (value >= 100 || Number.isInteger(value) ? whole.format(value) : value.toFixed(value >= 10 ? 1 : 2));

/** `8,214`. @param {Maybe} value */
export const count = (value) => (isKnown(value) ? whole.format(value) : NONE);

/** `8,214`, `98.3 k`, `1.20 M`. @param {Maybe} value */
export function compact(value) {
  if (!isKnown(value)) return NONE;
  if (value >= 1e9) return `${short(value / 1e9)} G`;
  if (value >= 1e6) return `${short(value / 1e6)} M`;
  return value >= 1e4 ? `${short(value / 1e3)} k` : short(Math.round(value * 100) / 100);
}

/** Binary units, as the settings have them. @param {Maybe} value */
export function bytes(value) {
  if (!isKnown(value)) return NONE;
  for (const [unit, size] of /** @type {const} */ ([["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 1024]])) {
    if (value >= size) return `${short(value / size)} ${unit}`;
  }
  return `${whole.format(value)} B`;
}

/** @param {Maybe} value */
export const bytesPerSecond = (value) => (isKnown(value) ? `${bytes(value)}/s` : NONE);

/** @param {Maybe} value */
export const perSecond = (value) => (isKnown(value) ? `${compact(value)}/s` : NONE);

/** @param {Maybe} value milliseconds */
export function milliseconds(value) {
  if (!isKnown(value)) return NONE;
  return value >= 10_000 ? `${short(value / 1000)} s` : `${short(value)} ms`;
}

/** @param {Maybe} value 0 to 100 */
export const percent = (value) => (isKnown(value) ? `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)}%` : NONE);

/** The two largest units: `3d 4h`, `12m 05s`. @param {Maybe} seconds */
export function duration(seconds) {
  if (!isKnown(seconds)) return NONE;
  const total = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  if (total >= 86_400) return `${Math.floor(total / 86_400)}d ${Math.floor(total / 3600) % 24}h`;
  if (total >= 3600) return `${Math.floor(total / 3600)}h ${two(Math.floor(total / 60) % 60)}m`;
  return total >= 60 ? `${Math.floor(total / 60)}m ${two(total % 60)}s` : `${total}s`;
}

/** A time of the day in the reader's zone. @param {number | string | Date} when milliseconds, or text in UTC */
export function clockTime(when) {
  const date = new Date(when);
  return Number.isNaN(date.getTime()) ? NONE : clock.format(date);
}

/** Hours and minutes. @param {number} when milliseconds */
export const minuteTime = (when) => minute.format(when);

/** Day and time, the day only if it is not today. @param {number | string} when */
export function dateTime(when) {
  const date = new Date(when);
  if (Number.isNaN(date.getTime())) return NONE;
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
}

/** @param {number} number @param {string} one @param {string} [many] */
export const plural = (number, one, many) => `${whole.format(number)} ${number === 1 ? one : (many ?? `${one}s`)}`;
