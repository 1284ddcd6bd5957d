// @ts-check
/**
 * Frames of the subprotocol `wsserver.v1.bin`, decoding only: commands may always be sent as JSON text.
 *
 * A header of 32 bytes, the topic padded to a multiple of 8, the body: little-endian, and laid out such
 * that samples stand where a typed array can be put over them without a copy.
 */

import { EnvelopeError } from "./envelope-error.js";
import { decompressBlock } from "./lz4.js";
import { decodeMap, setOwn } from "./messagepack.js";

export { EnvelopeError };

/** A message that was published. */
export const MESSAGE = 1;
/** A message that was published, with its samples as numbers of one type. */
export const SAMPLES = 2;
/** A control message: `connected`, `pong`, `error`, … */
export const CONTROL = 3;

const MAGIC = 0xb1;
const HEADER_SIZE = 32;
const COMPRESSED = 1;
const WITH_TOPIC = 2;
const MAX_TOPIC = 130;
const ALIGNMENT = 8;
const DEFAULT_MAX_SIZE = 2 ** 20;
const WORD = 2 ** 32;
// The upper half of 2^53, up to which numbers are exact.
const MAX_HIGH = 2 ** 21;
// A byte of an LZ4 block stands for at most so many.
const LZ4_EXPANSION = 255;

const META = "_meta";
const SAMPLES_FIELD = "_samples";
/** Lengths of the map and of the samples, before both. */
const COUNTS_SIZE = 8;
/** By their number in the header. */
const SAMPLE_ARRAYS = [null, Int16Array, Int32Array, Float32Array, Float64Array];
const FIRST_FLOAT = 3;

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** @typedef {Int16Array | Int32Array | Float32Array | Float64Array} Samples */

/**
 * @typedef {object} Envelope
 * @property {number} kind `MESSAGE`, `SAMPLES` or `CONTROL`
 * @property {string | null} topic of a published message; null of a control message
 * @property {number} seq place in the message's log; 0 of a control message
 * @property {number} time of the server, in microseconds since 1970
 * @property {Record<string, any>} body the object as it would have come in JSON, its full `_meta`
 *   first; samples stand in their field as a typed array over the frame
 */

/**
 * Decode one frame, as strictly as the server does it.
 *
 * Samples are not copied: whoever keeps them keeps the frame.
 *
 * @param {ArrayBuffer | Uint8Array<ArrayBuffer>} frame what `event.data` holds with `binaryType = "arraybuffer"`
 * @param {{maxSize?: number}} [options] `maxSize`: bytes that a body may have after decompression, at most
 *   (`max_message_size` of `connected`); 1 MiB unless given
 * @returns {Envelope}
 * @throws {EnvelopeError} on any violation, before anything is allocated for it
 */
export function decodeEnvelope(frame, { maxSize = DEFAULT_MAX_SIZE } = {}) {
  const bytes = frame instanceof Uint8Array ? frame : new Uint8Array(frame);
  demand(bytes.length >= HEADER_SIZE, "the frame is shorter than its header");
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE);
  demand(bytes[0] === MAGIC, "the first byte is not 0xB1");
  const kind = bytes[1];
  const flags = bytes[2];
  const sampleType = bytes[3];
  demand(kind >= MESSAGE && kind <= CONTROL, "the kind is unknown");
  demand((flags & ~(COMPRESSED | WITH_TOPIC)) === 0, "the flags are unknown");
  const typeFits = kind === SAMPLES ? sampleType >= 1 && sampleType <= 4 : sampleType === 0;
  demand(typeFits, "the sample type does not fit the kind");
  const topicLength = header.getUint32(4, true);
  const hasTopic = (flags & WITH_TOPIC) !== 0;
  demand(hasTopic === (kind !== CONTROL), "the topic's length does not fit");
  demand(hasTopic ? topicLength >= 1 && topicLength <= MAX_TOPIC : topicLength === 0, "the topic's length does not fit");
  const seq = readNumber(header, 8);
  demand(hasTopic ? seq >= 0 : seq === 0, "seq is out of range");
  const time = readNumber(header, 16);
  demand(time >= 0, "the time is out of range");
  const sent = header.getUint32(24, true);
  const size = header.getUint32(28, true);
  demand(size <= maxSize, "the body is over the limit");
  const start = HEADER_SIZE + padded(topicLength);
  const compressed = (flags & COMPRESSED) !== 0;
  const sizeFits = compressed ? sent < size && size <= sent * LZ4_EXPANSION : sent === size;
  demand(start + sent === bytes.length && sizeFits, "the body's lengths do not fit");
  const topic = hasTopic ? readTopic(bytes, topicLength) : null;

  const sentBody = bytes.subarray(start);
  const content = compressed ? decompressBlock(sentBody, size) : sentBody;
  const body = kind === SAMPLES ? decodeSamples(content, sampleType) : decodeMap(content);
  if (topic !== null) completeMeta(body, topic, seq, time);
  return { kind, topic, seq, time, body };
}

