// @ts-check
/**
 * The LZ4 block format, decoding only: browsers have gzip and deflate, but no LZ4.
 * Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */

import { EnvelopeError } from "./envelope-error.js";

const MIN_MATCH = 4;
const LONG = 15;

// Rules for the end of a block: its last five bytes are literals, and its last match starts at
// least twelve bytes before its end. Encoders keep them, and the reference decoder insists on them.
const LAST_LITERALS = 5;
const MATCH_MARGIN = 12;

/**
 * Decompress one block.
 *
 * @param {Uint8Array} input the block, all of it
 * @param {number} size bytes it must decompress to, neither more nor fewer; bounded by the caller
 * @returns {Uint8Array<ArrayBuffer>} in a buffer of its own
 * @throws {EnvelopeError} when the block is damaged or has another size
 */
export function decompressBlock(input, size) {
  const output = new Uint8Array(size);
  const end = input.length;
  let read = 0;
  let written = 0;
  while (read < end) {
    const token = input[read++];

    let literals = token >> 4;
    if (literals === LONG) {
      let more;
      do {
        // Behind the end `more` is undefined: it ends the loop, and NaN fails the check below.
        more = input[read++];
        literals += more;
      } while (more === 255);
    }
    if (!(literals <= end - read && literals <= size - written)) throw damaged();
    copyForward(output, written, input, read, literals);
    read += literals;
    written += literals;
    if (read === end) {
      if (written !== size) break;
      return output;
    }

    if (end - read < 2) throw damaged();
    const distance = input[read] | (input[read + 1] << 8);
    read += 2;
    let length = token & LONG;
    if (length === LONG) {
      let more;
      do {
        more = input[read++];
        length += more;
      } while (more === 255);
    }
    length += MIN_MATCH;
    if (distance === 0 || distance > written) throw damaged();
    if (written > size - MATCH_MARGIN || !(length <= size - written - LAST_LITERALS)) throw damaged();
    if (distance >= length) {
      output.copyWithin(written, written - distance, written - distance + length);
    } else {
      // The match overlaps what it writes, and so repeats it: byte by byte, as the format means it.
      for (let to = written, from = written - distance; to < written + length; ) output[to++] = output[from++];
    }
    written += length;
  }
  throw damaged();
}

// A call costs more than a short copy.
const SHORT = 32;

/**
 * @param {Uint8Array} output
 * @param {number} to
 * @param {Uint8Array} input
 * @param {number} from
 * @param {number} length
 */
function copyForward(output, to, input, from, length) {
  if (length > SHORT) output.set(input.subarray(from, from + length), to);
  else for (let i = 0; i < length; i++) output[to + i] = input[from + i];
}

function damaged() {
  return new EnvelopeError("the LZ4 block is damaged");
}
