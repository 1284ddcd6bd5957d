// @ts-check
/**
 * The part of MessagePack that JSON has too: nil, booleans, numbers, text, arrays, and maps with text
 * as keys. Extensions, timestamps and binary strings are refused.
 * Format: https://github.com/msgpack/msgpack/blob/master/spec.md
 */

import { EnvelopeError } from "./envelope-error.js";
import { KnownNames } from "./known-names.js";

/** Maps and arrays inside one another, the outermost counted. */
export const MAX_DEPTH = 32;

const WORD = 2 ** 32;
// The upper half of 2^53, the largest magnitude that an integer of a message may have.
const MAX_HIGH = 2 ** 21;

// `fatal` refuses what is no UTF-8; without `ignoreBOM` the decoder would eat a leading U+FEFF.
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// Below this a loop over the bytes is faster than a call of the decoder.
const SHORT_TEXT = 12;

const NAMES = new KnownNames();

/**
 * Decode one map that fills `bytes` from `start` to `end`.
 *
 * Nothing is allocated on the word of a declared size: what is inside needs a byte each, at least, so
 * sizes that cannot be true are refused, and the others grow with what is really there. A key twice
 * is refused in the outermost map; further inside the last one counts, as in JSON.
 *
 * @param {Uint8Array} bytes
 * @param {number} [start]
 * @param {number} [end]
 * @returns {Record<string, unknown>} has what was in the map as own members, `__proto__` too, as
 *   `JSON.parse` does it
 * @throws {EnvelopeError}
 */
export function decodeMap(bytes, start = 0, end = bytes.length) {
  const reader = new Reader(bytes, start, end);
  const length = reader.mapLength();
  const map = reader.map(length);
  if (reader.position !== end) throw new EnvelopeError("MessagePack has bytes behind the object");
  if (Object.keys(map).length !== length) throw new EnvelopeError("MessagePack has a key twice");
  return map;
}

