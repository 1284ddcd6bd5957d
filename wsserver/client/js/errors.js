// @ts-check
/** @import {ClientErrorShape} from "./types.js" */

/**
 * What went wrong. `code` is a number of the protocol (1001 to 1015) or a word of the client; the text holds no
 * token, no session id and no message.
 *
 * @implements {ClientErrorShape}
 */
export class ClientError extends Error {
  /**
   * @param {number | string} code
   * @param {string} message
   * @param {{reason?: string, closeCode?: number, retryAfterMs?: number, requestId?: string, topic?: string,
   *   details?: unknown, cause?: unknown}} [more]
   */
  constructor(code, message, more = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "ClientError";
    this.code = code;
    this.reason = more.reason ?? String(code);
    /** @type {number | undefined} */ this.closeCode = more.closeCode;
    /** @type {number | undefined} */ this.retryAfterMs = more.retryAfterMs;
    /** @type {string | undefined} */ this.requestId = more.requestId;
    /** @type {string | undefined} */ this.topic = more.topic;
    /** @type {unknown} */ this.details = more.details;
  }

  /**
   * The error that an `error` frame, or an entry of `errors`, tells.
   *
   * @param {Record<string, any>} frame
   */
  static fromFrame(frame) {
    return new ClientError(frame.code, String(frame.message), {
      reason: frame.name,
      retryAfterMs: frame.retry_after_ms,
      requestId: frame.request_id,
      topic: frame.topic,
      details: frame.details,
    });
  }
}
