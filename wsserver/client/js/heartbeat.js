// @ts-check
/** @import {Timers} from "./types.js" */

/** So that the first round trip that is shown is the network's, and not that of the start's rush. */
const FIRST_PING = 2000;

/**
 * Pings at intervals, whatever else is going on: the answer brings the position of this connection and the round
 * trip. Any frame counts as a sign of life.
 *
 * Death is decided by timestamps. In a hidden page timers come up to a minute late, and in one that was frozen a
 * timer may come before the frames that arrived meanwhile; so the first check that comes late asks once more.
 */
export class Heartbeat {
  /** @type {unknown} */ #timer = null;
  #due = 0;
  /** @type {number | null} */ #lastPing = null;
  /** Pings since the last frame. */
  #unanswered = 0;
  #stopped = false;
  #options;

  /**
   * @param {object} options
   * @param {number} options.interval 0: only probes
   * @param {number} options.timeout
   * @param {(t: number) => void} options.ping
   * @param {() => void} options.onDead
   * @param {(rttMs: number) => void} options.onRoundTrip
   * @param {() => number} options.now
   * @param {Timers} options.timers
   */
  constructor(options) {
    this.#options = options;
  }

  start() {
    const { interval } = this.#options;
    if (interval > 0) this.#schedule(Math.min(FIRST_PING, interval));
  }

  stop() {
    this.#stopped = true;
    this.#options.timers.clearTimeout(this.#timer);
  }

  /** A frame has arrived. */
  heard() {
    this.#unanswered = 0;
  }

  /** @param {unknown} t what the pong brings back */
  pong(t) {
    if (t === this.#lastPing) this.#options.onRoundTrip(this.#options.now() - /** @type {number} */ (t));
  }

  /** Ask now, as there is reason to doubt. */
  probe() {
    if (!this.#stopped && this.#unanswered === 0) this.#ping();
  }

  #ping() {
    const { now, timeout, ping } = this.#options;
    const at = (this.#lastPing = now());
    this.#unanswered += 1;
    this.#schedule(timeout);
    ping(at);
  }

  #check() {
    if (this.#stopped) return;
    const { now, interval, timeout, onDead } = this.#options;
    if (this.#unanswered > 0) {
      const late = now() - this.#due;
      if (late > timeout && this.#unanswered === 1) this.#ping();
      else onDead();
    } else if (interval > 0) {
      const wait = this.#lastPing === null ? 0 : this.#lastPing + interval - now();
      if (wait > 0) this.#schedule(wait);
      else this.#ping();
    }
  }

  /** @param {number} delay */
  #schedule(delay) {
    const { timers, now } = this.#options;
    timers.clearTimeout(this.#timer);
    this.#due = now() + delay;
    this.#timer = timers.setTimeout(() => this.#check(), delay);
  }
}