class Reader {
  /**
   * @param {Uint8Array} bytes
   * @param {number} start
   * @param {number} end
   */
  constructor(bytes, start, end) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = start;
    this.end = end;
    this.depth = 0;
  }

  /**
   * The announcement of the outermost map.
   *
   * @returns {number} its members
   */
  mapLength() {
    const first = this.bytes[this.take(1)];
    if (first >= 0x80 && first < 0x90) return first & 0x0f;
    if (first === 0xde) return this.view.getUint16(this.take(2));
    if (first === 0xdf) return this.view.getUint32(this.take(4));
    throw new EnvelopeError("MessagePack is not an object");
  }

  /** @returns {unknown} */
  value() {
    const first = this.bytes[this.take(1)];
    if (first < 0x80) return first;
    if (first < 0x90) return this.map(first & 0x0f);
    if (first < 0xa0) return this.array(first & 0x0f);
    if (first < 0xc0) return this.text(first & 0x1f);
    if (first >= 0xe0) return first - 0x100;
    switch (first) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return finite(this.view.getFloat32(this.take(4)));
      case 0xcb:
        return finite(this.view.getFloat64(this.take(8)));
      case 0xcc:
        return this.view.getUint8(this.take(1));
      case 0xcd:
        return this.view.getUint16(this.take(2));
      case 0xce:
        return this.view.getUint32(this.take(4));
      case 0xcf:
        return this.wide(false);
      case 0xd0:
        return this.view.getInt8(this.take(1));
      case 0xd1:
        return this.view.getInt16(this.take(2));
      case 0xd2:
        return this.view.getInt32(this.take(4));
      case 0xd3:
        return this.wide(true);
      case 0xdc:
        return this.array(this.view.getUint16(this.take(2)));
      case 0xdd:
        return this.array(this.view.getUint32(this.take(4)));
      case 0xde:
        return this.map(this.view.getUint16(this.take(2)));
      case 0xdf:
        return this.map(this.view.getUint32(this.take(4)));
      default:
        return this.text(this.textLength(first, "MessagePack has a type that JSON does not have"));
    }
  }

  /**
   * Step over `size` bytes and say where they start.
   *
   * @param {number} size
   */
  take(size) {
    const at = this.position;
    if (size > this.end - at) throw new EnvelopeError("MessagePack ends too early");
    this.position = at + size;
    return at;
  }

  /**
   * A 64-bit integer, as long as a number holds it exactly.
   *
   * @param {boolean} signed
   */
  wide(signed) {
    const at = this.take(8);
    const high = signed ? this.view.getInt32(at) : this.view.getUint32(at);
    const low = this.view.getUint32(at + 4);
    // Asked of the halves: the sum of those beyond may be rounded to the bound itself.
    const exact = high >= -MAX_HIGH && (high < MAX_HIGH || (high === MAX_HIGH && low === 0));
    if (!exact) throw new EnvelopeError("MessagePack has an integer beyond 2^53");
    return high * WORD + low;
  }

  /**
   * @param {number} first the byte that announces a text
   * @param {string} otherwise what is wrong if it does not
   * @returns {number} bytes of it
   */
  textLength(first, otherwise) {
    if (first >= 0xa0 && first < 0xc0) return first & 0x1f;
    if (first === 0xd9) return this.view.getUint8(this.take(1));
    if (first === 0xda) return this.view.getUint16(this.take(2));
    if (first === 0xdb) return this.view.getUint32(this.take(4));
    throw new EnvelopeError(otherwise);
  }

  /**
   * @param {number} length bytes of it
   */
  text(length) {
    return this.textFrom(this.take(length));
  }

  /**
   * A text that names a member.
   *
   * @param {number} length bytes of it
   */
  name(length) {
    const start = this.take(length);
    return NAMES.find(this.bytes, start, this.position) ?? NAMES.add(this.bytes, start, this.position, this.textFrom(start));
  }

  /**
   * The bytes from `start` to here as text.
   *
   * @param {number} start
   */
  textFrom(start) {
    const { bytes, position: end } = this;
    if (end - start <= SHORT_TEXT) {
      let text = "";
      for (let i = start; ; i++) {
        if (i === end) return text;
        if (bytes[i] >= 0x80) break;
        text += String.fromCharCode(bytes[i]);
      }
    }
    try {
      return UTF8.decode(bytes.subarray(start, end));
    } catch {
      throw new EnvelopeError("MessagePack has text that is not UTF-8");
    }
  }

  /**
   * @param {number} values that follow in a map or an array
   */
  open(values) {
    if (++this.depth > MAX_DEPTH) throw new EnvelopeError(`MessagePack is nested deeper than ${MAX_DEPTH}`);
    if (values > this.end - this.position) throw new EnvelopeError("MessagePack ends too early");
  }

  /**
   * @param {number} length
   */
  array(length) {
    this.open(length);
    const array = [];
    for (let i = 0; i < length; i++) {
      array.push(this.value());
    }
    this.depth--;
    return array;
  }

  /**
   * @param {number} length members, each a key and a value
   */
  map(length) {
    this.open(2 * length);
    /** @type {Record<string, unknown>} */
    const map = {};
    for (let i = 0; i < length; i++) {
      const key = this.name(this.textLength(this.bytes[this.take(1)], "MessagePack has a key that is not text"));
      setOwn(map, key, this.value());
    }
    this.depth--;
    return map;
  }
}

/**
 * Set a member whose name somebody else has chosen.
 *
 * @param {Record<string, unknown>} object
 * @param {string} name
 * @param {unknown} value
 */
export function setOwn(object, name, value) {
  // An assignment would meet what every object inherits: `__proto__` would set the prototype, and the
  // other names would throw where a page has frozen `Object.prototype`.
  if (name in Object.prototype) {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[name] = value;
  }
}

/**
 * @param {number} value
 */
function finite(value) {
  if (!Number.isFinite(value)) throw new EnvelopeError("MessagePack has a number that is not finite");
  return value;
}
