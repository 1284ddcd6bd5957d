/**
 * A server in memory that speaks the protocol as far as a client can tell: sessions with replay, subscriptions,
 * cursors, pongs.
 *
 * `Socket` is the class to hand to the client. Each socket that was made is in `sockets`; `heard` holds what the client said
 * on it. To change an answer put a function into `answers` by the command's type; it is given the socket and the
 * command, and what it returns (a frame, several, or nothing) is said. To refuse a dial put a function into `onDial`.
 */
import { settle } from "./hand-clock.js";

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;

export class FakeSocket {
  readyState = CONNECTING;
  protocol = "";
  bufferedAmount = 0;
  binaryType = "blob";
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  /** What the client said here. */
  heard = [];
  /** How the client closed it. */
  closed = null;
  subscriptions = new Map();
  session = null;

  constructor(server, url, protocols) {
    this.server = server;
    this.url = url;
    this.protocols = protocols;
  }

  // -- the client's side

  send(data) {
    if (this.readyState === CONNECTING) throw new Error("InvalidStateError");
    if (this.readyState !== OPEN) return;
    const command = typeof data === "string" ? JSON.parse(data) : data;
    this.heard.push(command);
    this.server.answer(this, command);
  }

  close(code, reason) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) throw new Error("InvalidAccessError");
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.closed = { code, reason };
    this.server.ended(this, code);
    this.onclose?.({ code: code ?? 1005, reason, wasClean: true });
  }

  // -- the server's side

  open(protocol = this.protocols.at(-1)) {
    this.readyState = OPEN;
    this.protocol = protocol;
    this.onopen?.({});
  }

  say(...frames) {
    for (const frame of frames) {
      if (this.readyState === OPEN)
        this.onmessage?.({
          data: typeof frame === "object" && !(frame instanceof ArrayBuffer) ? JSON.stringify(frame) : frame,
        });
    }
  }

  /** Close from the server's side, after an error frame if one is given. */
  hangUp(code, error) {
    if (error !== undefined) this.say({ type: "error", name: "some_error", message: "Some text.", ...error });
    if (this.readyState === CLOSED) return;
    const wasOpen = this.readyState === OPEN;
    this.readyState = CLOSED;
    this.server.ended(this, code);
    if (code === 1006) this.onerror?.({});
    this.onclose?.({ code, reason: wasOpen ? "server" : "", wasClean: code !== 1006 });
  }

  said(type) {
    return this.heard.filter((command) => command.type === type);
  }
}

export class FakeServer {
  sockets = [];
  answers = {};
  /** Called with a new socket; by default it opens. */
  onDial = (socket) => socket.open();
  /** Every message of the one log, in order. */
  history = [];
  log = "k1d";
  seq = 0;
  /** Ended and open sessions by id. */
  sessions = new Map();
  #ids = 0;

  Socket = (() => {
    const server = this;
    return class extends FakeSocket {
      constructor(url, protocols) {
        super(server, url, protocols);
        server.sockets.push(this);
        queueMicrotask(() => this.readyState === CONNECTING && server.onDial(this));
      }
    };
  })();

  /** The newest socket. */
  get socket() {
    return this.sockets.at(-1);
  }

  get hello() {
    return this.socket.said("connect")[0];
  }

  /** No server is there. */
  refuse() {
    this.onDial = (socket) => socket.hangUp(1006);
  }

  accept() {
    this.onDial = (socket) => socket.open();
  }

  /** Another process with the same name: nothing is remembered. */
  restart(log = "k2d") {
    this.sessions.clear();
    this.history = [];
    this.log = log;
    this.seq = 0;
  }

  /** A message to a topic; those who are subscribed get it. */
  publish(topic, message = {}) {
    const frame = {
      _meta: {
        id: `m_${this.log}_${this.seq + 1}`,
        topic,
        log: this.log,
        seq: ++this.seq,
        ts: "2026-01-01T00:00:00.000Z",
      },
      ...message,
    };
    this.history.push(frame);
    for (const socket of this.sockets)
      if (socket.readyState === OPEN && socket.session && wants(socket, frame)) socket.say(frame);
    return frame;
  }