/**
 * @param {boolean} condition
 * @param {string} reason
 * @returns {asserts condition}
 */
function demand(condition, reason) {
  if (!condition) throw new EnvelopeError(reason);
}

/**
 * @param {number} length
 */
function padded(length) {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

/**
 * The 64 bits at `at` as long as they are a number from 0 to 2^53, else -1.
 *
 * @param {DataView} view
 * @param {number} at
 */
function readNumber(view, at) {
  const high = view.getUint32(at + 4, true);
  const low = view.getUint32(at, true);
  return high < MAX_HIGH || (high === MAX_HIGH && low === 0) ? high * WORD + low : -1;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} length
 */
function readTopic(bytes, length) {
  const end = HEADER_SIZE + length;
  let topic = "";
  for (let i = HEADER_SIZE; i < end; i++) {
    demand(bytes[i] > 0x20 && bytes[i] < 0x7f, "the topic is not visible ASCII");
    topic += String.fromCharCode(bytes[i]);
  }
  demandZeros(bytes, end, HEADER_SIZE + padded(length));
  return topic;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} from
 * @param {number} to
 */
function demandZeros(bytes, from, to) {
  for (let i = from; i < to; i++) demand(bytes[i] === 0, "the padding is not zero");
}

/**
 * The members of a message and its samples, put together again.
 *
 * @param {Uint8Array<ArrayBuffer>} content
 * @param {number} sampleType
 */
function decodeSamples(content, sampleType) {
  demand(content.length >= COUNTS_SIZE, "the samples' lengths do not fit");
  const counts = new DataView(content.buffer, content.byteOffset, COUNTS_SIZE);
  const mapEnd = COUNTS_SIZE + counts.getUint32(0, true);
  const count = counts.getUint32(4, true);
  const start = padded(mapEnd);
  const Type = /** @type {typeof Int16Array} */ (SAMPLE_ARRAYS[sampleType]);
  demand(start + count * Type.BYTES_PER_ELEMENT === content.length, "the samples' lengths do not fit");
  demandZeros(content, mapEnd, start);
  const body = decodeMap(content, COUNTS_SIZE, mapEnd);
  const field = Object.hasOwn(body, SAMPLES_FIELD) ? body[SAMPLES_FIELD] : null;
  const free = typeof field === "string" && field !== META && !Object.hasOwn(body, field);
  demand(free, "the samples have no field of their own");
  delete body[SAMPLES_FIELD];
  const samples = samplesOver(content, start, count, Type);
  demand(sampleType < FIRST_FLOAT || allFinite(samples), "a sample is not finite");
  setOwn(body, field, samples);
  return body;
}

/**
 * @param {Uint8Array<ArrayBuffer>} content
 * @param {number} start
 * @param {number} count
 * @param {typeof Int16Array} Type
 * @returns {Samples}
 */
function samplesOver(content, start, count, Type) {
  const at = content.byteOffset + start;
  const size = Type.BYTES_PER_ELEMENT;
  // A frame inside another buffer may stand anywhere, and a typed array may not.
  if (LITTLE_ENDIAN && at % size === 0) return new Type(content.buffer, at, count);
  const copy = content.slice(start);
  if (!LITTLE_ENDIAN) for (let i = 0; i < copy.length; i += size) copy.subarray(i, i + size).reverse();
  return new Type(copy.buffer);
}

/**
 * @param {Samples} samples
 */
function allFinite(samples) {
  for (let i = 0; i < samples.length; i++) if (!Number.isFinite(samples[i])) return false;
  return true;
}

/**
 * What stands in the header goes back into `_meta`, where JSON has it.
 *
 * @param {Record<string, any>} body
 * @param {string} topic
 * @param {number} seq
 * @param {number} time
 */
function completeMeta(body, topic, seq, time) {
  if (!Object.hasOwn(body, META)) return;
  const { [META]: meta } = body;
  const complete =
    isMap(meta) && Object.keys(meta).length === 2 && typeof own(meta, "id") === "string" && typeof own(meta, "log") === "string";
  demand(complete, "_meta is not an id and a log");
  // The first member stays the first when it gets another value.
  body[META] = { id: meta.id, topic, log: meta.log, seq, ts: utcText(time) };
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
function isMap(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {Record<string, any>} map
 * @param {string} name
 */
function own(map, name) {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}

/**
 * RFC 3339 in UTC with milliseconds, as the server writes it in JSON: cut off, not rounded.
 *
 * @param {number} time microseconds since 1970
 */
function utcText(time) {
  // Up to 2^53 the quotient is never rounded to the next millisecond: half its last place is below 0.001.
  return new Date(Math.floor(time / 1000)).toISOString();
}
