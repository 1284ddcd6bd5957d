// @ts-check
/**
 * One WebSocket to the server, kept alive: connects, authenticates, answers the heartbeat and comes back
 * after a cut.
 */

const SUBPROTOCOL = "wsserver.v1.json";
const CONNECT_TIMEOUT_MS = 10_000;
/** So that the first attempts are not spent on a server that is only just starting. */
const LEAST_DELAY_MS = 500;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;
const HEARTBEAT_MS = 30_000;
/** After the start's rush, so that the first round trip shown is the network's. */
const FIRST_PING_MS = 2_000;
/** How long after a due heartbeat the server may stay silent. */
const GRACE_MS = 10_000;
/** A connection that lived this long proves that the server works: the next delay is short again. */
const PROVEN_MS = 5_000;

const FINAL_RFC_CODES = new Set([1000, 1002, 1003, 1007, 1009]);
const AUTHENTICATION_EXPIRED = 4001;
const AUTHENTICATION_FAILED = 4501;
/** What the browser reports when no close frame was seen. */
const NO_CLOSE_SEEN = 1006;

/** Whether a connection closed with `code` should be opened again. @param {number} code */
export function mayReconnect(code) {
  return !(FINAL_RFC_CODES.has(code) || (code >= 4500 && code <= 4999));
}

/**
 * Full jitter: half a second and anything from nothing to the doubled delay, so that clients cut off together
 * do not come back together.
 * @param {number} attempt from 0 @param {() => number} random in [0, 1)
 */
export function backoff(attempt, random = Math.random) {
  return LEAST_DELAY_MS + random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 16));
}

/**
 * @typedef {{url: string, token: string, user_id: string, role: string,
 *   patients: {id: string, label: string}[]}} Config
 * @typedef {"connecting" | "live" | "waiting" | "closed"} State
 * @typedef {object} Handlers
 * @property {(config: Config) => void} config a configuration was loaded
 * @property {(state: State, detail: string) => void} state
 * @property {(message: any) => void} message a published message
 * @property {(gap: any) => void} gap messages that should have come and did not
 * @property {(text: string) => void} fault something a person should know
 * @property {(milliseconds: number) => void} roundTrip
 */

export class Link {
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {Config | null} */ #config = null;
  /** @type {State} */ #state = "connecting";
  #turn = 0;
  #attempt = 0;
  #openedAt = 0;
  #retryAt = 0;
  #heardAt = 0;
  #pingedAt = 0;
  #heartbeatMs = HEARTBEAT_MS;
  /** @type {number | null} The server's word on when to come back, in ms. */ #advice = null;
  #newTokenTried = false;
  /** @type {number | undefined} */ #ticker;
  #loadConfig;
  #on;

  /** @param {() => Promise<Config>} loadConfig asked again when a new token is needed @param {Handlers} handlers */
  constructor(loadConfig, handlers) {
    this.#loadConfig = loadConfig;
    this.#on = handlers;
  }

  start() {
    this.#ticker ??= setInterval(() => this.#tick(), 1_000);
    this.#open();
  }

  /** Close for good, as when the page is left; start() begins anew. */
  stop() {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    this.#turn += 1;
    this.#socket?.close(1000);
    this.#socket = null;
  }

