/** @import {ClientErrorShape} from "./types.js" */
import type { ClientErrorShape } from "./types.js";
/**
 * What went wrong. `code` is a number of the protocol (1001 to 1015) or a word of the client; the text holds no
 * token, no session id and no message.
 *
 * @implements {ClientErrorShape}
 */
export declare class ClientError extends Error implements ClientErrorShape {
    code: string | number;
    reason: string;
    /** @type {number | undefined} */ closeCode: number | undefined;
    /** @type {number | undefined} */ retryAfterMs: number | undefined;
    /** @type {string | undefined} */ requestId: string | undefined;
    /** @type {string | undefined} */ topic: string | undefined;
    /** @type {unknown} */ details: unknown;
    /**
     * @param {number | string} code
     * @param {string} message
     * @param {{reason?: string, closeCode?: number, retryAfterMs?: number, requestId?: string, topic?: string,
     *   details?: unknown, cause?: unknown}} [more]
     */
    constructor(code: number | string, message: string, more?: {
        reason?: string;
        closeCode?: number;
        retryAfterMs?: number;
        requestId?: string;
        topic?: string;
        details?: unknown;
        cause?: unknown;
    });
    /**
     * The error that an `error` frame, or an entry of `errors`, tells.
     *
     * @param {Record<string, any>} frame
     */
    static fromFrame(frame: Record<string, any>): ClientError;
}
