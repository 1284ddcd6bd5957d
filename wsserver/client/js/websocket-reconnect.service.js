// @ts-check
import { NORMAL } from "./close-codes.js";
import { sizeOf } from "./codec.js";
import { Conversation } from "./conversation.js";
import { Emitter } from "./emitter.js";
import { ClientError } from "./errors.js";
import { EVENTS } from "./events.js";
import { Link } from "./link.js";
import { Metrics } from "./metrics.js";
import { readConfig, readConnectOptions } from "./options.js";
import { PageLifecycle } from "./page-lifecycle.js";
import { ReconnectingSocket } from "./reconnecting-socket.js";
import { Tokens } from "./tokens.js";
/** @import {Address, Command, ConnectedEvent, ConnectOptions, DisconnectedEvent, Filters} from "./types.js" */
/** @import {Metrics as Figures, QueueOptions, QueueOutcome, ReconnectionConfig} from "./types.js" */
/** @import {ServiceEvents, State, SubscribeOptions, Subscription, Unsubscribed} from "./types.js" */

/**
 * A connection to the server that comes back by itself and goes on where it was.
 *
 * ```js
 * const service = new WebSocketReconnectService({ getToken: () => fetch("/token").then((r) => r.text()) });
 * service.on("message", ({ data }) => show(data));
 * service.on("gap", (gap) => showHole(gap));
 * await service.connect("wss://ward.example/ws/connect", { userId: "dr1", subscriptions: ["patient:123"] });
 * ```
 */
export class WebSocketReconnectService {
  /**
   * Configuration for every service that is not given its own: set `getToken` here where `connect` passes no token.
   *
   * @type {Partial<ReconnectionConfig>}
   */
  static defaults = {};

  /** @type {State} */ #state = "idle";
  /** @type {Link | null} */ #link = null;
  /** @type {ReconnectingSocket | null} */ #socket = null;
  /** Settles the promise of `connect`. @type {Deferred<ReconnectingSocket> | null} */ #connecting = null;
  /** What `connect` was given. @type {{address: Address, options: ConnectOptions} | null} */ #target = null;
  /** @type {() => void} */ #forgetSignal = () => {};
  #metrics = new Metrics();
  #conversation;
  #emitter;
  #config;

