import assert from "node:assert/strict";
import { test } from "node:test";

import { EnvelopeError } from "../../wsserver/client/js/envelope.js";
import { decompressBlock } from "../../wsserver/client/js/lz4.js";
import { hex, join } from "./frames.js";
import { vectorsOf } from "./golden-vectors.js";

const damaged = (block, size) =>
  assert.throws(() => decompressBlock(block, size), (error) => error instanceof EnvelopeError && error.reason === "the LZ4 block is damaged");

for (const vector of vectorsOf("lz4.json")) {
  test(`golden: ${vector.name}`, () => {
    const block = hex(vector.hex);
    if ("error" in vector) {
      damaged(block, vector.size);
    } else {
      const text = join(...vector.output.map(([unit, times]) => hex(unit.repeat(times))));
      assert.deepEqual(decompressBlock(block, vector.size), text);
      damaged(block, vector.size + 1);
      if (vector.size > 0) damaged(block, vector.size - 1);
    }
  });
}

test("a block inside a larger buffer is read to its own end", () => {
  const whole = hex("ff 50 6162636465 ff");
  assert.deepEqual(decompressBlock(whole.subarray(1, 7), 5), hex("6162636465"));
  damaged(whole.subarray(1, 6), 5);
  damaged(whole.subarray(1, 8), 5);
});

test("the last five bytes must be literals, and the last match start twelve before the end", () => {
  // One literal, a match from one back, then literals.
  for (let match = 4; match < 19; match++) {
    for (let literals = 0; literals < 15; literals++) {
      const block = join(Uint8Array.of(0x10 | (match - 4)), hex("61 0100"), Uint8Array.of(literals << 4), new Uint8Array(literals).fill(0x62));
      const size = 1 + match + literals;
      if (literals >= 5 && match + literals >= 12) assert.equal(decompressBlock(block, size).length, size);
      else damaged(block, size);
    }
  }
});
