/** Lets everything happen that is due without time passing: promises and their followers. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A clock that goes when it is told to, with timers to match. */
export class HandClock {
  #now = 1000;
  #timers = new Map();
  #last = 0;

  now = () => this.#now;

  timers = {
    setTimeout: (callback, delay) => {
      if (!(delay >= 0 && delay < 2 ** 31)) throw new RangeError(`no timer waits ${delay} ms`);
      this.#timers.set(++this.#last, { callback, at: this.#now + delay });
      return this.#last;
    },
    clearTimeout: (timer) => this.#timers.delete(timer),
  };

  get pending() {
    return this.#timers.size;
  }

  /** Let time pass, timer by timer. */
  async advance(milliseconds) {
    const end = this.#now + milliseconds;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].callback();
      await settle();
    }
    this.#now = end;
  }

  /** Let time pass without a timer getting its turn, as in a page that is frozen. */
  sleep(milliseconds) {
    this.#now += milliseconds;
  }
}
