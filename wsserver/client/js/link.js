// @ts-check
import { advisedDelay, backoffDelay } from "./backoff.js";
import { COMING_BACK, NORMAL, NO_CLOSE_SEEN, TOKEN_EXPIRED, verdict } from "./close-codes.js";
import { loadCodec } from "./codec.js";
import { Connection } from "./connection.js";
import { ClientError } from "./errors.js";
/** @import {PageLifecycle} from "./page-lifecycle.js" */
/** @import {Tokens} from "./tokens.js" */
/** @import {Closed} from "./connection.js" */
/** @import {Address, DisconnectedEvent, ReconnectingEvent, ReconnectionConfig, SocketClass, State} from "./types.js" */

const LOOPBACK = /^wss?:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|\/|$)/;

/**
 * What a link is doing. `held`: it waits for the network or for slow handlers, and no attempt is spent.
 *
 * @typedef {"new" | "dialling" | "live" | "waiting" | "held" | "suspended" | "failed" | "ended"} Phase
 */

/**
 * @typedef {object} LinkHandlers
 * @property {(token: string) => Record<string, any>} hello
 * @property {(state: State) => void} onState
 * @property {(attempt: number) => void} onDial
 * @property {(frame: Record<string, any>, back: {attempts: number, downtimeMs: number} | null) => void} onConnected
 * @property {(frame: Record<string, any>, data: unknown) => void} onFrame
 * @property {(data: unknown) => void} onData
 * @property {(data: unknown) => void} onSent
 * @property {() => void} onLost the connection is gone, before anybody is told
 * @property {(event: DisconnectedEvent) => void} onDisconnected
 * @property {(event: ReconnectingEvent) => void} onRetry
 * @property {(error: ClientError, event?: DisconnectedEvent) => void} onEnded nothing will be tried any more
 * @property {(error: ClientError) => void} onGivenUp the attempts are used up
 * @property {(rttMs: number) => void} onRoundTrip
 * @property {(error: unknown) => void} onFault
 * @property {() => boolean} isBehind handlers have so much before them that nothing should come on top
 * @property {() => void} onLeave the page goes
 */

/**
 * Keeps one connection to one address: dials, waits, comes back, gives up. One per `connect`; when it has been
 * stopped nothing of it is heard again.
 */
export class Link {
  /** @type {Phase} */ #phase = "new";
  /** @type {Connection | null} */ #connection = null;
  /** Counts what was begun, so that an answer to something given up is not taken. */
  #turn = 0;
  /** Attempts to come back since the last connection that lasted. */
  #attempt = 0;
  #hasBeenLive = false;
  #liveSince = 0;
  #lostAt = 0;
  /** Of the last `error` frame, and of `system_shutdown`; milliseconds. @type {number | null} */ #retryAfter = null;
  /** @type {number | null} */ #slot = null;
  /** The wait is the server's word, which nothing cuts short. */
  #isAdvised = false;
  /** A token that was refused has been replaced once since the last connection. */
  #newTokenTried = false;
  /** The last `error` of this connection. @type {ClientError | null} */ #told = null;
  /** @type {unknown} */ #timer = null;
  #url = "";
  #config;
  #address;
  #tokens;
  #lifecycle;
  #autoReconnect;
  #on;

  /**
   * @param {ReconnectionConfig} config
   * @param {object} target
   * @param {Address} target.address
   * @param {Tokens} target.tokens
   * @param {boolean} target.autoReconnect
   * @param {PageLifecycle} target.lifecycle
   * @param {LinkHandlers} handlers
   */
  constructor(config, { address, tokens, autoReconnect, lifecycle }, handlers) {
    this.#config = config;
    this.#address = address;
    this.#tokens = tokens;
    this.#autoReconnect = autoReconnect;
    this.#lifecycle = lifecycle;
    this.#on = handlers;
  }

  get connection() {
    return this.#phase === "live" ? this.#connection : null;
  }

  get attempts() {
    return this.#attempt;
  }

  get url() {
    return this.#url;
  }

  get uptimeMs() {
    return this.#phase === "live" ? this.#config.now() - this.#liveSince : 0;
  }

