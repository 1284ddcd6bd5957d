// @ts-check
import { el } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

/** The product's mark and name. @param {string} name */
export function brand(name) {
  const mark = document.createElementNS(SVG, "svg");
  mark.setAttribute("viewBox", "0 0 32 32");
  mark.setAttribute("aria-hidden", "true");
  const ground = document.createElementNS(SVG, "rect");
  for (const [key, value] of Object.entries({ width: 32, height: 32, fill: "#0b1216" })) ground.setAttribute(key, String(value));
  const trace = document.createElementNS(SVG, "path");
  const line = { d: "M3 18h7l2-4 3 11 4-19 3 15 2-3h5", fill: "none", stroke: "#4be3a0", "stroke-width": "2.5", "stroke-linejoin": "round", "stroke-linecap": "round" };
  for (const [key, value] of Object.entries(line)) trace.setAttribute(key, value);
  mark.append(ground, trace);
  return el("div", { class: "brand" }, mark, el("span", null, name));
}
