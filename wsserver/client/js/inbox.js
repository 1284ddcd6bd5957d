// @ts-check

/**
 * Handles what arrives one by one and in order: the next only when the one before is done. What is handled at once
 * costs no queue and no turn of the event loop.
 *
 * @template T
 */
export class Inbox {
  /** @type {T[]} */
  #items = [];
  #head = 0;
  #busy = false;
  #closed = false;
  #handle;
  #onDrained;

  /**
   * @param {(item: T) => Promise<unknown> | undefined} handle must not throw, nor return what rejects
   * @param {() => void} [onDrained] called after each item that had to wait
   */
  constructor(handle, onDrained = () => {}) {
    this.#handle = handle;
    this.#onDrained = onDrained;
  }

  /** What waits, the one in hand not counted. */
  get length() {
    return this.#items.length - this.#head;
  }

  /** @param {T} item */
  push(item) {
    if (this.#closed) return;
    this.#items.push(item);
    if (!this.#busy) this.#run();
  }

  /** Drop what waits; nothing is handled any more. */
  close() {
    this.#closed = true;
    this.#items = [];
    this.#head = 0;
  }

  #run() {
    this.#busy = true;
    while (this.#head < this.#items.length) {
      const item = this.#items[this.#head];
      this.#items[this.#head++] = /** @type {any} */ (undefined);
      // Moved together now and then: shift() would move the whole rest each time.
      if (this.#head > 1024) {
        this.#items = this.#items.slice(this.#head);
        this.#head = 0;
      }
      const pending = this.#handle(item);
      if (pending !== undefined) {
        pending.then(() => {
          this.#run();
          this.#onDrained();
        });
        return;
      }
    }
    this.#items = [];
    this.#head = 0;
    this.#busy = false;
  }
}