  answer(socket, command) {
    const answer = this.answers[command.type] ?? DEFAULT_ANSWERS[command.type];
    const frames = answer?.call(this, socket, command) ?? [];
    socket.say(
      ...[frames].flat().map((frame) => (command.request_id ? { request_id: command.request_id, ...frame } : frame)),
    );
  }

  ended(socket, code) {
    if (socket.session === null) return;
    if (code === 1000 || (code >= 4500 && code !== 4522)) this.sessions.delete(socket.session);
    else this.sessions.set(socket.session, socket.subscriptions);
  }

  /** What `connect` is answered with, for tests that change some of it. */
  connected(socket, { session, subscriptions = [] }) {
    const former = session && this.sessions.get(session.id);
    if (former) socket.subscriptions = new Map(former);
    for (const topic of subscriptions) if (!socket.subscriptions.has(key(topic))) this.subscribe(socket, topic);
    socket.session = `secret${++this.#ids}`;
    this.sessions.set(socket.session, socket.subscriptions);
    const missed = former
      ? this.history.filter((frame) => frame._meta.seq > (session.cursor[this.log] ?? 0) && wants(socket, frame))
      : [];
    const gaps = [];
    if (session && !former) {
      for (const [log, seq] of Object.entries(session.cursor)) {
        if (log !== this.log) gaps.push({ type: "gap", log, from: seq + 1, reason: "restart" });
        else if (seq < this.seq) gaps.push({ type: "gap", log, from: seq + 1, to: this.seq, reason: "limit" });
      }
    }
    return [
      {
        type: "connected",
        connection_id: `c_${this.#ids}`,
        session_id: socket.session,
        session_ttl: 120,
        user_id: "dr1",
        role: "doctor",
        protocol: socket.protocol,
        heartbeat_interval: 30,
        max_message_size: 1048576,
        server_time: "2026-01-01T00:00:00.000Z",
        ...(session && { session: { resumed: former !== undefined, replayed: missed.length, gaps } }),
        cursor: { [this.log]: former ? Math.min(session.cursor[this.log] ?? 0, this.seq) : this.seq },
        subscriptions: [...socket.subscriptions.values()],
        errors: [],
      },
      ...missed,
    ];
  }

  subscribe(socket, topic, filters = {}) {
    const [subscription_type, target_id] = key(topic).split(":");
    const view = { subscription_id: `s_${key(topic)}`, subscription_type, target_id, filters };
    const replaced = socket.subscriptions.has(key(topic));
    socket.subscriptions.set(key(topic), view);
    return { ...view, replaced };
  }
}

const DEFAULT_ANSWERS = {
  connect(socket, command) {
    return this.connected(socket, command);
  },
  subscribe(socket, { topic, filters }) {
    return { type: "subscription_confirmed", ...this.subscribe(socket, topic, filters) };
  },
  unsubscribe(socket, { topic }) {
    const [subscription_type, target_id] = key(topic).split(":");
    return { type: "unsubscribed", subscription_type, target_id, existed: socket.subscriptions.delete(key(topic)) };
  },
  ping(socket, { t }) {
    return { type: "pong", t, server_time: "2026-01-01T00:00:00.000Z", cursor: { [this.log]: this.seq } };
  },
  auth: () => ({ type: "authenticated", expires_in: 3600 }),
  health_check: () => ({ type: "health", sent: 1 }),
};

function key(topic) {
  if (topic === "*") return "*:*";
  return topic.startsWith("type:") ? `${topic.slice(5)}:*` : topic;
}

function wants(socket, { _meta: { topic } }) {
  return topic === "*" || socket.subscriptions.has(topic);
}

export { settle };
