// @ts-check
import { COMING_BACK, NO_CLOSE_SEEN } from "./close-codes.js";
import { ClientError } from "./errors.js";
import { isFrame } from "./frame-shape.js";
import { Heartbeat } from "./heartbeat.js";
/** @import {Codec} from "./codec.js" */
/** @import {ReconnectionConfig, SocketClass, SocketLike} from "./types.js" */

const OPEN = 1;

/**
 * @typedef {object} Closed
 * @property {number} code
 * @property {string} reason
 * @property {boolean} wasClean
 */

/**
 * @typedef {object} ConnectionHandlers
 * @property {() => Record<string, any>} hello the first frame
 * @property {(frame: Record<string, any>) => void} onConnected
 * @property {(frame: Record<string, any>, data: unknown) => void} onFrame every frame but `connected`
 * @property {(data: unknown) => void} onData every frame as it came, before it is read
 * @property {(data: unknown) => void} onSent
 * @property {(closed: Closed) => void} onClosed at most once, and not after `leave`
 * @property {(rttMs: number) => void} onRoundTrip
 * @property {(error: unknown) => void} onFault a frame could not be read
 */

/** The life of one socket: opened, introduced, watched, closed. Late events of one that was left reach nobody. */
export class Connection {
  /** @type {SocketLike} */ socket;
  /** `connected` has come. */
  isLive = false;
  /** The socket is open. */
  isOpen = false;
  #left = false;
  #codec;
  #handlers;
  #heartbeat;

  /**
   * @param {string} url
   * @param {SocketClass} Socket
   * @param {Codec} codec
   * @param {ReconnectionConfig} config
   * @param {ConnectionHandlers} handlers
   */
  constructor(url, Socket, codec, config, handlers) {
    this.#codec = codec;
    this.#handlers = handlers;
    this.#heartbeat = new Heartbeat({
      interval: config.heartbeatInterval,
      timeout: config.heartbeatTimeout,
      now: config.now,
      timers: config.timers,
      ping: (t) => this.send(JSON.stringify({ type: "ping", t })),
      onRoundTrip: handlers.onRoundTrip,
      onDead: () => this.#die("no sign of life"),
    });
    const socket = (this.socket = new Socket(url, codec.protocols));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.isOpen = true;
      this.send(JSON.stringify(handlers.hello()));
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => {
      if (!this.#leave()) return;
      handlers.onClosed({
        code: event?.code ?? NO_CLOSE_SEEN,
        reason: event?.reason ?? "",
        wasClean: event?.wasClean ?? false,
      });
    };
    // The close event says all that a page may know. Never taken away: where sockets are emitters of Node's kind, an
    // error that nobody listens to ends the process.
    socket.onerror = () => {};
  }

  get bufferedAmount() {
    return this.socket.bufferedAmount ?? 0;
  }

  /** Says whether the socket took it. @param {any} data */
  send(data) {
    if (this.#left || this.socket.readyState !== OPEN) return false;
    this.socket.send(data);
    this.#handlers.onSent(data);
    return true;
  }

  /** Ask the server for a sign of life now. */
  probe() {
    if (this.isLive) this.#heartbeat.probe();
  }

  /** Give this socket up; nothing is heard from it any more. @param {number} code @param {string} reason */
  leave(code = COMING_BACK, reason = "") {
    if (!this.#leave()) return;
    try {
      this.socket.close(code, reason);
    } catch {
      this.socket.close();
    }
  }

  /** The line is dead, which the socket would notice only much later. @param {string} reason */
  #die(reason) {
    if (this.#left) return;
    this.leave(COMING_BACK, reason);
    this.#handlers.onClosed({ code: NO_CLOSE_SEEN, reason, wasClean: false });
  }

  #leave() {
    if (this.#left) return false;
    this.#left = true;
    this.isOpen = this.isLive = false;
    this.#heartbeat.stop();
    const { socket } = this;
    socket.onopen = socket.onmessage = socket.onclose = null;
    return true;
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#heartbeat.heard();
    this.#handlers.onData(data);
    if (this.#left) return;
    let frame;
    try {
      frame = this.#codec.decode(data);
      if (!isFrame(frame)) throw new ClientError("bad_frame", "A frame is not of this protocol.");
    } catch (error) {
      this.#handlers.onFault(error);
      // It may have been a message. The next connection brings it again, which this one would pass over.
      this.#die("a frame that is not understood");
      return;
    }
    if (frame._meta === undefined) {
      if (frame.type === "connected" && !this.isLive) {
        this.isLive = true;
        this.#heartbeat.start();
        this.#handlers.onConnected(frame);
        return;
      }
      if (frame.type === "pong") this.#heartbeat.pong(frame.t);
    }
    this.#handlers.onFrame(frame, data);
  }
}
