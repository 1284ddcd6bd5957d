/**
 * The public types, kept by hand: declarations generated from JSDoc would lose the words on single properties.
 *
 * @module
 */

/** JSON as it goes over the wire. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A command to the server: `type` says which. */
export interface Command {
  type: string;
  [member: string]: unknown;
}

/** For each log the highest `seq` that was handled: the whole position of a client. */
export type Cursor = Record<string, number>;

/** A filter as the protocol has it; none or `{}` matches every message. */
export type Filters = Record<string, unknown>;

/** Why a new token is asked for. */
export type TokenReason = "first" | "expiring" | "expired" | "refused";

/** Gives a token. `refused` and `expired` ask for one that is not the one before. */
export type GetToken = (context: { reason: TokenReason }) => string | Promise<string>;

export interface Timers {
  setTimeout(callback: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** Where lines go that a developer may want to read; `console` fits. Never told tokens, session ids or messages. */
export interface Logger {
  debug?(text: string, ...details: unknown[]): void;
  warn(text: string, ...details: unknown[]): void;
}

/** The part of `Storage` that is used: `sessionStorage` fits. */
export interface SessionStore {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** The part of the standard `WebSocket` that is used. */
export interface SocketLike {
  readonly readyState: number;
  readonly protocol: string;
  readonly bufferedAmount: number;
  binaryType: string;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: any): void;
  close(code?: number, reason?: string): void;
}

export type SocketClass = new (url: string, protocols: string[]) => SocketLike;

/** The part of a page that is listened to. */
export interface Page {
  window?: EventSource;
  document?: EventSource & { readonly visibilityState?: string };
  navigator?: { readonly onLine?: boolean };
}

export interface EventSource {
  addEventListener?(type: string, listener: (event: any) => void): void;
  removeEventListener?(type: string, listener: (event: any) => void): void;
}

/** How the client behaves. Times are in milliseconds. */
export interface ReconnectionConfig {
  /** Attempts to come back before `reconnect_failed`; 0: endless. Default 10. */
  maxAttempts: number;
  /** Wait before the first attempt. Default 1000. */
  initialDelay: number;
  /** No computed wait is longer before the proportional jitter. Default 30000. */
  maxDelay: number;
  /** Each wait is this many times the one before. Default 2. */
  backoffMultiplier: number;
  /** Proportional jitter: the wait is changed by up to this part of it. Default 0.1. */
  jitterFactor: number;
  /**
   * `proportional` varies each wait by `jitterFactor`; `full` takes anything from half a second to the whole wait,
   * which keeps clients that were cut off together apart. Default `proportional`.
   */
  jitterMode: "proportional" | "full";
  /** Time between pings; 0: none. Default 30000. */
  heartbeatInterval: number;
  /** How long after a ping the server may stay silent before the connection counts as dead. Default 10000. */
  heartbeatTimeout: number;
  /** From dialling to `connected`, `getToken` included; for the answer to a `request` as well. Default 10000. */
  connectionTimeout: number;
  /**
   * Show the session of the connection before, so that its subscriptions are restored. If false a new connection has
   * the `subscriptions` of `connect` and no others, and nothing is replayed. Default true.
   */
  enableSessionRestore: boolean;
  /**
   * Let the server replay what was missed. If false the subscriptions are made anew, and what was missed is told as
   * a `gap`. Default true.
   */
  enableMessageReplay: boolean;
  /** A connection that lasted this long lets the count of attempts begin anew. Default 5000. */
  minUptime: number;
  /** Messages that wait for a connection. Default 1000. */
  maxQueueSize: number;
  /** What goes when the queue is full. `throw` lets `queueMessage` throw. Default `drop-oldest`. */
  queueOverflow: "drop-oldest" | "drop-newest" | "throw";
  /**
   * Queued messages leave no faster than this a second (100 at once), to stay below the server's limit; 0: at once.
   * Default 40.
   */
  maxSendRate: number;
  /**
   * Received messages that wait for slow handlers; beyond it the connection is given up until half are handled.
   * Default 10000.
   */
  maxPendingMessages: number;
  /** The same in bytes as received (characters, for text). Default 16 MiB. */
  maxPendingBytes: number;
  /** Asked for a token at first, when it is about to end, and when it was refused. */
  getToken: GetToken | null;
  /**
   * `binary` and `auto` offer binary frames and take JSON where the server has none; `auto` also does without the
   * decoder. Default `json`.
   */
  codec: "json" | "binary" | "auto";
  /**
   * Wait for the network while the page is offline, and go on after `reconnect_failed` when it is back. Default true.
   */
  retryWhenOnline: boolean;
  /**
   * Close while the page is hidden and come back when it is seen. Default false: a hidden monitor still has to beep.
   */
  pauseWhenHidden: boolean;
  /** Keeps the session over a reload of the page, written when the page goes. Default null: in memory only. */
  storage: SessionStore | null;
  /** Default null: silent. */
  logger: Logger | null;
  /** The class of sockets; default the global one. */
  WebSocket: SocketClass | null;
  /** In [0, 1). Default `Math.random`. */
  random: () => number;
  /** Monotonic milliseconds. Default `performance.now`. */
  now: () => number;
  /** Default the global ones. */
  timers: Timers;
  /** What tells of the network and of the page; default the global object's, where it has them. */
  page: Page | null;
}

export interface ConnectOptions {
  /** Must be the user of the token. */
  userId: string | number;
  /** Must be the role of the token. */
  role?: string;
  /** Whom the screen is about; subscribes to nothing. */
  patientId?: string | number | null;
  /** Topics such as `patient:123`, `type:ecg`, `ecg:bed-7`. */
  subscriptions?: readonly string[];
  /** Come back after the connection is lost. Default true. */
  autoReconnect?: boolean;
  /** The first token; `getToken` gives the ones after it. */
  token?: string;
  /** Ends the attempt to connect, and later the connection. */
  signal?: AbortSignal;
}

/** Where to connect: an address, or what gives one before each attempt. */
export type Address = string | URL | (() => string | URL | Promise<string | URL>);

/**
 * `idle`: not asked to connect. `connecting`: for the first time. `reconnecting`: connection lost, waiting or dialling.
 * `offline`: waiting for the network. `suspended`: the page is frozen or put away. `failed`: attempts are used up.
 * `closed`: ended for good.
 */
export type State =
  "idle" | "connecting" | "connected" | "reconnecting" | "offline" | "suspended" | "failed" | "closed";

/** Messages that should have come and did not, or may have been missed. */
export interface Gap {
  /** Missing where a subscription has ended. */
  log?: string;
  /** Any topic if missing. */
  topic?: string;
  from?: number;
  /** Up to now if missing. */
  to?: number;
  /** Unknown if missing. */
  count?: number;
  reason: "slow" | "conflated" | "expired" | "trimmed" | "restart" | "ahead" | "limit" | "forbidden" | (string & {});
}

/** A subscription as the server confirmed it. */
export interface SubscribeOptions {
  /**
   * Why the user must see a patient whom the user may not see: a line of 8 to 200 characters. The subscription ends with
   * the connection, or before, and is not asked for again.
   */
  breakGlass?: string;
}

export interface Subscription {
  subscription_id: string;
  subscription_type: string;
  target_id: string;
  filters: Filters;
  /** It was there before and has these filters now. */
  replaced?: boolean;
  /** The filter may not be what was meant. */
  hint?: string;
  /** The patient is seen for the reason that was stated, and for a time. */
  break_glass?: boolean;
}

export interface Unsubscribed {
  subscription_type: string;
  target_id: string;
  existed: boolean;
}

/** What the server gave each published message. */
export interface MessageMeta {
  id: string;
  topic: string;
  log: string;
  seq: number;
  ts: string;
}

export interface MessageEvent {
  /** The message as it was published, with `_meta`. In binary frames samples are typed arrays. */
  data: any;
  seq: number;
  log: string;
  topic: string;
  id: string;
  /** Milliseconds since 1970, when it arrived here. */
  receivedAt: number;
  /** It was published while this client was away. */
  replayed: boolean;
}

export interface ConnectedEvent {
  connectionId: string;
  /** A secret of this user. Not enumerable, so that it stays out of logs. */
  readonly sessionId: string | null;
  /** The server went on with the session; false too at the first connection. */
  resumed: boolean;
  /** Messages that the server sends after this because they were missed. */
  replayed: number;
  userId: string;
  role: string;
  protocol: string;
  subscriptions: Subscription[];
  /** Subscriptions that were refused. */
  errors: { code: number; name: string; message: string; topic?: string }[];
}

export interface DisconnectedEvent {
  code: number;
  reason: string;
  wasClean: boolean;
  willReconnect: boolean;
  /** The server's word is final: connecting again by itself would be refused again. */
  terminal: boolean;
}

export interface ReconnectingEvent {
  attempt: number;
  /** Milliseconds until it is made. */
  delay: number;
  /** 0: endless. */
  maxAttempts: number;
  /** The server has asked for this delay. */
  advised: boolean;
}

export interface ReconnectedEvent {
  attempts: number;
  downtimeMs: number;
  resumed: boolean;
  replayed: number;
  /** Something is missing: `gap` events say what. */
  gap: boolean;
}

/** What went wrong, by a number of the protocol or a word of the client. */
export interface ClientErrorShape extends Error {
  /** 1001 to 1015 as the protocol has them, or a word such as `handler_failed`. */
  code: number | string;
  /** The protocol's name of the error, such as `permission_denied`. */
  reason: string;
  closeCode?: number;
  retryAfterMs?: number;
  requestId?: string;
  topic?: string;
  details?: unknown;
}

export interface ServiceEvents {
  state: { state: State; previous: State };
  /** A socket is being opened. `attempt` is 0 for the first. */
  connecting: { attempt: number };
  connected: ConnectedEvent;
  disconnected: DisconnectedEvent;
  reconnecting: ReconnectingEvent;
  reconnected: ReconnectedEvent;
  /** The attempts are used up. The page is blind from here on: say so. */
  reconnect_failed: { attempts: number; error: ClientErrorShape };
  /** A published message. A promise that is returned holds back the messages behind it, and the cursor. */
  message: MessageEvent;
  /** Something is missing here. Show a hole, not a join. */
  gap: Gap;
  error: ClientErrorShape;
  queue: { length: number; dropped: number };
  server_shutdown: { reconnectInMs: number | null; message: string };
  heartbeat: { rttMs: number };
  token_expiring: { expiresInMs: number };
  /** Every message of the server itself that is no `connected` and no `pong`, as it came. */
  control: Record<string, any>;
}

export interface Metrics {
  state: State;
  /** Attempts since the last connection that lasted. */
  attempts: number;
  reconnects: number;
  /** Of the connection that is open. */
  uptimeMs: number;
  /** Since the first connection, all together. */
  downtimeMs: number;
  rtt: { last: number | null; avg: number | null; p95: number | null };
  sent: number;
  received: number;
  /** Characters of text, bytes of binary frames. */
  bytesSent: number;
  bytesReceived: number;
  queued: number;
  dropped: number;
  /** Received, waiting for their handlers. */
  pending: number;
  replayed: number;
  duplicates: number;
  gaps: number;
  subscriptions: number;
  lastCloseCode: number | null;
  /** Code and reason, never a text of the server. */
  lastError: { code: number | string; reason: string } | null;
}

export interface QueueOptions {
  /** Milliseconds after which the message is no longer worth sending. */
  ttl?: number;
}

export type QueueOutcome = "sent" | "queued" | "dropped";

/** The shape of events that the socket dispatches. */
export interface ReconnectingSocketEvent {
  type: "open" | "message" | "close" | "error";
  target: unknown;
  data?: unknown;
  code?: number;
  reason?: string;
  wasClean?: boolean;
}
