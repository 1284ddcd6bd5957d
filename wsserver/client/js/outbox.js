// @ts-check
/** @import {QueueOutcome, ReconnectionConfig} from "./types.js" */

/**
 * With more than this in the socket's own buffer nothing is added: what waits here can still be dropped or replaced.
 */
export const MAX_BUFFERED = 1024 * 1024;
/** How often a full buffer is looked at; browsers do not tell when it empties. */
const LOOK_AGAIN = 50;
/** Messages that may leave at once before the rate counts. */
const BURST = 100;

/**
 * Messages that wait for a connection, or for their turn: bounded, in order, not faster than the server takes them.
 */
export class Outbox {
  /** @type {{text: string, expiresAt: number}[]} */
  #waiting = [];
  #send;
  #buffered;
  #onChange;
  #config;
  #open = false;
  /** @type {unknown} */ #timer = null;
  #allowance = BURST;
  #countedAt = 0;
  /** Whether anything that waits has an end. */
  #mayExpire = false;
  /** Given up for want of room or because their time was over. */
  dropped = 0;

  /**
   * @param {ReconnectionConfig} config
   * @param {object} line
   * @param {(text: string) => boolean} line.send
   * @param {() => number} line.buffered bytes in the socket's buffer
   * @param {() => void} line.onChange the length or the number of dropped has changed
   */
  constructor(config, { send, buffered, onChange }) {
    this.#config = config;
    this.#send = send;
    this.#buffered = buffered;
    this.#onChange = onChange;
  }

  get length() {
    return this.#waiting.length;
  }

  /**
   * Send it, or keep it until that is possible.
   *
   * @param {string} text
   * @param {number} ttl milliseconds
   * @returns {QueueOutcome}
   * @throws {RangeError} if the queue is full and `queueOverflow` is `throw`
   */
  put(text, ttl = Infinity) {
    if (this.#waiting.length === 0 && this.#mayLeave() && this.#send(text)) {
      this.#allowance -= 1;
      return "sent";
    }
    const outcome = this.#keep({ text, expiresAt: this.#config.now() + ttl });
    this.#onChange();
    // It may wait for its turn only.
    this.#lookAgain();
    return outcome;
  }

  /** A connection is there. */
  open() {
    this.#open = true;
    this.#allowance = BURST;
    this.#countedAt = this.#config.now();
    this.#flush();
  }

  close() {
    this.#open = false;
    this.#config.timers.clearTimeout(this.#timer);
    this.#timer = null;
  }

  clear() {
    this.close();
    this.#waiting = [];
  }

  /** @param {{text: string, expiresAt: number}} message @returns {QueueOutcome} */
  #keep(message) {
    const { maxQueueSize, queueOverflow } = this.#config;
    if (this.#waiting.length >= maxQueueSize) this.#dropExpired();
    if (this.#waiting.length >= maxQueueSize) {
      if (queueOverflow === "throw") throw new RangeError("the queue is full");
      this.dropped += 1;
      if (queueOverflow === "drop-newest" || maxQueueSize === 0) return "dropped";
      this.#waiting.shift();
    }
    this.#waiting.push(message);
    this.#mayExpire ||= message.expiresAt < Infinity;
    return "queued";
  }

  #dropExpired() {
    if (!this.#mayExpire) return;
    const now = this.#config.now();
    const alive = this.#waiting.filter((message) => message.expiresAt > now);
    this.dropped += this.#waiting.length - alive.length;
    this.#waiting = alive;
  }

  #flush() {
    if (this.#waiting.length === 0) return;
    this.#dropExpired();
    let taken = 0;
    while (taken < this.#waiting.length && this.#mayLeave() && this.#send(this.#waiting[taken].text)) {
      this.#allowance -= 1;
      taken += 1;
    }
    this.#waiting.splice(0, taken);
    this.#onChange();
    this.#lookAgain();
  }

  #lookAgain() {
    if (!this.#open || this.#waiting.length === 0 || this.#timer !== null) return;
    this.#timer = this.#config.timers.setTimeout(() => {
      this.#timer = null;
      this.#flush();
    }, LOOK_AGAIN);
  }

  #mayLeave() {
    if (!this.#open || this.#buffered() > MAX_BUFFERED) return false;
    const { maxSendRate, now } = this.#config;
    if (maxSendRate === 0) return true;
    const at = now();
    this.#allowance = Math.min(BURST, this.#allowance + ((at - this.#countedAt) * maxSendRate) / 1000);
    this.#countedAt = at;
    return this.#allowance >= 1;
  }
}
