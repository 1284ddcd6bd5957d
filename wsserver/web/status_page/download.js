// @ts-check
import { el } from "./dom.js";

/** What a spreadsheet would take for a formula gets a mark before it. */
const FORMULA = /^[=+\-@\t\r]/;

/** @param {unknown} value */
function cell(value) {
  const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  const tame = typeof value === "string" && FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame;
}

/** @param {string} name @param {Record<string, unknown>[]} rows whose first has every column */
export function saveCsv(name, rows) {
  const columns = Object.keys(rows[0] ?? {});
  const lines = [columns.map(cell), ...rows.map((row) => columns.map((column) => cell(row[column])))];
  save(name, "text/csv", lines.map((line) => line.join(",")).join("\r\n"));
}

/** One JSON object a line. @param {string} name @param {unknown[]} rows */
export function saveNdjson(name, rows) {
  save(name, "application/x-ndjson", rows.map((row) => JSON.stringify(row)).join("\n"));
}

/** @param {string} name @param {string} type @param {string} text */
function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([`${text}\n`], { type }));
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
  el("a", { href: url, download: `${name}-${stamp}.${type === "text/csv" ? "csv" : "ndjson"}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
