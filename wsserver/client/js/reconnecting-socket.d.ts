/** @import {ReconnectingSocketEvent, SocketLike} from "./types.js" */
import type { ReconnectingSocketEvent, SocketLike } from "./types.js";
export type SocketOwner = {
    /**
     * the open one
     */
    socket: () => SocketLike | null;
    url: () => string;
    isEnded: () => boolean;
    send: (data: any) => unknown;
    close: (code: number, reason: string) => unknown;
};
/**
 * Has the shape of a `WebSocket` and always stands for the current one. While there is none `readyState` is
 * `CONNECTING`, and what is sent waits in the queue. Frames come as they arrived, those of the server itself and
 * duplicates included: for published messages in order and once use the service's `message` event.
 */
export declare class ReconnectingSocket {
    #private;
    /** @readonly */ static readonly CONNECTING = 0;
    /** @readonly */ static readonly OPEN = 1;
    /** @readonly */ static readonly CLOSING = 2;
    /** @readonly */ static readonly CLOSED = 3;
    /** @readonly */ readonly CONNECTING = 0;
    /** @readonly */ readonly OPEN = 1;
    /** @readonly */ readonly CLOSING = 2;
    /** @readonly */ readonly CLOSED = 3;
    /** @type {((event: ReconnectingSocketEvent) => void) | null} */ onopen: ((event: ReconnectingSocketEvent) => void) | null;
    /** @type {((event: ReconnectingSocketEvent) => void) | null} */ onmessage: ((event: ReconnectingSocketEvent) => void) | null;
    /** @type {((event: ReconnectingSocketEvent) => void) | null} */ onclose: ((event: ReconnectingSocketEvent) => void) | null;
    /** @type {((event: ReconnectingSocketEvent) => void) | null} */ onerror: ((event: ReconnectingSocketEvent) => void) | null;
    /** Binary frames are decoded from it. @type {"arraybuffer"} */
    binaryType: "arraybuffer";
    extensions: string;
    /** @param {SocketOwner} owner @param {(fault: unknown, type: string) => void} onFault a listener has thrown */
    constructor(owner: SocketOwner, onFault: (fault: unknown, type: string) => void);
    /** @returns {0 | 1 | 2 | 3} */
    get readyState(): 0 | 1 | 2 | 3;
    get url(): string;
    /** Of the current connection, or the last one. */
    get protocol(): string;
    get bufferedAmount(): number;
    /**
     * Send a command: an object, or its JSON text. Without a connection it waits in the queue.
     *
     * @param {object | string | ArrayBuffer | ArrayBufferView} data binary frames are not kept
     * @throws {TypeError} for text that is no JSON object
     */
    send(data: object | string | ArrayBuffer | ArrayBufferView): void;
    /** End the connection for good. */
    close(code?: number, reason?: string): void;
    /**
     * @param {"open" | "message" | "close" | "error"} type
     * @param {((event: ReconnectingSocketEvent) => void) | {handleEvent(event: ReconnectingSocketEvent): void} | null} listener
     * @param {boolean | {once?: boolean, signal?: AbortSignal}} [options]
     */
    addEventListener(type: "open" | "message" | "close" | "error", listener: ((event: ReconnectingSocketEvent) => void) | {
        handleEvent(event: ReconnectingSocketEvent): void;
    } | null, options?: boolean | {
        once?: boolean;
        signal?: AbortSignal;
    }): void;
    /** @param {"open" | "message" | "close" | "error"} type @param {object | null} listener */
    removeEventListener(type: "open" | "message" | "close" | "error", listener: object | null): void;
    /** Tell the listeners. @internal @param {ReconnectingSocketEvent["type"]} type @param {object} [members] */
    dispatch(type: ReconnectingSocketEvent["type"], members?: object): void;
}
