import assert from "node:assert/strict";
import { test } from "node:test";

import { CONTROL, EnvelopeError, MESSAGE, SAMPLES, decodeEnvelope } from "../../wsserver/client/js/envelope.js";
import { SAMPLES_MAP, ascii, frame, hex, join, samplesBody } from "./frames.js";
import { vectorsOf } from "./golden-vectors.js";

const LENGTHS = "the body's lengths do not fit";
const LIMIT = "the body is over the limit";
const META = "_meta is not an id and a log";
const PADDING = "the padding is not zero";
const ARRAYS = { int16: Int16Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };

function refused(bytes, reason, options) {
  assert.throws(
    () => decodeEnvelope(bytes, options),
    (error) => error instanceof EnvelopeError && error.reason === reason && error.message === reason,
  );
}

for (const { name, hex: text, envelope, error, max_size: maxSize, kinds } of vectorsOf("envelopes.json")) {
  // A client takes every kind.
  if (kinds) continue;
  test(`golden: ${name}`, () => {
    const bytes = hex(text);
    if (error) {
      refused(bytes.buffer, error, { maxSize });
      return;
    }
    const { samples, ...expected } = structuredClone(envelope);
    if (samples) expected.body[samples.field] = ARRAYS[samples.type].from(expected.body[samples.field]);
    assert.deepEqual(decodeEnvelope(bytes.buffer), expected);
    for (const offset of [1, 2, 4, 8]) {
      const inside = join(new Uint8Array(offset), bytes, new Uint8Array(1)).subarray(offset, -1);
      assert.deepEqual(decodeEnvelope(inside), expected);
    }
  });
}

const samplesFrame = (parts = {}, header = {}) =>
  frame({ kind: 2, sampleType: 1, body: samplesBody(parts), ...header });

test("a message, byte by byte", () => {
  const wire = hex(`b1 01 02 00  0b000000  2a00000000000000  4022224648470600  18000000  18000000
    70617469656e743a 3132330000000000
    82 a5 5f6d657461 82 a2 6964 a3 6d5f31 a3 6c6f67 a1 6b a1 6e 01`);
  assert.deepEqual(new Uint8Array(frame()), wire);
  assert.deepEqual(decodeEnvelope(wire.buffer), {
    kind: MESSAGE,
    topic: "patient:123",
    seq: 42,
    time: 1767225600123456,
    body: {
      _meta: { id: "m_1", topic: "patient:123", log: "k", seq: 42, ts: "2026-01-01T00:00:00.123Z" },
      n: 1,
    },
  });
});

test("the members of _meta and of the body stand in JSON's order, _meta first", () => {
  const { body } = decodeEnvelope(frame());
  assert.deepEqual(Object.keys(body), ["_meta", "n"]);
  assert.deepEqual(Object.keys(body._meta), ["id", "topic", "log", "seq", "ts"]);
});

test("a control frame has no topic and its body is as it is", () => {
  assert.deepEqual(decodeEnvelope(frame({ kind: 3 })), { kind: CONTROL, topic: null, seq: 0, time: 1767225600123456, body: { n: 1 } });
});

test("samples of every type stand in their field", () => {
  for (const [sampleType, values] of [
    [1, Int16Array.of(-32768, 0, 32767)],
    [2, Int32Array.of(-2147483648, 5, 2147483647)],
    [3, Float32Array.of(-0.5, 0.1, 3e38)],
    [4, Float64Array.of(-0.1, 1e-300, 1e300)],
  ]) {
    const decoded = decodeEnvelope(samplesFrame({ values }, { sampleType }));
    assert.equal(decoded.kind, SAMPLES);
    assert.deepEqual(decoded.body.data, values);
    assert.equal(decoded.body.data.constructor, values.constructor);
    assert.deepEqual(Object.keys(decoded.body), ["_meta", "data"]);
  }
});

test("no samples are samples", () => {
  assert.deepEqual(decodeEnvelope(samplesFrame({ values: new Int16Array(0) })).body.data, new Int16Array(0));
});

test("samples are not copied out of a frame that stands where they can be read", () => {
  const values = Float64Array.of(1, 2, 3);
  const wire = samplesFrame({ values }, { sampleType: 4 });
  assert.equal(decodeEnvelope(wire).body.data.buffer, wire);
  for (const offset of [8, 16]) {
    const inside = join(new Uint8Array(offset), new Uint8Array(wire), new Uint8Array(3)).subarray(offset, offset + wire.byteLength);
    assert.equal(decodeEnvelope(inside).body.data.buffer, inside.buffer);
    assert.deepEqual(decodeEnvelope(inside).body.data, values);
  }
});

test("a frame at any place of a buffer gives the same", () => {
  for (const [sampleType, values] of [
    [1, Int16Array.of(1, -2, 3)],
    [2, Int32Array.of(1, -2, 3)],
    [3, Float32Array.of(1, -2, 3)],
    [4, Float64Array.of(1, -2, 3)],
  ]) {
    const wire = samplesFrame({ values }, { sampleType });
    for (let offset = 0; offset < 9; offset++) {
      const inside = join(new Uint8Array(offset).fill(0xaa), new Uint8Array(wire), Uint8Array.of(0xbb)).subarray(offset, -1);
      assert.deepEqual(decodeEnvelope(inside), decodeEnvelope(wire));
    }
  }
});

