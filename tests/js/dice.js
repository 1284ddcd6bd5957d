/** Chance that can be repeated: the same seed gives the same throws. */
export class Dice {
  #state;

  /**
   * @param {number} seed
   */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 to, but without, `sides` (mulberry32). */
  below(sides) {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  }

  /**
   * @template T
   * @param {ArrayLike<T>} choices
   * @returns {T}
   */
  of(choices) {
    return choices[this.below(choices.length)];
  }
}
