// @ts-check
import { ClientError } from "./errors.js";
import { Inbox } from "./inbox.js";
import { Outbox } from "./outbox.js";
import { Requests } from "./requests.js";
import { Session, lostBetween } from "./session.js";
import { PERMISSION_DENIED, Subscriptions } from "./subscriptions.js";
import { topicOf, topicOfCommand } from "./topic.js";
/** @import {Metrics} from "./metrics.js" */
/** @import {Tokens} from "./tokens.js" */
/** @import {Command, ConnectOptions, Cursor, Filters, Gap, QueueOptions, QueueOutcome} from "./types.js" */
/** @import {ReconnectionConfig, ServiceEvents, SubscribeOptions} from "./types.js" */

/** Between two attempts to get a new token while the old one still holds. */
const RENEW_AGAIN = 10_000;

/**
 * What is to be handled in its turn.
 *
 * @typedef {{kind: "message", frame: Record<string, any>, size: number, receivedAt: number, replayed: boolean}
 *   | {kind: "gap", gap: Gap}
 *   | {kind: "advance", position: Cursor}
 *   | {kind: "restart", position: Cursor, stated: Cursor, gaps: Gap[] | null, resumed: boolean}} Item
 */

/**
 * @typedef {object} Host
 * @property {<K extends keyof ServiceEvents>(event: K, payload: ServiceEvents[K]) => Promise<unknown> | undefined} emit
 * @property {(error: unknown) => void} fault
 * @property {(text: string) => boolean} send over the open connection
 * @property {() => number} buffered
 * @property {() => void} fallBehind
 * @property {() => void} caughtUp
 * @property {Metrics} metrics
 */

/** What is said from `connect` to the end, over as many connections as it takes. */
export class Conversation {
  #session = new Session();
  #requests = new Requests();
  /** @type {Inbox<Item>} */ #inbox;
  #outbox;
  #subscriptions;
  #isConnected = false;
  #wasConnected = false;
  #isBehind = false;
  /** Of the messages that wait. */
  #pendingBytes = 0;
  /** Replayed messages that have not come yet. */
  #toReplay = 0;
  /** @type {ConnectOptions | null} */ #options = null;
  /** @type {Tokens | null} */ #tokens = null;
  /** @type {unknown} */ #renewTimer = null;
  #storeKey = "";
  #config;
  #host;