  /**
   * @param {Partial<ReconnectionConfig>} [config]
   * @throws {TypeError} for an option that does not exist or has the wrong type
   * @throws {RangeError} for a number or word out of bounds
   */
  constructor(config = {}) {
    this.#config = readConfig(WebSocketReconnectService.defaults, config);
    this.#emitter = /** @type {Emitter<ServiceEvents>} */ (
      new Emitter(EVENTS, (fault, event) => this.#handlerFailed(fault, event))
    );
    this.#conversation = this.#converse();
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /**
   * Connect, and stay connected until `disconnect`. Resolves when the server has let this client in; a connection
   * that there was is ended.
   *
   * @param {Address} address `wss://…/ws/connect`, or what gives it before each attempt
   * @param {ConnectOptions} options
   * @returns {Promise<ReconnectingSocket>}
   * @throws {ClientError} when the server's word is final, or the attempts are used up
   * @throws {TypeError} for options that do not exist or have the wrong type
   */
  async connect(address, options) {
    readConnectOptions(options);
    const { signal } = options;
    if (signal?.aborted) throw signal.reason;
    if (this.#link !== null) this.disconnect(NORMAL, "connecting anew");
    this.#socket = null;
    this.#target = { address, options };
    const onAbort = () => this.#stop(NORMAL, "aborted", signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#forgetSignal = () => signal?.removeEventListener("abort", onAbort);
    const connecting = (this.#connecting = withResolvers());
    this.#start();
    return connecting.promise;
  }

  /**
   * End the connection; nothing is tried, sent or told any more. `connect` begins anew.
   *
   * @param {number} [code] 1000, or 3000 to 4999
   * @param {string} [reason]
   */
  disconnect(code = NORMAL, reason = "") {
    this.#stop(code, reason, new ClientError("disconnected", "disconnect was called."));
  }

  /**
   * Connect anew now: after `reconnect_failed`, after a final close, or because the caller knows better.
   *
   * @throws {ClientError} if there was no `connect`
   */
  reconnect() {
    if (this.#link !== null) this.#link.reconnect();
    else if (this.#target !== null) this.#start();
    else throw new ClientError("not_connected", "There is nothing to reconnect: call connect.");
  }

  /**
   * Call `listener` for each such event; what is returned takes it away again. Of the promises that listeners of
   * `message` and `gap` return the next message waits.
   *
   * @template {keyof ServiceEvents} K
   * @param {K} event
   * @param {(payload: ServiceEvents[K]) => unknown} listener
   * @returns {() => void}
   * @throws {TypeError} for an event that does not exist
   */
  on(event, listener) {
    return this.#emitter.on(event, listener);
  }

  /**
   * @template {keyof ServiceEvents} K
   * @param {K} event
   * @param {(payload: ServiceEvents[K]) => unknown} listener
   * @returns {() => void}
   */
  once(event, listener) {
    return this.#emitter.once(event, listener);
  }

  /**
   * @template {keyof ServiceEvents} K
   * @param {K} event
   * @param {(payload: ServiceEvents[K]) => unknown} listener
   */
  off(event, listener) {
    this.#emitter.off(event, listener);
  }

  /**
   * Send a command, or keep it until there is a connection. A `subscribe` or `unsubscribe` changes what is wanted,
   * and holds for later connections too. Does not throw, but for a full queue with `queueOverflow: "throw"`; what
   * cannot be sent is
   * `dropped` and told by `error`.
   *
   * @param {object} message
   * @param {QueueOptions} [options]
   * @returns {QueueOutcome}
   */
  queueMessage(message, options = {}) {
    return this.#conversation.queue(message, options);
  }

  /**
   * Send a command with an answer now.
   *
   * @param {Command} command `broadcast`, `health_check`, `refresh` and the like
   * @returns {Promise<Record<string, any>>} the answer
   * @throws {ClientError} the server's error; `not_connected`, `connection_lost`, `no_answer` after `connectionTimeout`
   */
  request(command) {
    return this.#conversation.request(command);
  }

  /**
   * Subscribe now and on every later connection. Resolves with the server's confirmation, whenever that comes. A
   * refusal is told by `error` as well, so the promise may be left alone.
   *
   * @param {string} type `patient`, a type, or a whole topic such as `patient:123`, `type:ecg` or `*`
   * @param {string | number | null} [targetId] every target if missing
   * @param {Filters | null} [filters] replaces the filters of a subscription to the same topic
   * @param {SubscribeOptions} [options] `breakGlass` states why the user must see a patient whom the user may not see
   * @returns {Promise<Subscription>}
   * @throws {ClientError} the server's refusal; what was in force before stays
   */
  subscribe(type, targetId, filters, options) {
    return quiet(async () => this.#conversation.subscribe(type, targetId, filters, options));
  }

  /**
   * @param {string} type as in `subscribe`
   * @param {string | number | null} [targetId]
   * @returns {Promise<Unsubscribed>}
   */
  unsubscribe(type, targetId) {
    return quiet(async () => this.#conversation.unsubscribe(type, targetId));
  }

  /** @returns {Figures} */
  getMetrics() {
    const metrics = this.#metrics;
    const conversation = this.#conversation;
    const link = this.#link;
    return {
      state: this.#state,
      attempts: link?.attempts ?? 0,
      reconnects: metrics.reconnects,
      uptimeMs: link?.uptimeMs ?? 0,
      downtimeMs: metrics.downtimeMs + (link?.downtimeMs ?? 0),
      rtt: metrics.rtt,
      sent: metrics.sent,
      received: metrics.received,
      bytesSent: metrics.bytesSent,
      bytesReceived: metrics.bytesReceived,
      queued: conversation.queued,
      dropped: metrics.dropped + conversation.dropped,
      pending: conversation.pending,
      replayed: metrics.replayed,
      duplicates: metrics.duplicates,
      gaps: metrics.gaps,
      subscriptions: conversation.subscribed,
      lastCloseCode: metrics.lastCloseCode,
      lastError: metrics.lastError,
    };
  }

  // -- one connect

  #converse() {
    return new Conversation(this.#config, {
      emit: (event, payload) => this.#emitter.emit(event, payload),
      fault: (error) => this.#fault(error),
      send: (text) => this.#link?.connection?.send(text) ?? false,
      buffered: () => this.#link?.connection?.bufferedAmount ?? 0,
      fallBehind: () => this.#link?.fallBehind(),
      caughtUp: () => this.#link?.caughtUp(),
      metrics: this.#metrics,
    });
  }

  #start() {
    const { address, options } = /** @type {{address: Address, options: ConnectOptions}} */ (this.#target);
    const tokens = new Tokens(
      options.token,
      () => this.#config.getToken ?? WebSocketReconnectService.defaults.getToken,
    );
    const conversation = this.#conversation;
    conversation.begin(options, tokens, typeof address === "function" ? "" : String(address));
    /** @type {Link} */
    const link = new Link(
      this.#config,
      {
        address,
        tokens,
        autoReconnect: options.autoReconnect ?? true,
        lifecycle: new PageLifecycle(this.#config.page),
      },
      {
        hello: (token) => conversation.hello(token),
        onState: (state) => this.#setState(state),
        onDial: (attempt) => this.#emitter.emit("connecting", { attempt }),
        onConnected: (frame, back) => this.#connected(link, frame, back),
        onFrame: (frame, data) => {
          link.note(frame);
          conversation.receive(frame, sizeOf(data));
        },
        onData: (data) => this.#received(data),
        onSent: (data) => {
          this.#metrics.sent += 1;
          this.#metrics.bytesSent += sizeOf(data);
        },
        onLost: () => conversation.lost(),
        onDisconnected: (event) => this.#disconnected(event),
        onRetry: (event) => this.#emitter.emit("reconnecting", event),
        onEnded: (error, event) => this.#ended(error, event),
        onGivenUp: (error) => this.#givenUp(link, error),
        onRoundTrip: (rttMs) => {
          this.#metrics.noteRoundTrip(rttMs);
          this.#emitter.emit("heartbeat", { rttMs });
        },
        onFault: (error) => this.#fault(error),
        isBehind: () => conversation.isBehind,
        onLeave: () => conversation.save(),
      },
    );
    this.#link = link;
    this.#socket ??= this.#makeSocket();
    link.start();
  }

  #makeSocket() {
    // That of an earlier `connect` must not reach the connection of a later one.
    const isCurrent = () => this.#socket === made && this.#link !== null;
    /** @type {ReconnectingSocket} */
    const made = new ReconnectingSocket(
      {
        socket: () => (isCurrent() && this.#link?.connection?.socket) || null,
        url: () => this.#link?.url ?? "",
        isEnded: () => !isCurrent(),
        send: (data) => isCurrent() && this.#sendRaw(data),
        close: (code, reason) => isCurrent() && this.disconnect(code, reason),
      },
      (fault, type) => this.#handlerFailed(fault, type === "error" ? "error" : "message"),
    );
    return made;
  }

  /**
   * @param {Link} link
   * @param {Record<string, any>} frame
   * @param {{attempts: number, downtimeMs: number} | null} back
   */
  #connected(link, frame, back) {
    const conversation = this.#conversation;
    const { resumed, replayed, hasGap } = conversation.assess(frame);
    // A listener may have ended or renewed it all.
    const isOver = () => link !== this.#link || link.connection === null;
    this.#setState("connected");
    if (isOver()) return;
    this.#emitter.emit("connected", connectedEvent(frame, resumed, replayed));
    if (isOver()) return;
    if (back !== null) {
      this.#metrics.reconnects += 1;
      this.#metrics.downtimeMs += back.downtimeMs;
      this.#emitter.emit("reconnected", { ...back, resumed, replayed, gap: hasGap });
    }
    if (isOver()) return;
    conversation.connected(frame);
    this.#socket?.dispatch("open");
    this.#connecting?.resolve(/** @type {ReconnectingSocket} */ (this.#socket));
    this.#connecting = null;
  }

  /** @param {unknown} data */
  #received(data) {
    this.#metrics.received += 1;
    this.#metrics.bytesReceived += sizeOf(data);
    this.#socket?.dispatch("message", { data });
  }

  /** @param {DisconnectedEvent} event */
  #disconnected(event) {
    const { code, reason, wasClean } = event;
    this.#metrics.lastCloseCode = code;
    this.#emitter.emit("disconnected", event);
    this.#socket?.dispatch("close", { code, reason, wasClean });
  }

  /** @param {ClientError} error @param {DisconnectedEvent} [event] */
  #ended(error, event) {
    const connecting = this.#connecting;
    this.#connecting = null;
    this.#link = null;
    this.#forgetSignal();
    this.#noteError(error);
    this.#renewConversation(error);
    this.#setState("closed");
    if (event !== undefined) this.#disconnected(event);
    connecting?.reject(error);
  }

  /** @param {Link} link @param {ClientError} error */
  #givenUp(link, error) {
    const connecting = this.#connecting;
    this.#connecting = null;
    this.#noteError(error);
    this.#config.logger?.warn("wsserver: the attempts to connect are used up", error.code);
    this.#setState("failed");
    this.#emitter.emit("reconnect_failed", { attempts: link.attempts, error });
    connecting?.reject(error);
  }

  /** @param {number} code @param {string} reason @param {unknown} why for those who wait */
  #stop(code, reason, why) {
    const link = this.#link;
    const wasLive = link !== null && link.connection !== null;
    const connecting = this.#connecting;
    this.#connecting = null;
    this.#forgetSignal();
    link?.stop(code, reason);
    this.#link = null;
    this.#target = null;
    this.#renewConversation(
      why instanceof ClientError ? why : new ClientError("disconnected", "The connection was ended."),
    );
    const socket = this.#socket;
    this.#socket = null;
    if (this.#state !== "idle") this.#setState("closed");
    if (wasLive) {
      this.#metrics.lastCloseCode = code;
      this.#emitter.emit("disconnected", { code, reason, wasClean: true, willReconnect: false, terminal: false });
      socket?.dispatch("close", { code, reason, wasClean: true });
    }
    connecting?.reject(why);
  }