test("the time is cut off to the millisecond, as the server does it", () => {
  for (const [time, text] of [
    [0n, "1970-01-01T00:00:00.000Z"],
    [999n, "1970-01-01T00:00:00.000Z"],
    [1767225600123999n, "2026-01-01T00:00:00.123Z"],
    [9007199254739999n, "2255-06-05T23:47:34.739Z"],
  ]) {
    assert.equal(decodeEnvelope(frame({ time })).body._meta.ts, text, String(time));
  }
});

test("seq and time are exact up to 2^53", () => {
  const edge = 2n ** 53n;
  for (const value of [0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 7n, edge - 1n, edge]) {
    const { seq, time, body } = decodeEnvelope(frame({ seq: value, time: value }));
    assert.deepEqual([seq, time, body._meta.seq], [Number(value), Number(value), Number(value)]);
  }
  for (const value of [edge + 1n, edge + 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    refused(frame({ seq: value }), "seq is out of range");
    refused(frame({ time: BigInt.asIntN(64, value) }), "the time is out of range");
  }
});

test("lengths that lie are refused, in both directions", () => {
  const { byteLength } = frame();
  for (const off of [-24, -8, -1, 1, 8, 2 ** 31, 2 ** 32 - 25]) {
    refused(frame({ sent: 24 + off }), LENGTHS);
    refused(frame({ size: 24 + off }), 24 + off > 2 ** 20 ? LIMIT : LENGTHS);
    refused(frame({ sent: 24 + off, size: 24 + off }), 24 + off > 2 ** 20 ? LIMIT : LENGTHS);
  }
  for (let cut = 32; cut < byteLength; cut++) refused(frame().slice(0, cut), LENGTHS);
  refused(join(new Uint8Array(frame()), Uint8Array.of(0)), LENGTHS);
});

test("the size of a body is bounded by what the caller allows, and by a mebibyte without a word", () => {
  assert.equal(decodeEnvelope(frame(), { maxSize: 24 }).seq, 42);
  refused(frame(), LIMIT, { maxSize: 23 });
  refused(frame({ size: 2 ** 20 + 1 }), LIMIT);
  refused(frame({ compressed: true, size: 2 ** 32 - 1 }), LIMIT);
  refused(frame({ compressed: true, size: 2 ** 20 }), LENGTHS);
});

test("every byte of a padding must be zero", () => {
  for (let at = 0; at < 5; at++) refused(frame({ topicPadding: new Uint8Array(5).fill(1, at, at + 1) }), PADDING);
  const gap = 8 - (SAMPLES_MAP.length % 8);
  assert.ok(gap > 1 && gap < 8);
  for (let at = 0; at < gap; at++) refused(samplesFrame({ padding: new Uint8Array(gap).fill(1, at, at + 1) }), PADDING);
});

test("every byte of a topic must be visible ASCII", () => {
  for (let byte = 0; byte < 256; byte++) {
    const wire = frame({ topicBytes: Uint8Array.of(0x61, byte), topicPadding: new Uint8Array(6) });
    if (byte > 0x20 && byte < 0x7f) assert.equal(decodeEnvelope(wire).topic, `a${String.fromCharCode(byte)}`);
    else refused(wire, "the topic is not visible ASCII");
  }
});

test("a field named __proto__ gets its samples and pollutes nothing", () => {
  const map = join(hex("82 a5 5f6d657461 82 a2 6964 a3 6d5f31 a3 6c6f67 a1 6b a8 5f73616d706c6573 a9"), ascii("__proto__"));
  const { body } = decodeEnvelope(samplesFrame({ map }));
  assert.equal(Object.getPrototypeOf(body), Object.prototype);
  assert.deepEqual(Object.getOwnPropertyDescriptor(body, "__proto__")?.value, Int16Array.of(1, -2, 300));
});

test("an id and a log are text", () => {
  refused(frame({ body: hex("81 a5 5f6d657461 82 a2 6964 01 a3 6c6f67 a1 6b") }), META);
  refused(frame({ body: hex("81 a5 5f6d657461 82 a2 6964 a3 6d5f31 a3 6c6f67 01") }), META);
});

test("what every object inherits is no _meta and no name of samples", () => {
  const taken = { _meta: { id: "m_1", log: "k" }, _samples: "data", id: "m_1", log: "k" };
  Object.assign(Object.prototype, taken);
  try {
    assert.deepEqual(Object.keys(decodeEnvelope(frame({ body: hex("80") })).body), []);
    refused(frame({ body: hex("81 a5 5f6d657461 80") }), META);
    refused(frame({ body: hex("81 a5 5f6d657461 82 a1 61 01 a1 62 02") }), META);
    refused(samplesFrame({ map: hex("80") }), "the samples have no field of their own");
  } finally {
    for (const name of Object.keys(taken)) delete Object.prototype[name];
  }
});
