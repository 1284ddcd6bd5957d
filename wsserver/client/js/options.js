// @ts-check
/** @import {ReconnectionConfig, ConnectOptions, Timers} from "./types.js" */

/** @type {Timers} */
const GLOBAL_TIMERS = {
  // Looked up when used, so that what replaces them later (fake timers in tests, zones) is used.
  setTimeout: (callback, milliseconds) => globalThis.setTimeout(callback, milliseconds),
  clearTimeout: (timer) => globalThis.clearTimeout(/** @type {any} */ (timer)),
};

/** @type {Readonly<ReconnectionConfig>} */
export const DEFAULTS = Object.freeze({
  maxAttempts: 10,
  initialDelay: 1000,
  maxDelay: 30_000,
  backoffMultiplier: 2,
  jitterFactor: 0.1,
  jitterMode: "proportional",
  heartbeatInterval: 30_000,
  heartbeatTimeout: 10_000,
  connectionTimeout: 10_000,
  enableSessionRestore: true,
  enableMessageReplay: true,
  minUptime: 5000,
  maxQueueSize: 1000,
  queueOverflow: "drop-oldest",
  maxSendRate: 40,
  maxPendingMessages: 10_000,
  maxPendingBytes: 16 * 1024 * 1024,
  getToken: null,
  codec: "json",
  retryWhenOnline: true,
  pauseWhenHidden: false,
  storage: null,
  logger: null,
  WebSocket: null,
  random: () => Math.random(),
  now: () => globalThis.performance?.now() ?? Date.now(),
  timers: GLOBAL_TIMERS,
  page: null,
});

/** Half of what a timer takes, as jitter comes on top: twelve days. */
const LONGEST = 2 ** 30;

/** @type {Record<string, [least: number, most: number, whole?: boolean]>} */
const RANGES = {
  maxAttempts: [0, Infinity, true],
  initialDelay: [0, LONGEST],
  maxDelay: [0, LONGEST],
  backoffMultiplier: [1, Infinity],
  jitterFactor: [0, 1],
  heartbeatInterval: [0, LONGEST],
  heartbeatTimeout: [1, LONGEST],
  connectionTimeout: [1, LONGEST],
  minUptime: [0, Infinity],
  maxQueueSize: [0, Infinity],
  maxSendRate: [0, Infinity],
  maxPendingMessages: [1, Infinity],
  maxPendingBytes: [1, Infinity],
};

/** @type {Record<string, readonly string[]>} */
const CHOICES = {
  jitterMode: ["proportional", "full"],
  queueOverflow: ["drop-oldest", "drop-newest", "throw"],
  codec: ["json", "binary", "auto"],
};

export const CONNECT_OPTIONS = new Set([
  "userId",
  "role",
  "patientId",
  "subscriptions",
  "autoReconnect",
  "token",
  "signal",
]);

/**
 * The whole configuration; later ones win, and undefined says nothing.
 *
 * @param {...Partial<ReconnectionConfig>} given
 * @returns {ReconnectionConfig}
 * @throws {TypeError} for an option that does not exist or has the wrong type
 * @throws {RangeError} for a number or word out of bounds
 */
export function readConfig(...given) {
  /** @type {any} */
  const config = { ...DEFAULTS };
  for (const part of given) {
    for (const [name, value] of Object.entries(part)) {
      if (!Object.hasOwn(DEFAULTS, name)) throw new TypeError(`there is no option ${name}`);
      if (value !== undefined) config[name] = value;
    }
  }
  for (const [name, [least, most, whole]] of Object.entries(RANGES)) {
    const value = config[name];
    if (typeof value !== "number") throw new TypeError(`${name} must be a number`);
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value) && value !== Infinity)) {
      throw new RangeError(`${name} must be ${whole ? "a whole number " : ""}from ${least} to ${most}`);
    }
  }
  for (const [name, words] of Object.entries(CHOICES)) {
    if (!words.includes(config[name])) throw new RangeError(`${name} must be one of ${words.join(", ")}`);
  }
  for (const [name, value] of Object.entries(DEFAULTS)) {
    const wanted = typeof value;
    if (wanted === "boolean" || wanted === "function") {
      if (typeof config[name] !== wanted) throw new TypeError(`${name} must be a ${wanted}`);
    }
  }
  for (const name of ["getToken", "WebSocket"]) {
    if (config[name] !== null && typeof config[name] !== "function") throw new TypeError(`${name} must be a function`);
  }
  return config;
}

/**
 * @param {ConnectOptions} options
 * @returns {ConnectOptions}
 * @throws {TypeError}
 */
export function readConnectOptions(options) {
  if (options === null || typeof options !== "object") throw new TypeError("connect needs options with a userId");
  for (const name of Object.keys(options)) {
    if (!CONNECT_OPTIONS.has(name)) throw new TypeError(`connect has no option ${name}`);
  }
  const { userId, role, patientId, subscriptions, token } = options;
  if (!isId(userId)) throw new TypeError("userId must be a text or a whole number");
  if (patientId !== undefined && patientId !== null && !isId(patientId)) {
    throw new TypeError("patientId must be a text or a whole number");
  }
  if (role !== undefined && typeof role !== "string") throw new TypeError("role must be a text");
  if (token !== undefined && (typeof token !== "string" || token === "")) throw new TypeError("token must be a text");
  if (
    subscriptions !== undefined &&
    !(Array.isArray(subscriptions) && subscriptions.every((t) => typeof t === "string"))
  ) {
    throw new TypeError("subscriptions must be a list of topics");
  }
  return options;
}

/** @param {unknown} value */
function isId(value) {
  return (typeof value === "string" && value !== "") || Number.isSafeInteger(value);
}
