// @ts-check

const MAX_LENGTH = 32;
const PER_LENGTH = 16;

/**
 * Names of members as text, found by their bytes.
 *
 * The messages of a stream have the same few names again and again. To compare the bytes of one is several
 * times as fast as to make a text of them, and the engine knows a text that it has seen as a name before.
 * Bounded: of each length the names that were seen last.
 */
export class KnownNames {
  /** @type {{bytes: Uint8Array, text: string}[][]} */
  #byLength = Array.from({ length: MAX_LENGTH + 1 }, () => []);
  #turn = 0;

  /**
   * @param {Uint8Array} bytes
   * @param {number} start
   * @param {number} end
   * @returns {string | undefined}
   */
  find(bytes, start, end) {
    const length = end - start;
    if (length > MAX_LENGTH) return undefined;
    const names = this.#byLength[length];
    search: for (let n = 0; n < names.length; n++) {
      const known = names[n].bytes;
      for (let i = 0; i < length; i++) if (known[i] !== bytes[start + i]) continue search;
      return names[n].text;
    }
    return undefined;
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} start
   * @param {number} end
   * @param {string} text what these bytes mean
   * @returns {string} `text`
   */
  add(bytes, start, end, text) {
    if (end - start > MAX_LENGTH) return text;
    const names = this.#byLength[end - start];
    // A copy: a part of the frame would keep the whole frame.
    const name = { bytes: bytes.slice(start, end), text };
    if (names.length < PER_LENGTH) names.push(name);
    else names[this.#turn++ % PER_LENGTH] = name;
    return text;
  }
}
