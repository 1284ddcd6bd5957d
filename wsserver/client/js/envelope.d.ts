/**
 * Frames of the subprotocol `wsserver.v1.bin`, decoding only: commands may always be sent as JSON text.
 *
 * A header of 32 bytes, the topic padded to a multiple of 8, the body: little-endian, and laid out such
 * that samples stand where a typed array can be put over them without a copy.
 */
import { EnvelopeError } from "./envelope-error.js";
export { EnvelopeError };
/** A message that was published. */
export declare const MESSAGE = 1;
/** A message that was published, with its samples as numbers of one type. */
export declare const SAMPLES = 2;
/** A control message: `connected`, `pong`, `error`, … */
export declare const CONTROL = 3;
export type Samples = Int16Array | Int32Array | Float32Array | Float64Array;
export type Envelope = {
    /**
     * `MESSAGE`, `SAMPLES` or `CONTROL`
     */
    kind: number;
    /**
     * of a published message; null of a control message
     */
    topic: string | null;
    /**
     * place in the message's log; 0 of a control message
     */
    seq: number;
    /**
     * of the server, in microseconds since 1970
     */
    time: number;
    /**
     * the object as it would have come in JSON, its full `_meta`
     * first; samples stand in their field as a typed array over the frame
     */
    body: Record<string, any>;
};
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
export declare function decodeEnvelope(frame: ArrayBuffer | Uint8Array<ArrayBuffer>, { maxSize }?: {
    maxSize?: number;
}): Envelope;
