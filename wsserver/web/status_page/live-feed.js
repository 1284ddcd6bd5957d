// @ts-check
import { socketAddress } from "./api.js";
import { WebSocketReconnectService } from "./client/index.js";
/** @import {Session} from "./session.js" */

const STALE_MS = 5_000;
/** Comes each second while all is well. */
const PULSE = "overview";

/** @typedef {"connecting" | "live" | "stale" | "lost"} FeedState */

/**
 * The server's figures as they change, over its own protocol: one message a second for each panel that somebody
 * watches. Events: `state`, `paused`.
 */
export class LiveFeed extends EventTarget {
  #session;
  /** @type {WebSocketReconnectService | null} */
  #service = null;
  /** @type {Map<string, Set<(data: any) => void>>} */
  #watchers = new Map();
  /** @type {Map<string, any>} */
  #latest = new Map();
  /** @type {FeedState} */
  #state = "connecting";
  #paused = false;
  #heardAt = 0;
  #retryAt = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {Session} session */
  constructor(session) {
    super();
    this.#session = session;
  }

  get state() {
    return this.#state;
  }

  /** Whether what comes is kept from the screens; the newest is shown when it ends. */
  get paused() {
    return this.#paused;
  }

  set paused(paused) {
    this.#paused = paused;
    this.dispatchEvent(new Event("paused"));
    if (!paused) for (const [panel, data] of this.#latest) this.#tell(panel, data);
  }

  /** Seconds until the next attempt, null while none is planned. */
  get retryIn() {
    return this.#retryAt === 0 ? null : Math.max(0, Math.ceil((this.#retryAt - performance.now()) / 1000));
  }

  /** Seconds since the last news. */
  get silentFor() {
    return (performance.now() - this.#heardAt) / 1000;
  }

  /** Connect with the session's cookie, and keep connected until `stop`. */
  start() {
    const service = new WebSocketReconnectService({
      // Somebody watches: endlessly, and not together with all others whom the same loss has hit.
      maxAttempts: 0,
      jitterMode: "full",
      maxDelay: 10_000,
      heartbeatInterval: 10_000,
      heartbeatTimeout: 5_000,
      getToken: () => this.#session.csrf ?? "none",
    });
    this.#service = service;
    this.#heardAt = performance.now();
    service.on("message", ({ data, topic }) => this.#take(topic.slice("status:".length), data));
    service.on("connected", () => this.#move("live"));
    service.on("reconnecting", ({ delay }) => {
      this.#retryAt = performance.now() + delay;
      this.#move("lost");
    });
    service.on("disconnected", ({ code, terminal }) => {
      this.#move("lost");
      // 4501: the session has ended. Any other final word leaves the button.
      if (terminal && code === 4501) this.#session.end();
    });
    const subscriptions = [...new Set([PULSE, ...this.#watchers.keys()])].map((panel) => `status:${panel}`);
    service.connect(socketAddress("admin"), { userId: this.#session.name, subscriptions }).catch(() => this.#move("lost"));
    this.#timer = setInterval(() => this.#look(), 1_000);
  }

  stop() {
    clearInterval(this.#timer);
    this.#service?.disconnect();
    this.#service = null;
    this.#latest.clear();
    this.#watchers.clear();
    this.#retryAt = 0;
    this.#state = "connecting";
  }

  /** Try at once. */
  retry() {
    this.#retryAt = 0;
    this.#service?.reconnect();
  }

  /**
   * Call a listener with what is known of a panel, and with all news of it until the returned function is called.
   *
   * @param {string} panel @param {(data: any) => void} listener
   */
  watch(panel, listener) {
    let watchers = this.#watchers.get(panel);
    if (watchers === undefined) {
      this.#watchers.set(panel, (watchers = new Set()));
      if (panel !== PULSE) this.#service?.subscribe("status", panel).catch(() => {});
    }
    watchers.add(listener);
    const known = this.#latest.get(panel);
    if (known !== undefined) listener(known);
    return () => this.#unwatch(panel, listener);
  }

  /** @param {string} panel @param {(data: any) => void} listener */
  #unwatch(panel, listener) {
    const watchers = this.#watchers.get(panel);
    if (!watchers?.delete(listener) || watchers.size > 0) return;
    this.#watchers.delete(panel);
    if (panel === PULSE) return;
    this.#latest.delete(panel);
    this.#service?.unsubscribe("status", panel).catch(() => {});
  }

  /** @param {string} panel @param {any} data */
  #take(panel, data) {
    this.#heardAt = performance.now();
    this.#latest.set(panel, data);
    if (this.#state === "stale") this.#move("live");
    if (!this.#paused) this.#tell(panel, data);
  }

  /** @param {string} panel @param {any} data */
  #tell(panel, data) {
    for (const watcher of this.#watchers.get(panel) ?? []) watcher(data);
  }

  #look() {
    if (this.#state === "live" && performance.now() - this.#heardAt > STALE_MS) this.#move("stale");
    else if (this.#state !== "live") this.dispatchEvent(new Event("state"));
  }

  /** @param {FeedState} state */
  #move(state) {
    if (state === "live") {
      this.#retryAt = 0;
      this.#heardAt = performance.now();
    }
    this.#state = state;
    this.dispatchEvent(new Event("state"));
  }
}
