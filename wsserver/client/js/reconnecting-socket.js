// @ts-check
/** @import {ReconnectingSocketEvent, SocketLike} from "./types.js" */

/**
 * What a `ReconnectingSocket` needs of the one who keeps the connection.
 *
 * @typedef {object} SocketOwner
 * @property {() => SocketLike | null} socket the open one
 * @property {() => string} url
 * @property {() => boolean} isEnded
 * @property {(data: any) => unknown} send
 * @property {(code: number, reason: string) => unknown} close
 */

const TYPES = /** @type {const} */ (["open", "message", "close", "error"]);

/**
 * Has the shape of a `WebSocket` and always stands for the current one. While there is none `readyState` is
 * `CONNECTING`, and what is sent waits in the queue. Frames come as they arrived, those of the server itself and
 * duplicates included: for published messages in order and once use the service's `message` event.
 */
export class ReconnectingSocket {
  /** @readonly */ static CONNECTING = 0;
  /** @readonly */ static OPEN = 1;
  /** @readonly */ static CLOSING = 2;
  /** @readonly */ static CLOSED = 3;
  /** @readonly */ CONNECTING = 0;
  /** @readonly */ OPEN = 1;
  /** @readonly */ CLOSING = 2;
  /** @readonly */ CLOSED = 3;
  /** @type {((event: ReconnectingSocketEvent) => void) | null} */ onopen = null;
  /** @type {((event: ReconnectingSocketEvent) => void) | null} */ onmessage = null;
  /** @type {((event: ReconnectingSocketEvent) => void) | null} */ onclose = null;
  /** @type {((event: ReconnectingSocketEvent) => void) | null} */ onerror = null;
  /** Binary frames are decoded from it. @type {"arraybuffer"} */
  binaryType = "arraybuffer";
  extensions = "";
  /** @type {Record<string, Map<any, boolean>>} */
  #listeners = { open: new Map(), message: new Map(), close: new Map(), error: new Map() };
  #protocol = "";
  #owner;
  #onFault;

  /** @param {SocketOwner} owner @param {(fault: unknown, type: string) => void} onFault a listener has thrown */
  constructor(owner, onFault) {
    this.#owner = owner;
    this.#onFault = onFault;
  }

  /** @returns {0 | 1 | 2 | 3} */
  get readyState() {
    if (this.#owner.isEnded()) return this.CLOSED;
    return this.#owner.socket() === null ? this.CONNECTING : this.OPEN;
  }

  get url() {
    return this.#owner.url();
  }

  /** Of the current connection, or the last one. */
  get protocol() {
    return (this.#protocol = this.#owner.socket()?.protocol ?? this.#protocol);
  }

  get bufferedAmount() {
    return this.#owner.socket()?.bufferedAmount ?? 0;
  }

  /**
   * Send a command: an object, or its JSON text. Without a connection it waits in the queue.
   *
   * @param {object | string | ArrayBuffer | ArrayBufferView} data binary frames are not kept
   * @throws {TypeError} for text that is no JSON object
   */
  send(data) {
    this.#owner.send(data);
  }

  /** End the connection for good. */
  close(code = 1000, reason = "") {
    this.#owner.close(code, reason);
  }

  /**
   * @param {"open" | "message" | "close" | "error"} type
   * @param {((event: ReconnectingSocketEvent) => void) | {handleEvent(event: ReconnectingSocketEvent): void} | null} listener
   * @param {boolean | {once?: boolean, signal?: AbortSignal}} [options]
   */
  addEventListener(type, listener, options) {
    if (listener === null || !TYPES.includes(type)) return;
    const { once = false, signal } = typeof options === "object" ? options : {};
    if (signal?.aborted || this.#listeners[type].has(listener)) return;
    this.#listeners[type].set(listener, once);
    signal?.addEventListener("abort", () => this.removeEventListener(type, listener), { once: true });
  }

  /** @param {"open" | "message" | "close" | "error"} type @param {object | null} listener */
  removeEventListener(type, listener) {
    this.#listeners[type]?.delete(listener);
  }

  /** Tell the listeners. @internal @param {ReconnectingSocketEvent["type"]} type @param {object} [members] */
  dispatch(type, members) {
    const event = { type, target: this, ...members };
    const own = this[`on${type}`];
    if (typeof own === "function") this.#call(own, event);
    for (const [listener, once] of [...this.#listeners[type]]) {
      if (once) this.#listeners[type].delete(listener);
      this.#call(listener, event);
    }
  }

  /** @param {any} listener @param {ReconnectingSocketEvent} event */
  #call(listener, event) {
    try {
      if (typeof listener === "function") listener.call(this, event);
      else listener.handleEvent(event);
    } catch (fault) {
      this.#onFault(fault, event.type);
    }
  }
}