  /** The network is back or the page is seen again: do not sit out the wait. */
  hurry() {
    if (this.#state === "waiting") this.#open();
  }

  async #open() {
    const turn = ++this.#turn;
    this.#setState("connecting");
    this.#openedAt = performance.now();
    try {
      if (this.#config === null) {
        const config = await this.#loadConfig();
        if (turn !== this.#turn) return;
        this.#config = config;
        this.#on.config(config);
      }
    } catch {
      if (turn === this.#turn) this.#retry(backoff(this.#attempt++));
      return;
    }
    const url = new URL(this.#config.url, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, [SUBPROTOCOL]);
    this.#socket = socket;
    // Late events of a socket that was given up must not touch its successor.
    const current = () => socket === this.#socket;
    socket.onopen = () => current() && this.#introduce();
    socket.onmessage = (event) => current() && this.#receive(event.data);
    socket.onclose = (event) => current() && this.#ended(event.code, event.reason);
  }

  #introduce() {
    const { token, user_id, role, patients } = /** @type {Config} */ (this.#config);
    const subscriptions = patients.map((patient) => `patient:${patient.id}`);
    this.#send({ type: "connect", token, user_id, role, subscriptions });
  }

  /** @param {object} command */
  #send(command) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(command));
  }

  /** @param {unknown} frame */
  #receive(frame) {
    this.#heardAt = performance.now();
    let message;
    try {
      message = JSON.parse(String(frame));
    } catch {
      this.#on.fault("A message from the server could not be read.");
      return;
    }
    if (message._meta) this.#on.message(message);
    else this.#control(message);
  }

  /** @param {any} message */
  #control(message) {
    switch (message.type) {
      case "connected":
        this.#heartbeatMs = (message.heartbeat_interval ?? HEARTBEAT_MS / 1000) * 1000;
        this.#advice = null;
        this.#newTokenTried = false;
        this.#openedAt = performance.now();
        this.#setState("live");
        for (const gap of message.session?.gaps ?? []) this.#on.gap(gap);
        for (const error of message.errors ?? []) this.#on.fault(error.message);
        this.#pingedAt = performance.now() - this.#heartbeatMs + FIRST_PING_MS;
        break;
      case "pong":
        this.#on.roundTrip(performance.now() - this.#pingedAt);
        break;
      case "gap":
        this.#on.gap(message);
        break;
      case "error":
        this.#advice = message.retry_after_ms ?? this.#advice;
        this.#on.fault(message.message);
        break;
      case "system_shutdown":
        this.#advice = message.reconnect_after_ms ?? this.#advice;
        this.#on.fault(message.message);
        break;
      case "token_expiring":
        this.#renew();
        break;
    }
  }

  #ping() {
    this.#pingedAt = performance.now();
    this.#send({ type: "ping", t: Date.now() });
  }

  async #renew() {
    const turn = this.#turn;
    try {
      const config = await this.#loadConfig();
      if (turn !== this.#turn) return;
      this.#config = config;
      this.#send({ type: "auth", token: config.token });
    } catch {
      // The server closes with 4001 at expiry, and the way back asks again.
    }
  }

  /** By timestamps: in a hidden page timers come late, and late is not dead. */
  #tick() {
    const now = performance.now();
    if (this.#state === "waiting") {
      if (now >= this.#retryAt) this.#open();
      else this.#on.state("waiting", this.#countdown());
    } else if (this.#state === "connecting") {
      if (now - this.#openedAt > CONNECT_TIMEOUT_MS) this.#giveUp();
    } else if (this.#state === "live") {
      if (now - this.#openedAt > PROVEN_MS) this.#attempt = 0;
      if (now - this.#heardAt > this.#heartbeatMs + GRACE_MS && this.#pingedAt > this.#heardAt) this.#giveUp();
      else if (now - this.#pingedAt >= this.#heartbeatMs) this.#ping();
    }
  }

  #giveUp() {
    this.#turn += 1;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#ended(NO_CLOSE_SEEN, "");
  }

  /** @param {number} code @param {string} reason */
  #ended(code, reason) {
    this.#socket = null;
    const advice = this.#advice;
    this.#advice = null;
    if (code === AUTHENTICATION_EXPIRED) {
      this.#config = null;
    } else if (code === AUTHENTICATION_FAILED && !this.#newTokenTried) {
      this.#newTokenTried = true;
      this.#config = null;
    } else if (!mayReconnect(code)) {
      this.#setState("closed", reason || `code ${code}`);
      return;
    }
    this.#retry(advice ?? backoff(this.#attempt++));
  }

  /** @param {number} delay ms */
  #retry(delay) {
    this.#retryAt = performance.now() + delay;
    this.#setState("waiting", this.#countdown());
  }

  #countdown() {
    return `in ${Math.max(1, Math.ceil((this.#retryAt - performance.now()) / 1000))} s`;
  }

  /** @param {State} state @param {string} detail */
  #setState(state, detail = "") {
    this.#state = state;
    this.#on.state(state, detail);
  }
}