  /** @param {ClientError} error for those who wait */
  #renewConversation(error) {
    const former = this.#conversation;
    this.#metrics.dropped += former.dropped + former.queued;
    this.#conversation = this.#converse();
    former.end(error);
  }

  /** @param {any} data */
  #sendRaw(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message === null || typeof message !== "object") throw new TypeError("what is sent is a JSON object");
      this.queueMessage(message);
    } else if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) {
      if (!this.#link?.connection?.send(data)) throw new ClientError("not_connected", "There is no connection.");
    } else this.queueMessage(data);
  }

  // -- telling

  /** @param {State} state */
  #setState(state) {
    const previous = this.#state;
    if (state === previous) return;
    this.#state = state;
    this.#config.logger?.debug?.(`wsserver: ${previous} -> ${state}`);
    this.#emitter.emit("state", { state, previous });
  }

  /** @param {unknown} fault @param {keyof ServiceEvents} event */
  #handlerFailed(fault, event) {
    const error = new ClientError("handler_failed", `A listener of ${event} failed.`, { cause: fault });
    // A listener of `error` that fails would be told of itself for ever.
    if (event === "error") this.#config.logger?.warn("wsserver: a listener of error failed", fault);
    else this.#fault(error);
  }

  /** @param {unknown} fault */
  #fault(fault) {
    const error =
      fault instanceof ClientError ? fault : new ClientError("failed", "Something failed.", { cause: fault });
    this.#noteError(error);
    this.#config.logger?.warn("wsserver: error", error.code, error.reason);
    this.#emitter.emit("error", error);
    this.#socket?.dispatch("error");
  }

  /** @param {ClientError} error */
  #noteError({ code, reason }) {
    this.#metrics.lastError = { code, reason };
  }
}

/** @param {Record<string, any>} frame @param {boolean} resumed @param {number} replayed @returns {ConnectedEvent} */
function connectedEvent(frame, resumed, replayed) {
  const event = {
    connectionId: frame.connection_id,
    resumed,
    replayed,
    userId: frame.user_id,
    role: frame.role,
    protocol: frame.protocol,
    subscriptions: frame.subscriptions ?? [],
    errors: frame.errors ?? [],
  };
  Object.defineProperty(event, "sessionId", { value: frame.session_id ?? null });
  return /** @type {any} */ (event);
}

/**
 * A promise that nobody has to look at: what it would tell is told elsewhere too.
 *
 * @template T
 * @param {() => Promise<T>} work
 */
function quiet(work) {
  const promise = work();
  promise.catch(() => {});
  return promise;
}

/**
 * @template T
 * @typedef {{promise: Promise<T>, resolve: (value: T) => void, reject: (reason: unknown) => void}} Deferred
 */

/** `Promise.withResolvers`, which not every browser of these years has. @returns {Deferred<any>} */
function withResolvers() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