  get downtimeMs() {
    return this.#hasBeenLive && this.#phase !== "live" ? this.#config.now() - this.#lostAt : 0;
  }

  start() {
    this.#lifecycle.attach({
      onOnline: () => this.#wake(true),
      onOffline: () => this.#connection?.probe(),
      onVisible: () => this.#resume(),
      onHidden: () => this.#config.pauseWhenHidden && this.#suspend(),
      onSuspend: () => this.#suspend(),
      onResume: () => this.#resume(),
      onLeave: () => this.#on.onLeave(),
    });
    this.#dial();
  }

  /** End for good. @param {number} code @param {string} reason */
  stop(code = NORMAL, reason = "") {
    if (this.#phase === "ended") return;
    this.#turn += 1;
    this.#phase = "ended";
    this.#clearTimer();
    this.#lifecycle.detach();
    this.#connection?.leave(code, reason);
    this.#connection = null;
  }

  /** Connect anew now, with all attempts before it. */
  reconnect() {
    this.#attempt = 0;
    if (this.#phase === "live") this.#drop("asked to reconnect");
    else if (this.#phase !== "dialling" && this.#phase !== "suspended") this.#dial();
  }

  /** The handlers cannot keep up: let the server keep what comes, until `caughtUp`. */
  fallBehind() {
    this.#drop("handlers are behind");
  }

  /** What held the link back may be over. */
  caughtUp() {
    if (this.#phase === "held" && !this.#isHeld()) this.#dial();
  }

  /** What an `error` frame or a `system_shutdown` says of the way back. @param {Record<string, any>} frame */
  note(frame) {
    if (frame.type === "error") {
      this.#told = ClientError.fromFrame(frame);
      this.#retryAfter = numberOf(frame.retry_after_ms);
      return;
    }
    // Only the error right before a close says why, and for how long.
    this.#told = this.#retryAfter = null;
    if (frame.type === "system_shutdown") this.#slot = numberOf(frame.reconnect_after_ms);
  }

  // -- dialling

  async #dial() {
    const { connectionTimeout, codec, timers } = this.#config;
    const turn = ++this.#turn;
    this.#clearTimer();
    this.#phase = "dialling";
    this.#retryAfter = this.#slot = this.#told = null;
    this.#on.onState(this.#hasBeenLive ? "reconnecting" : "connecting");
    if (turn !== this.#turn) return;
    this.#on.onDial(this.#attempt);
    if (turn !== this.#turn) return;
    this.#timer = timers.setTimeout(() => this.#missed("no connection in time"), connectionTimeout);
    let token, loaded;
    try {
      token = await this.#tokens.get(this.#hasBeenLive ? "expired" : "first");
      this.#url = await readAddress(this.#address);
      loaded = await loadCodec(codec);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#on.onFault(error);
      if (turn === this.#turn) this.#missed("could not be prepared", error);
      return;
    }
    if (turn !== this.#turn) return;
    try {
      this.#connection = this.#open(token, loaded);
    } catch (cause) {
      this.#end(new ClientError("cannot_dial", "The socket could not be made: look at the address.", { cause }));
    }
  }

  /** @param {string} token @param {import("./codec.js").Codec} codec */
  #open(token, codec) {
    const Socket = this.#config.WebSocket ?? /** @type {SocketClass | undefined} */ (globalThis.WebSocket);
    if (Socket === undefined) throw new TypeError("there is no WebSocket here: pass a class as option WebSocket");
    return new Connection(this.#url, Socket, codec, this.#config, {
      hello: () => this.#on.hello(token),
      onConnected: (frame) => this.#live(frame),
      onFrame: this.#on.onFrame,
      onData: this.#on.onData,
      onSent: this.#on.onSent,
      onRoundTrip: this.#on.onRoundTrip,
      onFault: this.#on.onFault,
      onClosed: (closed) => this.#lost(closed),
    });
  }

  /** @param {Record<string, any>} frame */
  #live(frame) {
    const { now } = this.#config;
    this.#clearTimer();
    const back = this.#hasBeenLive ? { attempts: this.#attempt, downtimeMs: now() - this.#lostAt } : null;
    this.#phase = "live";
    this.#hasBeenLive = true;
    this.#newTokenTried = false;
    this.#isAdvised = false;
    this.#retryAfter = this.#told = null;
    this.#liveSince = now();
    this.#on.onConnected(frame, back);
  }

  /** An attempt that came to nothing. @param {string} reason @param {unknown} [cause] */
  #missed(reason, cause) {
    this.#connection?.leave(COMING_BACK, reason);
    if (cause instanceof ClientError) this.#told = cause;
    if (cause instanceof ClientError && (cause.code === "no_token" || cause.code === "no_decoder")) this.#end(cause);
    else this.#lost({ code: NO_CLOSE_SEEN, reason, wasClean: false });
  }

  /** Give a connection up that works, and come back. @param {string} reason */
  #drop(reason) {
    const { connection } = this;
    if (connection === null) return;
    connection.leave(COMING_BACK, reason);
    this.#lost({ code: COMING_BACK, reason, wasClean: true }, true);
  }

  // -- losing

  /**
   * The one way from a connection, or an attempt, to what comes next.
   *
   * @param {Closed} closed
   * @param {boolean} [atOnce] come back without a wait
   */
  #lost(closed, atOnce = false) {
    const turn = ++this.#turn;
    const wasLive = this.#phase === "live";
    this.#clearTimer();
    this.#connection = null;
    this.#phase = "waiting";
    if (wasLive) {
      const { now, minUptime } = this.#config;
      this.#lostAt = now();
      if (this.#lostAt - this.#liveSince >= minUptime) this.#attempt = 0;
      this.#on.onLost();
    }
    const { code } = closed;
    const meaning = verdict(code);
    if (code === TOKEN_EXPIRED) this.#tokens.forget();
    const mayRenew = meaning === "token" && this.#tokens.canRenew && !this.#newTokenTried;
    const terminal = meaning === "final" || (meaning === "token" && !mayRenew);
    const willReconnect = !terminal && this.#autoReconnect;
    if (!willReconnect) return this.#end(this.#reasonOf(closed), { ...closed, willReconnect, terminal });
    if (wasLive) {
      this.#on.onState("reconnecting");
      if (turn === this.#turn) this.#on.onDisconnected({ ...closed, willReconnect, terminal });
      if (turn !== this.#turn) return;
    }
    if (mayRenew) this.#renewRefused(closed);
    else if (atOnce) this.#isHeld() ? this.#hold() : this.#dial();
    else this.#retry(meaning === "advised" ? this.#retryAfter : null, closed);
  }

  /** @param {Closed} closed */
  #reasonOf(closed) {
    const { code, reason } = closed;
    if (this.#told !== null) {
      const { message, reason: name, retryAfterMs, details } = this.#told;
      return new ClientError(this.#told.code, message, { reason: name, retryAfterMs, details, closeCode: code });
    }
    return new ClientError("connection_closed", reason || `The connection was closed with ${code}.`, {
      closeCode: code,
    });
  }

  /** A token was refused: once another one is asked for, and tried if it is another. @param {Closed} closed */
  async #renewRefused(closed) {
    const turn = this.#turn;
    const refused = this.#tokens.current;
    this.#newTokenTried = true;
    let fresh = refused;
    try {
      fresh = await this.#tokens.renew("refused");
    } catch (error) {
      if (turn === this.#turn) this.#on.onFault(error);
    }
    if (turn !== this.#turn) return;
    if (fresh === refused) this.#end(this.#reasonOf(closed), { ...closed, willReconnect: false, terminal: true });
    else this.#dial();
  }

  /** @param {number | null} retryAfter the server's word @param {Closed} closed */
  #retry(retryAfter, closed) {
    const { maxAttempts, random, timers } = this.#config;
    if (this.#isHeld()) return this.#hold();
    if (maxAttempts > 0 && this.#attempt >= maxAttempts) return this.#giveUp(closed);
    this.#attempt += 1;
    const advice = retryAfter ?? this.#slot;
    this.#isAdvised = advice !== null;
    const delay =
      advice === null
        ? backoffDelay(this.#attempt, this.#config, random)
        : advisedDelay(advice, retryAfter === null, random);
    this.#phase = "waiting";
    const turn = this.#turn;
    this.#timer = timers.setTimeout(() => this.#due(), delay);
    this.#on.onState(this.#hasBeenLive ? "reconnecting" : "connecting");
    if (turn === this.#turn) this.#on.onRetry({ attempt: this.#attempt, delay, maxAttempts, advised: this.#isAdvised });
  }

  #due() {
    if (!this.#isHeld()) return void this.#dial();
    // Without a network it would fail for sure, so it does not count.
    this.#attempt -= 1;
    this.#hold();
  }

  #hold() {
    this.#clearTimer();
    this.#phase = "held";
    this.#isAdvised = false;
    if (this.#isOffline()) this.#on.onState("offline");
  }

  #isHeld() {
    return this.#isOffline() || this.#on.isBehind();
  }

  /** A server on this machine needs no network. */
  #isOffline() {
    return this.#config.retryWhenOnline && !this.#lifecycle.isOnline && !LOOPBACK.test(this.#url);
  }

  /** @param {Closed} closed */
  #giveUp(closed) {
    this.#phase = "failed";
    this.#on.onGivenUp(this.#reasonOf(closed));
  }

  /** @param {ClientError} error @param {DisconnectedEvent} [event] */
  #end(error, event) {
    this.#turn += 1;
    this.#clearTimer();
    this.#phase = "ended";
    this.#lifecycle.detach();
    this.#connection = null;
    this.#on.onEnded(error, event);
  }

  // -- the page

  /**
   * Something has changed for the better: do not sit out the wait.
   *
   * @param {boolean} network whether it is the network
   */
  #wake(network) {
    switch (this.#phase) {
      case "live":
        this.#connection?.probe();
        break;
      case "held":
        if (!this.#isHeld()) this.#dial();
        break;
      case "waiting":
        // Only a wait of our own: the server's word holds whoever looks. Without a timer a token is being asked for.
        if (!this.#isAdvised && this.#timer !== null && !this.#isHeld()) this.#dial();
        break;
      case "dialling":
        // A socket that was opened without a network may hang until the timeout.
        if (network && this.#connection !== null && !this.#connection.isOpen) {
          this.#connection.leave();
          this.#connection = null;
          this.#dial();
        }
        break;
      case "failed":
        if (!network || this.#config.retryWhenOnline) {
          this.#attempt = 0;
          this.#dial();
        }
        break;
    }
  }

  #suspend() {
    if (this.#phase === "failed" || this.#phase === "ended" || this.#phase === "suspended") return;
    const wasLive = this.#phase === "live";
    this.#turn += 1;
    const turn = this.#turn;
    this.#clearTimer();
    this.#connection?.leave(COMING_BACK, "the page is away");
    this.#connection = null;
    this.#phase = "suspended";
    if (wasLive) {
      this.#lostAt = this.#config.now();
      this.#on.onLost();
    }
    this.#on.onState("suspended");
    if (wasLive && turn === this.#turn) {
      const closed = { code: COMING_BACK, reason: "the page is away", wasClean: true };
      this.#on.onDisconnected({ ...closed, willReconnect: true, terminal: false });
    }
  }

  #resume() {
    if (this.#phase !== "suspended") this.#wake(false);
    else if (this.#config.pauseWhenHidden && this.#lifecycle.isHidden) return;
    else if (this.#isHeld()) this.#hold();
    else this.#dial();
  }

  #clearTimer() {
    this.#config.timers.clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** @param {unknown} value */
function numberOf(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** @param {Address} address */
async function readAddress(address) {
  const given = String(typeof address === "function" ? await address() : address);
  // Not every place that has WebSocket has all of URL, so it is asked only for what needs it.
  const whole = /^(ws|http)s?:/i.test(given) ? given : new URL(given, globalThis.location?.href).href;
  // RFC 6455 section 3: an address has no fragment, and the constructor refuses one.
  return whole.replace(/^http/i, "ws").replace(/#.*$/s, "");
}
