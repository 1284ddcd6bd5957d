// @ts-check
import { ApiError, address } from "./api.js";
/** @import {Session} from "./session.js" */

/** @typedef {"15m" | "6h"} Window */
/** @typedef {{name: string, unit: string}} Column */

/** What is fetched anew when a window's own steps are coarser than the live figures. */
const REFRESH_MS = 60_000;
/** Points that are shown though nothing is known of them. */
const LEAST = 60;

/**
 * The server's own history as columns over time: fetched once, then carried on by the live figures. Event: `change`.
 */
export class Series extends EventTarget {
  #session;
  /** @type {Window} */
  #window = "15m";
  /** Seconds since 1970, oldest first. @type {number[]} */
  times = [];
  /** @type {Map<string, (number | null)[]>} */
  #columns = new Map();
  #step = 1;
  #most = 900;
  #fetchedAt = 0;
  #asked = 0;
  /** @type {string | null} Why there is nothing. */
  fault = null;

  /** @param {Session} session */
  constructor(session) {
    super();
    this.#session = session;
  }

  get window() {
    return this.#window;
  }

  /** @param {string} name @returns {(number | null)[]} as long as `times` */
  column(name) {
    return this.#columns.get(name) ?? this.times.map(() => null);
  }

  /** @param {Window} [window] */
  async load(window = this.#window) {
    this.#window = window;
    const turn = ++this.#asked;
    try {
      const response = await fetch(address("status/series", { window }), { cache: "no-store" });
      if (response.status === 401) this.#session.end();
      if (!response.ok) throw new ApiError(`The server answered with status ${response.status}.`);
      const buffer = await response.arrayBuffer();
      if (turn === this.#asked) this.#read(buffer);
    } catch (error) {
      if (turn !== this.#asked) return;
      this.fault = error instanceof ApiError ? error.message : "The server cannot be reached.";
      this.dispatchEvent(new Event("change"));
    }
  }

  /** The newest second. @param {{at: number, values: Record<string, number | null>}} point */
  append({ at, values }) {
    const last = this.times.at(-1);
    if (last === undefined || this.fault !== null) return;
    // The connection was lost for a while: the hole is in the server's history.
    if (at - last > 3 * this.#step || (this.#step > 1 && performance.now() - this.#fetchedAt > REFRESH_MS)) {
      this.#fetchedAt = performance.now();
      this.load();
      return;
    }
    if (at - last < 0.9 * this.#step) return;
    this.times.push(at);
    for (const [name, column] of this.#columns) column.push(values[name] ?? null);
    if (this.times.length > this.#most) {
      this.times.shift();
      for (const column of this.#columns.values()) column.shift();
    }
    this.dispatchEvent(new Event("change"));
  }

  /** Let go of the time before the server ran, but for a minute, so that lines do not cling to the edge. */
  #trim() {
    const columns = [...this.#columns.values()];
    const first = this.times.findIndex((_, index) => columns.some((column) => column[index] !== null));
    const unknown = Math.max(0, Math.min(first < 0 ? this.times.length : first, this.times.length - LEAST));
    this.times.splice(0, unknown);
    for (const column of columns) column.splice(0, unknown);
  }

  /** @param {ArrayBuffer} buffer a head in JSON with its length before it, then the columns as float32 */
  #read(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const { step, count, last_at: lastAt } = head;
    /** @type {Column[]} */
    const columns = head.columns;
    this.times = Array.from({ length: count }, (_, index) => lastAt - (count - 1 - index) * step);
    this.#columns = new Map(
      columns.map(({ name }, place) => {
        const values = new Float32Array(buffer, 4 + length + place * count * 4, count);
        return [name, Array.from(values, (value) => (Number.isNaN(value) ? null : value))];
      }),
    );
    this.#trim();
    this.#step = step;
    this.#most = this.#window === "15m" ? 900 : 2160;
    this.#fetchedAt = performance.now();
    this.fault = null;
    this.dispatchEvent(new Event("change"));
  }
}
