// @ts-check

/** Round trips that the average and the percentile are taken of. */
const REMEMBERED = 64;

/** Counters of one service, over all of its connections. */
export class Metrics {
  reconnects = 0;
  sent = 0;
  received = 0;
  bytesSent = 0;
  bytesReceived = 0;
  dropped = 0;
  replayed = 0;
  duplicates = 0;
  gaps = 0;
  downtimeMs = 0;
  /** @type {number | null} */ lastCloseCode = null;
  /** @type {{code: number | string, reason: string} | null} */ lastError = null;
  /** @type {number[]} */ #roundTrips = [];
  #next = 0;

  /** @param {number} rttMs */
  noteRoundTrip(rttMs) {
    this.#roundTrips[this.#next] = rttMs;
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  get rtt() {
    const count = this.#roundTrips.length;
    if (count === 0) return { last: null, avg: null, p95: null };
    const sorted = [...this.#roundTrips].sort((a, b) => a - b);
    return {
      last: this.#roundTrips[(this.#next + REMEMBERED - 1) % REMEMBERED],
      avg: sorted.reduce((sum, rtt) => sum + rtt, 0) / count,
      p95: sorted[Math.ceil(0.95 * count) - 1],
    };
  }
}
