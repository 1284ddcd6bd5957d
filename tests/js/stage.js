/** A client with everything around it in the test's hand. */
import { WebSocketReconnectService } from "../../wsserver/client/js/index.js";
import { FakeServer } from "./fake-server.js";
import { HandClock, settle } from "./hand-clock.js";

export const URL_OF_TESTS = "ws://ward.test/ws/connect";
/** In the middle: proportional jitter then changes nothing. */
const MIDDLE = () => 0.5;

/** A page of which tests can say what happens to it. */
export class FakePage {
  window = new EventTarget();
  document = new EventTarget();
  navigator = { onLine: true };

  constructor() {
    this.document.visibilityState = "visible";
  }

  goOffline() {
    this.navigator.onLine = false;
    this.window.dispatchEvent(new Event("offline"));
  }

  goOnline() {
    this.navigator.onLine = true;
    this.window.dispatchEvent(new Event("online"));
  }

  hide() {
    this.document.visibilityState = "hidden";
    this.document.dispatchEvent(new Event("visibilitychange"));
  }

  show() {
    this.document.visibilityState = "visible";
    this.document.dispatchEvent(new Event("visibilitychange"));
  }

  putAway(persisted = true) {
    this.window.dispatchEvent(Object.assign(new Event("pagehide"), { persisted }));
  }

  bringBack(persisted = true) {
    this.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted }));
  }

  freeze() {
    this.document.dispatchEvent(new Event("freeze"));
  }

  thaw() {
    this.document.dispatchEvent(new Event("resume"));
  }
}

export class Stage {
  clock = new HandClock();
  server = new FakeServer();
  page = new FakePage();
  /** Every event in order, as [name, payload]. */
  events = [];

  constructor(config = {}) {
    this.service = new WebSocketReconnectService({
      WebSocket: this.server.Socket,
      timers: this.clock.timers,
      now: this.clock.now,
      page: this.page,
      random: MIDDLE,
      getToken: () => "token",
      ...config,
    });
    for (const name of [
      "state",
      "connecting",
      "connected",
      "disconnected",
      "reconnecting",
      "reconnected",
      "reconnect_failed",
      "message",
      "gap",
      "error",
      "queue",
      "server_shutdown",
      "heartbeat",
      "token_expiring",
      "control",
    ])
      this.service.on(name, (payload) => void this.events.push([name, payload]));
  }

  /** Connect and wait until nothing more happens by itself. */
  async connect(options = {}) {
    const socket = await this.service.connect(URL_OF_TESTS, { userId: "dr1", ...options });
    await settle();
    return socket;
  }

  /** Begin to connect; what becomes of it is in `outcome`. */
  async begin(options = {}) {
    this.service.connect(URL_OF_TESTS, { userId: "dr1", ...options }).then(
      () => (this.outcome = "connected"),
      (error) => (this.outcome = error),
    );
    await settle();
  }

  of(name) {
    return this.events.filter(([event]) => event === name).map(([, payload]) => payload);
  }

  last(name) {
    return this.of(name).at(-1);
  }

  get names() {
    return this.events.map(([name]) => name);
  }

  /** What the messages that were handled said. */
  get messages() {
    return this.of("message").map(({ data }) => data.n);
  }
}

export { settle };
