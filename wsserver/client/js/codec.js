// @ts-check
import { ClientError } from "./errors.js";

export const JSON_PROTOCOL = "wsserver.v1.json";
export const BINARY_PROTOCOL = "wsserver.v1.bin";

/**
 * A message may grow to this size; the server tells its own bound in `connected`, which holds for what clients send.
 */
const MAX_SIZE = 64 * 1024 * 1024;

/**
 * @typedef {object} Codec
 * @property {string[]} protocols what is offered, the favourite first
 * @property {(data: unknown) => Record<string, any>} decode throws ClientError
 */

/** @type {Codec} */
const JSON_CODEC = {
  protocols: [JSON_PROTOCOL],
  decode(data) {
    if (typeof data !== "string") throw new ClientError("bad_frame", "A binary frame came where text was agreed on.");
    return readText(data);
  },
};

/**
 * The codec of that name. The decoder of binary frames is loaded only by those who use it.
 *
 * @param {"json" | "binary" | "auto"} name
 * @returns {Promise<Codec>}
 * @throws {ClientError} if `binary` has no decoder
 */
export async function loadCodec(name) {
  if (name === "json") return JSON_CODEC;
  let decodeEnvelope;
  try {
    ({ decodeEnvelope } = await import("./envelope.js"));
  } catch (cause) {
    if (name === "auto") return JSON_CODEC;
    throw new ClientError("no_decoder", "The decoder of binary frames could not be loaded.", { cause });
  }
  return {
    protocols: [BINARY_PROTOCOL, JSON_PROTOCOL],
    decode(data) {
      if (typeof data === "string") return readText(data);
      try {
        return /** @type {any} */ (decodeEnvelope(/** @type {ArrayBuffer} */ (data), { maxSize: MAX_SIZE }).body);
      } catch (cause) {
        throw new ClientError("bad_frame", "A binary frame could not be read.", { cause });
      }
    },
  };
}

/** @param {string} text */
function readText(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    // Without a cause: the parser's text quotes the message.
    throw new ClientError("bad_frame", "A text frame is not JSON.");
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new ClientError("bad_frame", "A text frame is no JSON object.");
  }
  return value;
}

/** @param {unknown} data @returns {number} characters of text, bytes of anything else */
export function sizeOf(data) {
  if (typeof data === "string") return data.length;
  return /** @type {any} */ (data)?.byteLength ?? /** @type {any} */ (data)?.size ?? 0;
}