  /** @param {ReconnectionConfig} config @param {Host} host */
  constructor(config, host) {
    this.#config = config;
    this.#host = host;
    this.#inbox = new Inbox(
      (item) => this.#handle(item),
      () => this.#drained(),
    );
    this.#outbox = new Outbox(config, {
      send: host.send,
      buffered: host.buffered,
      onChange: () => host.emit("queue", { length: this.#outbox.length, dropped: this.#outbox.dropped }),
    });
    this.#subscriptions = new Subscriptions({
      send: (command) => host.send(JSON.stringify(command)),
      requests: this.#requests,
      onRefused: host.fault,
      onLost: (topic, reason) => this.#inbox.push({ kind: "gap", gap: { topic, reason } }),
      timers: config.timers,
    });
  }

  get queued() {
    return this.#outbox.length;
  }

  get dropped() {
    return this.#outbox.dropped;
  }

  get pending() {
    return this.#inbox.length;
  }

  get subscribed() {
    return this.#subscriptions.size;
  }

  get isBehind() {
    return this.#isBehind;
  }

  // -- connections

  /**
   * @param {ConnectOptions} options
   * @param {Tokens} tokens
   * @param {string} place of the session in a storage
   */
  begin(options, tokens, place) {
    this.#options = options;
    this.#tokens = tokens;
    this.#subscriptions.begin(options.subscriptions ?? []);
    this.#storeKey = `wsserver.sessions.session:${place}:${options.userId}`;
    const { storage } = this.#config;
    if (storage === null || !this.#mayResume) return;
    try {
      this.#session.load(storage, this.#storeKey);
    } catch (cause) {
      this.#host.fault(new ClientError("storage_failed", "The stored session could not be read.", { cause }));
    }
  }

  /** The page may go. */
  save() {
    const { storage } = this.#config;
    if (storage === null) return;
    try {
      this.#session.save(storage, this.#storeKey);
    } catch (cause) {
      this.#host.fault(new ClientError("storage_failed", "The session could not be stored.", { cause }));
    }
  }

  /** The first frame of a connection. @param {string} token */
  hello(token) {
    const { userId, role, patientId } = /** @type {ConnectOptions} */ (this.#options);
    const session = this.#session.statement();
    return {
      type: "connect",
      token,
      user_id: String(userId),
      role,
      patient_id: patientId === undefined || patientId === null ? undefined : String(patientId),
      subscriptions: this.#subscriptions.topics(),
      session: this.#mayResume ? session : undefined,
    };
  }

  get #mayResume() {
    return this.#config.enableSessionRestore && this.#config.enableMessageReplay;
  }

  /**
   * What `connected` says of the way back, before anything of it is acted upon.
   *
   * @param {Record<string, any>} frame
   */
  assess(frame) {
    this.#session.id = frame.session_id ?? null;
    this.#unsave();
    const gaps =
      frame.session?.gaps ?? (this.#wasConnected ? lostBetween(this.#session.cursor, frame.cursor ?? {}) : []);
    return {
      resumed: frame.session?.resumed === true,
      replayed: frame.session?.replayed ?? 0,
      hasGap: gaps.length > 0,
    };
  }

  /** Go on over a new connection. @param {Record<string, any>} frame */
  connected(frame) {
    const resumed = frame.session?.resumed === true;
    this.#isConnected = true;
    this.#toReplay = frame.session?.replayed ?? 0;
    this.#inbox.push({
      kind: "restart",
      position: frame.cursor ?? {},
      stated: this.#session.stated,
      gaps: frame.session?.gaps ?? (this.#wasConnected ? null : []),
      resumed,
    });
    this.#wasConnected = true;
    this.#subscriptions.connected(frame, resumed);
    this.#outbox.open();
  }

  lost() {
    this.#isConnected = false;
    this.#outbox.close();
    this.#config.timers.clearTimeout(this.#renewTimer);
    this.#requests.fail();
    this.#subscriptions.disconnected(this.#config.enableSessionRestore);
  }

  /** @param {ClientError} error for those who wait for answers */
  end(error) {
    this.lost();
    this.#inbox.close();
    this.#subscriptions.end(error);
    this.#outbox.clear();
    this.#unsave();
  }

  /** While there is a connection a copy would let a duplicate of this page take the session over. */
  #unsave() {
    try {
      if (this.#storeKey !== "") this.#config.storage?.removeItem(this.#storeKey);
    } catch (cause) {
      this.#host.fault(new ClientError("storage_failed", "The stored session could not be removed.", { cause }));
    }
  }

  // -- what arrives

  /** @param {Record<string, any>} frame @param {number} size */
  receive(frame, size) {
    if (frame._meta !== undefined) return this.#receiveMessage(frame, size);
    const { emit, fault } = this.#host;
    switch (frame.type) {
      case "pong":
        this.#requests.settle(frame);
        return this.#inbox.push({ kind: "advance", position: frame.cursor ?? {} });
      case "gap":
        this.#inbox.push({ kind: "gap", gap: gapOf(frame) });
        break;
      case "error":
        if (this.#requests.settle(frame)) break;
        fault(ClientError.fromFrame(frame));
        if (frame.code === PERMISSION_DENIED) this.#subscriptions.withdrawn(frame.details);
        break;
      case "token_expiring":
        emit("token_expiring", { expiresInMs: frame.expires_in * 1000 });
        this.#renewToken();
        break;
      case "subscription_expiring":
        this.#host.send(JSON.stringify({ type: "refresh", subscription_id: frame.subscription_id }));
        break;
      case "subscription_expired":
        this.#subscriptions.expired(frame);
        break;
      case "system_shutdown":
        emit("server_shutdown", {
          reconnectInMs: frame.reconnect_after_ms ?? null,
          message: String(frame.message ?? ""),
        });
        break;
      default:
        this.#requests.settle(frame);
    }
    emit("control", frame);
  }

  /** @param {Record<string, any>} frame @param {number} size */
  #receiveMessage(frame, size) {
    const replayed = this.#toReplay > 0;
    if (replayed) {
      this.#toReplay -= 1;
      this.#host.metrics.replayed += 1;
    }
    this.#pendingBytes += size;
    this.#inbox.push({ kind: "message", frame, size, receivedAt: Date.now(), replayed });
    if (!this.#isBehind && !this.#isWithin(1)) {
      this.#isBehind = true;
      this.#host.fault(new ClientError("handlers_behind", "Handlers are too slow: the connection waits for them."));
      this.#host.fallBehind();
    }
  }

  /** Whether no more waits than this part of what may. @param {number} part */
  #isWithin(part) {
    const { maxPendingMessages, maxPendingBytes } = this.#config;
    return this.#inbox.length <= maxPendingMessages * part && this.#pendingBytes <= maxPendingBytes * part;
  }

  #drained() {
    if (this.#isBehind && this.#isWithin(0.5)) {
      this.#isBehind = false;
      this.#host.caughtUp();
    }
  }

  /** @param {Item} item @returns {Promise<unknown> | undefined} */
  #handle(item) {
    const session = this.#session;
    switch (item.kind) {
      case "message":
        return this.#handleMessage(item);
      case "gap":
        this.#host.metrics.gaps += 1;
        return this.#host.emit("gap", item.gap);
      case "advance":
        session.advance(item.position);
        return undefined;
      case "restart":
        return this.#restart(item);
    }
  }

  /** @param {Item & {kind: "message"}} item */
  #handleMessage({ frame, size, receivedAt, replayed }) {
    this.#pendingBytes -= size;
    const { id, topic, log, seq } = frame._meta;
    if (this.#session.has(log, seq)) {
      this.#host.metrics.duplicates += 1;
      return undefined;
    }
    const pending = this.#host.emit("message", { data: frame, seq, log, topic, id, receivedAt, replayed });
    if (pending === undefined) {
      this.#session.handled(log, seq);
      return undefined;
    }
    return pending.then(() => this.#session.handled(log, seq));
  }

  /** @param {Item & {kind: "restart"}} item */
  #restart({ position, stated, gaps, resumed }) {
    const { cursor } = this.#session;
    const lost =
      gaps === null ? lostBetween(cursor, position) : resumed ? gaps : gaps.flatMap((gap) => beyond(gap, cursor));
    this.#session.restart(position, stated);
    const pending = lost.map((gap) => {
      this.#host.metrics.gaps += 1;
      return this.#host.emit("gap", gapOf(gap));
    });
    return pending.some((one) => one !== undefined) ? Promise.all(pending) : undefined;
  }

  /** A token is about to end: another one takes its place on the open connection. */
  async #renewToken() {
    const tokens = this.#tokens;
    if (tokens === null || !tokens.canRenew) return;
    let token;
    try {
      token = await tokens.renew("expiring");
    } catch (error) {
      this.#host.fault(error);
      if (!this.#isConnected) return;
      this.#renewTimer = this.#config.timers.setTimeout(() => void this.#renewToken(), RENEW_AGAIN);
      return;
    }
    try {
      if (this.#isConnected) await this.request({ type: "auth", token });
    } catch (error) {
      if (this.#isConnected) this.#host.fault(error);
    }
  }

  // -- what is said

  /**
   * @param {unknown} message
   * @param {QueueOptions} options
   * @returns {QueueOutcome}
   * @throws {RangeError} if the queue is full and `queueOverflow` is `throw`
   */
  queue(message, { ttl }) {
    let text;
    try {
      const command = readCommand(message);
      if (command.type === "subscribe" || command.type === "unsubscribe") return this.#queueWish(command);
      text = JSON.stringify(command);
    } catch (cause) {
      this.#host.fault(cause instanceof ClientError ? cause : badMessage(cause));
      return "dropped";
    }
    return this.#outbox.put(text, ttl);
  }

  /** @param {Command} command @returns {QueueOutcome} */
  #queueWish(command) {
    const requestId = typeof command.request_id === "string" ? command.request_id : undefined;
    if (command.type === "subscribe") {
      const filters = /** @type {Filters | undefined} */ (command.filters);
      const breakGlass = typeof command.break_glass === "string" ? command.break_glass : undefined;
      this.#subscriptions.want(topicOfCommand(command), filters, undefined, requestId, breakGlass);
    } else {
      const { subscription_id: named } = command;
      const topic = typeof named === "string" ? this.#subscriptions.named(named) : topicOfCommand(command);
      if (topic === undefined) throw new ClientError("bad_message", "There is no subscription with this id.");
      this.#subscriptions.drop(topic, undefined, requestId);
    }
    return this.#isConnected ? "sent" : "queued";
  }

  /** @param {Command} command @returns {Promise<Record<string, any>>} */
  request(command) {
    if (!this.#isConnected) return Promise.reject(new ClientError("not_connected", "There is no connection."));
    const labelled = this.#requests.label(command);
    const { connectionTimeout, timers } = this.#config;
    return new Promise((resolve, reject) => {
      const timer = timers.setTimeout(() => this.#requests.giveUp(labelled.request_id), connectionTimeout);
      /** @type {<T>(settle: (value: T) => void) => (value: T) => void} */
      const inTime = (settle) => (value) => {
        timers.clearTimeout(timer);
        settle(value);
      };
      this.#requests.expect(labelled.request_id, { resolve: inTime(resolve), reject: inTime(reject) });
      this.#host.send(JSON.stringify(labelled));
    });
  }

  /**
   * @param {string} type @param {string | number | null | undefined} target @param {Filters | null} [filters]
   * @param {SubscribeOptions} [options]
   */
  subscribe(type, target, filters, options) {
    return this.#subscriptions.subscribe(topicOf(type, target), filters, options?.breakGlass);
  }

  /** @param {string} type @param {string | number | null} [target] */
  unsubscribe(type, target) {
    return this.#subscriptions.unsubscribe(topicOf(type, target));
  }
}

/** @param {unknown} message @returns {Command} */
function readCommand(message) {
  const command = /** @type {any} */ (message);
  if (command === null || typeof command !== "object" || typeof command.type !== "string") {
    throw new ClientError("bad_message", "A message to the server is an object with a type.");
  }
  if (command.type === "connect") throw new ClientError("bad_message", "The client says connect itself.");
  return command;
}

/** @param {unknown} cause */
function badMessage(cause) {
  return new ClientError("bad_message", "The message cannot be sent: it is no JSON.", { cause });
}

/** @param {Record<string, any>} frame @returns {Gap} */
function gapOf(frame) {
  const { log, topic, from, to, count, reason } = frame;
  /** @type {any} */
  const gap = { log, topic, from, to, count, reason };
  for (const name of Object.keys(gap)) if (gap[name] === undefined) delete gap[name];
  return gap;
}

/**
 * What is left of a gap that goes from the cursor shown to the head: messages had arrived that were not handled yet.
 *
 * @param {Gap} gap @param {Cursor} cursor @returns {Gap[]}
 */
function beyond(gap, cursor) {
  const { log, topic, from, to, reason } = gap;
  if (reason !== "limit" || topic !== undefined || !log || from === undefined || to === undefined) return [gap];
  const first = Math.max(from, (cursor[log] ?? 0) + 1);
  return first > to ? [] : [{ ...gap, from: first }];
}
