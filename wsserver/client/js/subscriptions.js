// @ts-check
import { ClientError } from "./errors.js";
import { topicOf } from "./topic.js";
/** @import {Filters, Subscription, Timers, Unsubscribed} from "./types.js" */
/** @import {Topic} from "./topic.js" */
/** @import {Requests, Waiting} from "./requests.js" */

/** So that a loop without a connection does not fill the memory; a server takes far fewer. */
const MOST = 10_000;
const RATE_LIMIT = 1010;
export const PERMISSION_DENIED = 1011;
/** Reasons of a gap that says that a subscription is gone. */
const LOSSES = new Set(["forbidden", "limit"]);
/** Where the server gives no time. */
const TRY_AGAIN_AFTER = 1000;

/**
 * @typedef {object} Wish what is wanted of one topic
 * @property {string} text the topic
 * @property {Filters | undefined} filters
 * @property {"waiting" | "asked" | "confirmed" | "refused"} standing with the server, on this connection
 * @property {string | null} requestId of the command that is to be answered
 * @property {string | null} subscriptionId
 * @property {Wish | null} former what is in force while this one is being asked for
 * @property {boolean} isOption named in the options of `connect`
 * @property {boolean} isHeld the server has had it, and nobody was told that it is lost
 * @property {string | undefined} breakGlass the reason for it, until the server has confirmed it
 * @property {boolean} isGlass it ends with this connection, and is not asked for again
 * @property {Waiting[]} waiting
 */

/**
 * What the application wants to be subscribed to, by topic. The server is asked as soon as there is a connection, and
 * asked again on each new one that does not have it; so asking twice is the same as asking once.
 */
export class Subscriptions {
  /** @type {Map<string, Wish>} */
  #wishes = new Map();
  /** Topics to leave: the server may restore them. @type {Map<string, {text: string, waiting: Waiting[]}>} */
  #leaving = new Map();
  /** @type {Set<unknown>} */ #timers = new Set();
  #isConnected = false;
  #line;

  /**
   * @param {object} line
   * @param {(command: Record<string, any>) => void} line.send
   * @param {Requests} line.requests
   * @param {(error: ClientError) => void} line.onRefused told besides those who wait, who may not look
   * @param {(topic: string, reason: "forbidden" | "limit" | "expired") => void} line.onLost nothing comes any more of
   *   what came before
   * @param {Timers} line.timers
   */
  constructor(line) {
    this.#line = line;
  }

  get size() {
    return this.#wishes.size;
  }

  /** What `connect` named. @param {readonly string[]} topics */
  begin(topics) {
    for (const text of topics) {
      const topic = topicOf(text);
      const wish = this.#wishes.get(topic.key);
      if (wish === undefined) this.#wishes.set(topic.key, newWish(topic, undefined, true));
      else wish.isOption = true;
    }
  }

  /**
   * @param {Topic} topic
   * @param {Filters | null} [filters]
   * @param {string} [breakGlass]
   * @returns {Promise<Subscription>}
   */
  subscribe(topic, filters, breakGlass) {
    return new Promise((resolve, reject) => this.want(topic, filters, { resolve, reject }, undefined, breakGlass));
  }

