/** Frames written down part by part, with any part wrong that a test wants wrong. */

/**
 * @param {string} text hexadecimal digits, blanks between them as one likes
 */
export function hex(text) {
  return Uint8Array.from(text.replaceAll(/\s/g, "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function ascii(text) {
  return new TextEncoder().encode(text);
}

export function join(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function pad(bytes) {
  return join(bytes, new Uint8Array((8 - (bytes.length % 8)) % 8));
}

/** `{"_meta": {"id": "m_1", "log": "k"}, "n": 1}` */
export const BODY = hex("82 a5 5f6d657461 82 a2 6964 a3 6d5f31 a3 6c6f67 a1 6b a1 6e 01");

/** `{"_meta": {"id": "m_1", "log": "k"}, "_samples": "data"}` */
export const SAMPLES_MAP = hex("82 a5 5f6d657461 82 a2 6964 a3 6d5f31 a3 6c6f67 a1 6b a8 5f73616d706c6573 a4 64617461");

/** 2026-01-01T00:00:00.123456Z */
export const TIME = 1767225600123456n;

/**
 * A frame, right in every part that is not given.
 *
 * @returns {ArrayBuffer}
 */
export function frame({
  magic = 0xb1,
  kind = 1,
  topic = kind === 3 ? "" : "patient:123",
  topicBytes = ascii(topic),
  topicPadding = pad(topicBytes).subarray(topicBytes.length),
  compressed = false,
  flags = (compressed ? 1 : 0) | (topicBytes.length ? 2 : 0),
  sampleType = 0,
  topicLength = topicBytes.length,
  seq = kind === 3 ? 0n : 42n,
  time = TIME,
  body = kind === 3 ? hex("81 a1 6e 01") : BODY,
  sent = body.length,
  size = body.length,
} = {}) {
  const header = new DataView(new ArrayBuffer(32));
  [magic, kind, flags, sampleType].forEach((byte, at) => header.setUint8(at, byte));
  header.setUint32(4, topicLength, true);
  header.setBigUint64(8, BigInt(seq), true);
  header.setBigInt64(16, BigInt(time), true);
  header.setUint32(24, sent, true);
  header.setUint32(28, size, true);
  return join(new Uint8Array(header.buffer), topicBytes, topicPadding, body).buffer;
}

/**
 * The body of a frame of kind 2, right in every part that is not given.
 */
export function samplesBody({
  map = SAMPLES_MAP,
  values = Int16Array.of(1, -2, 300),
  mapLength = map.length,
  count = values.length,
  padding = pad(map).subarray(map.length),
} = {}) {
  return join(
    new Uint8Array(Uint32Array.of(mapLength, count).buffer),
    map,
    padding,
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  );
}
