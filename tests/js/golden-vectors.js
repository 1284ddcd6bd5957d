/** The golden vectors of tests/vectors, which every implementation is held to. */

import { readFileSync } from "node:fs";

/**
 * @param {string} file
 * @returns {any[]}
 */
export function vectorsOf(file) {
  return JSON.parse(readFileSync(new URL(`../vectors/${file}`, import.meta.url), "utf8"));
}