  /**
   * @param {Topic} topic
   * @param {Filters | null} [filters] the wish replaces the one before
   * @param {Waiting} [waiting] for the confirmation
   * @param {string} [requestId] of the caller's own
   * @param {string} [breakGlass] the reason why the user must see a patient whom the user may not see
   * @throws {ClientError} `too_many_subscriptions`
   */
  want(topic, filters, waiting, requestId, breakGlass) {
    const existing = this.#wishes.get(topic.key);
    if (existing === undefined && this.#wishes.size >= MOST) {
      throw new ClientError("too_many_subscriptions", `More than ${MOST} subscriptions are wanted.`);
    }
    const wish = newWish(topic, filters ?? undefined, existing?.isOption ?? false);
    if (existing !== undefined) {
      wish.waiting = existing.waiting;
      wish.subscriptionId = existing.subscriptionId;
      wish.former = existing.standing === "confirmed" ? existing : existing.former;
      wish.isHeld = existing.isHeld;
      wish.isGlass = existing.isGlass;
    }
    wish.breakGlass = breakGlass;
    if (waiting !== undefined) wish.waiting.push(waiting);
    this.#wishes.set(topic.key, wish);
    const leaving = this.#leaving.get(topic.key);
    this.#leaving.delete(topic.key);
    for (const one of leaving?.waiting ?? []) one.reject(new ClientError("replaced", "Subscribed again meanwhile."));
    if (this.#isConnected) this.#ask(topic.key, wish, requestId);
  }

  /** @param {Topic} topic @returns {Promise<Unsubscribed>} */
  unsubscribe(topic) {
    return new Promise((resolve, reject) => this.drop(topic, { resolve, reject }));
  }

  /** @param {Topic} topic @param {Waiting} [waiting] @param {string} [requestId] of the caller's own */
  drop(topic, waiting, requestId) {
    const wish = this.#wishes.get(topic.key);
    this.#wishes.delete(topic.key);
    for (const one of wish?.waiting ?? []) one.reject(new ClientError("replaced", "Unsubscribed meanwhile."));
    const leaving = this.#leaving.get(topic.key) ?? { text: topic.text, waiting: [] };
    if (waiting !== undefined) leaving.waiting.push(waiting);
    this.#leaving.set(topic.key, leaving);
    if (this.#isConnected) this.#leave(topic.key, requestId);
  }

  /**
   * The topic of a subscription that the server has given an id.
   *
   * @param {string} subscriptionId
   * @returns {Topic | undefined}
   */
  named(subscriptionId) {
    for (const [key, wish] of this.#wishes) {
      if (wish.subscriptionId === subscriptionId) return { key, text: wish.text };
    }
    return undefined;
  }

  /** The topics for the first frame: those without a filter or a reason, which it cannot carry. */
  topics() {
    return [...this.#wishes.values()]
      .filter((wish) => isEmpty(wish.filters) && wish.breakGlass === undefined)
      .map((wish) => wish.text);
  }

  /**
   * A connection is there: bring it to what is wanted.
   *
   * @param {Record<string, any>} connected
   * @param {boolean} resumed
   */
  connected(connected, resumed) {
    this.#isConnected = true;
    /** @type {Map<string, Subscription>} */
    const given = new Map();
    for (const one of connected.subscriptions ?? []) given.set(`${one.subscription_type}:${one.target_id}`, one);
    for (const { topic, reason } of connected.session?.gaps ?? []) {
      const wish = topic && LOSSES.has(reason) && this.#wishes.get(topicOf(topic).key);
      // The gap of the server says it already.
      if (wish) wish.isHeld = false;
    }
    /** @type {Map<string, ClientError>} */
    const refused = new Map();
    for (const frame of connected.errors ?? []) {
      const error = ClientError.fromFrame(frame);
      if (error.topic !== undefined) refused.set(topicOf(error.topic).key, error);
      else this.#line.onRefused(error);
    }
    for (const [key, wish] of [...this.#wishes]) {
      const one = given.get(key);
      const error = refused.get(key);
      refused.delete(key);
      if (one !== undefined) wish.subscriptionId = one.subscription_id;
      if (error !== undefined && one === undefined) this.#refuse(key, wish, error);
      else if (
        one !== undefined &&
        (isEmpty(wish.filters) ? isEmpty(one.filters) : resumed && wish.standing === "confirmed")
      ) {
        this.#confirm(wish, one);
      } else this.#ask(key, wish);
    }
    for (const error of refused.values()) this.#line.onRefused(error);
    if (resumed) this.#adopt(given);
    for (const [key, leaving] of [...this.#leaving]) {
      if (given.has(key)) this.#leave(key);
      else this.#isGone(key, leaving.waiting);
    }
  }

  /**
   * What a session brings from before this page was loaded is wanted until it is given up. Nothing else is unknown
   * here.
   *
   * @param {Map<string, Subscription>} given
   */
  #adopt(given) {
    for (const [key, one] of given) {
      if (this.#wishes.has(key) || this.#leaving.has(key)) continue;
      const wish = newWish(topicOf(one.subscription_type, one.target_id), one.filters, false);
      this.#wishes.set(key, wish);
      this.#confirm(wish, one);
    }
  }

  /** @param {boolean} keep whether the subscriptions made since `connect` are wanted on the next connection too */
  disconnected(keep) {
    this.#isConnected = false;
    for (const timer of this.#timers) this.#line.timers.clearTimeout(timer);
    this.#timers.clear();
    for (const [key, wish] of [...this.#wishes]) {
      if (this.#endGlass(key, wish)) continue;
      wish.requestId = null;
      if (wish.standing !== "confirmed") wish.standing = "waiting";
      if (keep) continue;
      if (wish.isOption) {
        this.#wishes.set(key, { ...newWish(wish, undefined, true), isHeld: wish.isHeld, waiting: wish.waiting });
        continue;
      }
      this.#wishes.delete(key);
      for (const one of wish.waiting) one.reject(new ClientError("connection_lost", "The connection was lost."));
    }
    if (!keep) for (const [key, leaving] of this.#leaving) this.#isGone(key, leaving.waiting);
  }

  /** There is nothing to leave. @param {string} key @param {Waiting[]} waiting */
  #isGone(key, waiting) {
    this.#leaving.delete(key);
    const [subscription_type, target_id] = splitKey(key);
    for (const one of waiting) one.resolve({ subscription_type, target_id, existed: false });
  }

  /** Nothing is wanted any more. @param {ClientError} error for those who wait */
  end(error) {
    this.disconnected(true);
    for (const one of [...this.#wishes.values(), ...this.#leaving.values()]) {
      for (const waiting of one.waiting) waiting.reject(error);
    }
    this.#wishes.clear();
    this.#leaving.clear();
  }

  /** The server has ended a subscription for want of a sign of life. @param {Record<string, any>} frame */
  expired(frame) {
    const key = `${frame.subscription_type}:${frame.target_id}`;
    const wish = this.#wishes.get(key);
    if (wish === undefined) return;
    if (this.#endGlass(key, wish)) return;
    // What is published until it is confirmed again does not come.
    this.#lose(wish, "expired");
    this.#ask(key, wish);
  }

  /** The right to a subscription has ended, and it with it. @param {any} details which the error names */
  withdrawn(details) {
    const key = `${details?.subscription_type}:${details?.target_id}`;
    const wish = this.#wishes.get(key);
    if (wish?.standing !== "confirmed" || this.#endGlass(key, wish)) return;
    wish.standing = "refused";
    this.#lose(wish, "forbidden");
  }

  /**
   * The server does not restore what somebody had to give a reason for, and nobody gives one for it here: it is wanted
   * no more. One whose reason the server has not confirmed yet is left alone.
   *
   * @param {string} key @param {Wish} wish @returns {boolean} whether it was such a one
   */
  #endGlass(key, wish) {
    if (!wish.isGlass || wish.breakGlass !== undefined) return false;
    this.#wishes.delete(key);
    for (const one of wish.waiting.splice(0)) one.reject(new ClientError("replaced", "The right to it has ended."));
    this.#lose(wish, "forbidden");
    return true;
  }

  /** @param {Wish} wish @param {"forbidden" | "limit" | "expired"} reason */
  #lose(wish, reason) {
    if (!wish.isHeld) return;
    wish.isHeld = false;
    this.#line.onLost(wish.text, reason);
  }

  /** @param {string} key @param {Wish} wish @param {string} [requestId] */
  #ask(key, wish, requestId) {
    /** @type {Record<string, any>} */
    const command = { type: "subscribe", topic: wish.text };
    if (wish.filters !== undefined) command.filters = wish.filters;
    if (wish.breakGlass !== undefined) command.break_glass = wish.breakGlass;
    if (requestId !== undefined) command.request_id = requestId;
    const labelled = this.#line.requests.label(/** @type {any} */ (command));
    wish.standing = "asked";
    wish.requestId = labelled.request_id;
    const isCurrent = () => this.#wishes.get(key) === wish && wish.requestId === labelled.request_id;
    this.#line.requests.expect(labelled.request_id, {
      resolve: (frame) => isCurrent() && this.#confirm(wish, frame),
      reject: (error) => isCurrent() && this.#failed(key, wish, error),
    });
    this.#line.send(labelled);
  }

  /** @param {string} key @param {Wish} wish @param {ClientError} error @returns {void} */
  #failed(key, wish, error) {
    if (error.code === "connection_lost") return;
    if (error.code !== RATE_LIMIT) return this.#refuse(key, wish, error);
    wish.standing = "waiting";
    const timer = this.#line.timers.setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#isConnected && this.#wishes.get(key) === wish && wish.standing === "waiting") this.#ask(key, wish);
    }, error.retryAfterMs ?? TRY_AGAIN_AFTER);
    this.#timers.add(timer);
  }

  /** @param {Wish} wish @param {Record<string, any>} subscription */
  #confirm(wish, subscription) {
    wish.standing = "confirmed";
    wish.isHeld = true;
    wish.requestId = null;
    wish.former = null;
    wish.breakGlass = undefined;
    wish.isGlass = subscription.break_glass === true;
    wish.subscriptionId = subscription.subscription_id;
    for (const one of wish.waiting.splice(0)) one.resolve(subscription);
  }

  /**
   * Who waits is told, and what was in force before stays. What once was confirmed, or was named in `connect`, is
   * tried again on the next connection: the right to it may have come back.
   *
   * @param {string} key @param {Wish} wish @param {ClientError} error
   * @returns {void}
   */
  #refuse(key, wish, error) {
    if (error.code === RATE_LIMIT) return this.#failed(key, wish, error);
    const waiting = wish.waiting.splice(0);
    if (wish.former !== null) this.#wishes.set(key, { ...wish.former, subscriptionId: wish.subscriptionId });
    else {
      if (wish.isOption || wish.subscriptionId !== null) wish.standing = "refused";
      else this.#wishes.delete(key);
      this.#lose(wish, error.code === PERMISSION_DENIED ? "forbidden" : "limit");
    }
    error.topic ??= wish.text;
    for (const one of waiting) one.reject(error);
    this.#line.onRefused(error);
  }

  /** @param {string} key @param {string} [requestId] */
  #leave(key, requestId) {
    const leaving = this.#leaving.get(key);
    if (leaving === undefined) return;
    /** @type {Record<string, any>} */
    const command = { type: "unsubscribe", topic: leaving.text };
    if (requestId !== undefined) command.request_id = requestId;
    const labelled = this.#line.requests.label(/** @type {any} */ (command));
    const settle = (/** @type {(one: Waiting) => void} */ tell) => {
      if (this.#leaving.get(key) !== leaving) return;
      this.#leaving.delete(key);
      leaving.waiting.forEach(tell);
    };
    this.#line.requests.expect(labelled.request_id, {
      resolve: (frame) => settle((one) => one.resolve(frame)),
      reject: (error) => {
        // On the next connection it is seen whether it is still there.
        if (error.code !== "connection_lost") settle((one) => one.reject(error));
      },
    });
    this.#line.send(labelled);
  }
}

/** @param {{text: string}} topic @param {Filters | undefined} filters @param {boolean} isOption @returns {Wish} */
function newWish({ text }, filters, isOption) {
  return {
    text,
    filters,
    standing: "waiting",
    requestId: null,
    subscriptionId: null,
    former: null,
    isOption,
    isHeld: false,
    breakGlass: undefined,
    isGlass: false,
    waiting: [],
  };
}

/** @param {object | null | undefined} filters */
function isEmpty(filters) {
  return filters === undefined || filters === null || Object.keys(filters).length === 0;
}

/** @param {string} key */
function splitKey(key) {
  const colon = key.indexOf(":");
  return [key.slice(0, colon), key.slice(colon + 1)];
}
