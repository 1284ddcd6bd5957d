// @ts-check

/**
 * Calls listeners in the order in which they came. One that throws, or whose promise is rejected, is reported and
 * does not stop the others.
 *
 * @template {object} Events
 */
export class Emitter {
  /**
   * For each event its listeners, and whether each is called only once.
   *
   * @type {Map<keyof Events, Map<(payload: any) => unknown, boolean>>}
   */
  #listeners = new Map();
  #onFault;

  /**
   * @param {Iterable<keyof Events & string>} names
   * @param {(fault: unknown, event: keyof Events) => void} onFault
   */
  constructor(names, onFault) {
    for (const name of names) this.#listeners.set(name, new Map());
    this.#onFault = onFault;
  }

  /**
   * @template {keyof Events} K
   * @param {K} event
   * @param {(payload: Events[K]) => unknown} listener
   * @returns {() => void} what takes the listener away
   */
  on(event, listener) {
    return this.#add(event, listener, false);
  }

  /**
   * @template {keyof Events} K
   * @param {K} event
   * @param {(payload: Events[K]) => unknown} listener
   * @returns {() => void}
   */
  once(event, listener) {
    return this.#add(event, listener, true);
  }

  /**
   * @template {keyof Events} K
   * @param {K} event
   * @param {(payload: Events[K]) => unknown} listener
   */
  off(event, listener) {
    this.#of(event).delete(listener);
  }

  /**
   * Returns what is to be waited for if a listener is not done yet; it never rejects.
   *
   * @template {keyof Events} K
   * @param {K} event
   * @param {Events[K]} payload
   * @returns {Promise<unknown> | undefined}
   */
  emit(event, payload) {
    /** @type {Promise<void>[] | undefined} */
    let pending;
    // A copy, so that a listener which comes or goes meanwhile does not change this round.
    const listeners = this.#of(event);
    for (const [listener, once] of [...listeners]) {
      if (once) listeners.delete(listener);
      try {
        const result = /** @type {any} */ (listener(payload));
        if (typeof result?.then === "function") {
          const settled = Promise.resolve(result).then(
            () => {},
            (fault) => this.#onFault(fault, event),
          );
          (pending ??= []).push(settled);
        }
      } catch (fault) {
        this.#onFault(fault, event);
      }
    }
    return pending && Promise.all(pending);
  }

  /**
   * @param {keyof Events} event
   * @param {(payload: any) => unknown} listener
   * @param {boolean} once
   */
  #add(event, listener, once) {
    const listeners = this.#of(event);
    if (typeof listener !== "function") throw new TypeError(`the listener of ${String(event)} is no function`);
    listeners.set(listener, once);
    return () => void listeners.delete(listener);
  }

  /** @param {keyof Events} event */
  #of(event) {
    const listeners = this.#listeners.get(event);
    if (listeners === undefined) {
      throw new TypeError(`there is no event ${String(event)}; there are ${[...this.#listeners.keys()].join(", ")}`);
    }
    return listeners;
  }
}
