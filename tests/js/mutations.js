/** Bytes that are nearly right. */

import { join } from "./frames.js";

// Where sizes and types turn into others, in MessagePack, LZ4 and the header.
const TELLING = [0, 1, 2, 0x0f, 0x10, 0x1f, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xca, 0xcb, 0xcf, 0xd3, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xf0, 0xfe, 0xff];
const SIZES = [0, 1, 7, 8, 15, 16, 255, 256, 2 ** 16, 2 ** 20, 2 ** 20 + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 8, 2 ** 32 - 1];

const HEADER_SIZE = 32;

/**
 * Some bytes, changed in one to four places.
 *
 * @param {import("./dice.js").Dice} dice
 * @param {Uint8Array} bytes
 * @param {Uint8Array} other to take parts from
 */
export function mutated(dice, bytes, other) {
  let made = bytes.slice();
  for (let times = 1 + dice.below(4); times > 0; times--) made = changed(dice, made, other);
  return made;
}

function changed(dice, bytes, other) {
  const at = dice.below(bytes.length + 1);
  switch (dice.below(7)) {
    case 0:
      if (at < bytes.length) bytes[at] ^= 1 << dice.below(8);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = dice.of(TELLING);
      return bytes;
    case 2:
      return bytes.slice(0, at);
    case 3:
      return join(bytes.subarray(0, at), Uint8Array.of(dice.of(TELLING)), bytes.subarray(at));
    case 4:
      return join(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + dice.below(4))));
    case 5: {
      const from = dice.below(other.length + 1);
      return join(bytes.subarray(0, at), other.subarray(from, from + dice.below(40)), bytes.subarray(at));
    }
    default:
      if (at + 4 <= bytes.length) new DataView(bytes.buffer).setUint32(at, dice.of(SIZES), dice.below(2) === 0);
      return bytes;
  }
}

/**
 * Put the lengths right again, so that what is wrong inside is met.
 *
 * @param {Uint8Array} bytes
 */
export function withLengthsMended(bytes) {
  if (bytes.length < HEADER_SIZE) return bytes;
  const view = new DataView(bytes.buffer);
  const sent = Math.max(0, bytes.length - HEADER_SIZE - Math.ceil(view.getUint32(4, true) / 8) * 8);
  view.setUint32(24, sent, true);
  if (!(bytes[2] & 1)) view.setUint32(28, sent, true);
  return bytes;
}
