import assert from "node:assert/strict";
import { test } from "node:test";

import { EnvelopeError } from "../../wsserver/client/js/envelope.js";
import { decodeMap } from "../../wsserver/client/js/messagepack.js";
import { ascii, hex, join } from "./frames.js";
import { vectorsOf } from "./golden-vectors.js";

for (const vector of vectorsOf("messagepack.json")) {
  test(`golden: ${vector.name}`, () => {
    if ("error" in vector) {
      assert.throws(() => decodeMap(hex(vector.hex)), (error) => error instanceof EnvelopeError && error.reason === vector.error);
    } else {
      assert.deepEqual(decodeMap(hex(vector.hex)), vector.value);
    }
  });
}

/** A text of MessagePack, up to 31 bytes. */
const short = (text) => join(Uint8Array.of(0xa0 | text.length), ascii(text));

test("the part of a buffer is decoded, whatever stands around it", () => {
  const whole = hex("ffff 81 a1 61 cb 3ff8000000000000 ffff");
  assert.deepEqual(decodeMap(whole, 2, 14), { a: 1.5 });
  assert.deepEqual(decodeMap(whole.subarray(2, 14)), { a: 1.5 });
  assert.throws(() => decodeMap(whole, 2, 13), EnvelopeError);
  assert.throws(() => decodeMap(whole, 2, 15), EnvelopeError);
});

test("a cut never reads what stands behind it", () => {
  const whole = hex("82 a1 61 93 01 d9 03 616263 cd 0102 a1 62 81 a1 63 cf 0000000000000005");
  for (let end = 0; end < whole.length; end++) {
    assert.throws(() => decodeMap(whole, 0, end), (error) => error instanceof EnvelopeError && /too early/.test(error.reason));
  }
});

test("__proto__ is a member like any other", () => {
  const inner = join(hex("81"), short("polluted"), hex("c3"));
  const map = decodeMap(join(hex("82"), short("__proto__"), inner, short("a"), hex("81"), short("__proto__"), inner));
  assert.deepEqual(Object.getOwnPropertyNames(map), ["__proto__", "a"]);
  assert.deepEqual(Object.getOwnPropertyNames(map.a), ["__proto__"]);
  assert.equal(Object.getPrototypeOf(map), Object.prototype);
  assert.equal(Object.getPrototypeOf(map.a), Object.prototype);
  assert.equal(map.polluted, undefined);
  assert.equal({}.polluted, undefined);
  assert.equal(JSON.stringify(map), '{"__proto__":{"polluted":true},"a":{"__proto__":{"polluted":true}}}');
});

test("__proto__ that is no object changes no prototype either", () => {
  for (const value of [hex("c0"), hex("01"), hex("90")]) {
    const map = decodeMap(join(hex("81"), short("__proto__"), value));
    assert.equal(Object.getPrototypeOf(map), Object.prototype);
    assert.ok(Object.hasOwn(map, "__proto__"));
  }
});

test("names of what every object has are members of their own, and a second one is noticed", () => {
  for (const name of ["constructor", "toString", "hasOwnProperty", "valueOf", "__defineGetter__", "__proto__"]) {
    const map = decodeMap(join(hex("81"), short(name), hex("05")));
    assert.equal(Object.getOwnPropertyDescriptor(map, name)?.value, 5);
    assert.throws(() => decodeMap(join(hex("82"), short(name), hex("05"), short(name), hex("06"))), EnvelopeError);
  }
});

test("an own member survives a setter of that name on the prototype", () => {
  Object.defineProperty(Object.prototype, "trapped", { configurable: true, set: () => assert.fail("a setter was called") });
  try {
    const map = decodeMap(join(hex("81"), short("trapped"), hex("05")));
    assert.equal(Object.getOwnPropertyDescriptor(map, "trapped")?.value, 5);
  } finally {
    delete Object.prototype.trapped;
  }
});

