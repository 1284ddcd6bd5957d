/**
 * Mutated frames, always the same ones: each is decoded, or refused with the one error that callers
 * know. `WSSERVER_FUZZ_FRAMES` sets how many (200,000), `WSSERVER_FUZZ_SEED` which.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { EnvelopeError, decodeEnvelope } from "../../wsserver/client/js/envelope.js";
import { decompressBlock } from "../../wsserver/client/js/lz4.js";
import { decodeMap } from "../../wsserver/client/js/messagepack.js";
import { Dice } from "./dice.js";
import { hex } from "./frames.js";
import { vectorsOf } from "./golden-vectors.js";
import { mutated, withLengthsMended } from "./mutations.js";

const FRAMES = Number(process.env.WSSERVER_FUZZ_FRAMES ?? 200_000);
const SEED = Number(process.env.WSSERVER_FUZZ_SEED ?? 1);
// Long ones take the time and mostly repeat themselves.
const LONGEST_SEED = 4096;
const MAX_SIZE = 1 << 16;

// A stack for each refusal would take most of the time.
Error.stackTraceLimit = 0;

const seedsOf = (file) =>
  vectorsOf(file)
    .map((vector) => ({ bytes: hex(vector.hex), size: vector.size }))
    .filter(({ bytes }) => bytes.length <= LONGEST_SEED);

/**
 * @param {(bytes: Uint8Array, size: number) => unknown} decode
 * @param {Uint8Array} bytes
 * @param {number} size
 * @returns {unknown} undefined if it was refused
 */
function attempt(decode, bytes, size) {
  try {
    return decode(bytes, size);
  } catch (error) {
    if (error instanceof EnvelopeError) return undefined;
    throw new Error(`not refused but broken by ${Buffer.from(bytes).toString("hex")}`, { cause: error });
  }
}

function fuzz(name, file, count, decode, mend = (bytes) => bytes) {
  test(`${count} mutated ${name}`, () => {
    const dice = new Dice(SEED);
    const seeds = seedsOf(file);
    const names = Object.getOwnPropertyNames(Object.prototype).length;
    const before = process.memoryUsage();
    let taken = 0;
    for (let n = 0; n < count; n++) {
      const seed = dice.of(seeds);
      const made = mutated(dice, seed.bytes, dice.of(seeds).bytes);
      if (attempt(decode, dice.below(4) ? mend(made) : made, seed.size) !== undefined) taken++;
    }
    const after = process.memoryUsage();
    // Both ways must be walked, or nothing has been tried.
    assert.ok(taken > count / 100 && taken < (count * 99) / 100, `${taken} of ${count} were taken`);
    assert.equal(Object.getOwnPropertyNames(Object.prototype).length, names);
    assert.ok(after.rss - before.rss < 256 << 20, `${(after.rss - before.rss) >> 20} MiB more`);
  });
}

fuzz("envelopes", "envelopes.json", FRAMES, (bytes) => {
  const { body } = decodeEnvelope(bytes, { maxSize: MAX_SIZE });
  assert.equal(Object.getPrototypeOf(body), Object.prototype);
  return body;
}, withLengthsMended);

fuzz("objects in MessagePack", "messagepack.json", FRAMES / 2, (bytes) => decodeMap(bytes));

fuzz("LZ4 blocks", "lz4.json", FRAMES / 2, (bytes, size) => {
  const output = decompressBlock(bytes, size);
  assert.equal(output.length, size);
  return output;
});