test("names of every length come out as they went in, again and again", () => {
  const texts = [];
  for (let length = 0; length < 40; length++) {
    for (let n = 0; n < 40; n++) texts.push("é".repeat(length % 3) + String.fromCharCode(97 + (n % 26)).repeat(length) + n);
  }
  for (let round = 0; round < 3; round++) {
    for (const text of texts) {
      const bytes = ascii(text);
      const map = decodeMap(join(Uint8Array.of(0x81, 0xd9, bytes.length), bytes, hex("07")));
      assert.deepEqual(map, { [text]: 7 });
    }
  }
});

test("a name that is remembered does not change with the frame it came in", () => {
  const frame = join(hex("81"), short("fleeting"), hex("07"));
  assert.deepEqual(decodeMap(frame), { fleeting: 7 });
  frame.set(ascii("resting!"), 2);
  assert.deepEqual(decodeMap(frame), { "resting!": 7 });
  assert.deepEqual(decodeMap(join(hex("81"), short("fleeting"), hex("08"))), { fleeting: 8 });
});

test("depth is what stands inside one another, not beside", () => {
  const lists = new Uint8Array(40).fill(0x90);
  const maps = new Uint8Array(40).fill(0x80);
  const { a, b } = decodeMap(join(hex("82 a1 61 dc 0028"), lists, hex("a1 62 dc 0028"), maps));
  assert.deepEqual([a.length, b.length], [40, 40]);
});

test("more members than there are bytes for are refused before the first is read", () => {
  // Three members need six bytes, and the first one of these five would be refused for its type.
  const tooFew = (error) => error instanceof EnvelopeError && /too early/.test(error.reason);
  assert.throws(() => decodeMap(hex("83 a1 61 c1 a1 62")), tooFew);
  assert.throws(() => decodeMap(hex("81 a1 61 94 c1 01 02")), tooFew);
});

test("text of every length and every width is what TextDecoder makes of it", () => {
  const bytesOf = (text) => join(Uint8Array.of(0xd9), Uint8Array.of(ascii(text).length), ascii(text));
  for (let length = 0; length < 30; length++) {
    for (const last of ["x", "é", "心", "\u{1f493}", "\ufeff", "\0"]) {
      for (const text of ["a".repeat(length) + last, last + "a".repeat(length)]) {
        assert.deepEqual(decodeMap(join(hex("81 a1 74"), bytesOf(text))), { t: text });
      }
    }
  }
});

test("integers of eight bytes around 2^53", () => {
  const wide = (lead, value) => join(hex("81 a1 6e"), Uint8Array.of(lead), new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, value)).buffer).reverse());
  for (let off = -3n; off <= 3n; off++) {
    for (const [lead, value] of [
      [0xcf, 2n ** 53n + off],
      [0xd3, 2n ** 53n + off],
      [0xd3, -(2n ** 53n) + off],
      [0xd3, -(2n ** 32n) + off],
      [0xcf, 2n ** 32n + off],
      [0xd3, off],
    ]) {
      if (value >= -(2n ** 53n) && value <= 2n ** 53n) assert.equal(BigInt(decodeMap(wide(lead, value)).n), value);
      else assert.throws(() => decodeMap(wide(lead, value)), EnvelopeError);
    }
  }
});

test("a declared length allocates nothing", () => {
  // Thirty lists inside one another, each of which claims all that is behind it.
  const size = 1 << 20;
  const bytes = new Uint8Array(size).fill(0xc0);
  bytes.set(hex("81 a1 61"));
  for (let depth = 0; depth < 31; depth++) {
    const at = 3 + 5 * depth;
    bytes[at] = 0xdd;
    new DataView(bytes.buffer).setUint32(at + 1, size - at - 5);
  }
  const before = process.memoryUsage().heapUsed;
  assert.throws(() => decodeMap(bytes), EnvelopeError);
  assert.ok(process.memoryUsage().heapUsed - before < 64 * size);
});
