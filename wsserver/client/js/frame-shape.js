// @ts-check

/**
 * What a frame must look like before anything of it is acted upon. What does not is damaged, or of somebody else; to
 * act on a half of it, and to fail at the other, would leave a client that is connected and deaf. Members that are not
 * named here may be anything.
 */

/** @typedef {(value: unknown) => boolean} Check */

/** @type {Check} */
const isText = (value) => typeof value === "string";
/** @type {Check} */
const isName = (value) => typeof value === "string" && value !== "";
/** @type {Check} */
const isTopic = (value) => typeof value === "string" && /^[^:]/.test(value);
/** The protocol's numbers end at 2^53, which is not "safe", and yet exact. @type {Check} */
const isCount = (value) => Number.isInteger(value) && /** @type {number} */ (value) >= 0 && Number(value) <= 2 ** 53;
/** @type {Check} */
const isNumber = (value) => Number.isFinite(value);
/** @type {Check} */
const isFlag = (value) => typeof value === "boolean";
/** A cursor is a plain object: what every object has under that name is no position. @type {Check} */
const isLog = (value) => typeof value === "string" && !(value in Object.prototype);

/** @param {Check} check @returns {Check} */
const optional = (check) => (value) => value === undefined || value === null || check(value);
/** @param {Check} check @returns {Check} */
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** @type {Check} */
const isCursor = (value) => isObject(value) && Object.entries(value).every(([log, seq]) => isLog(log) && isCount(seq));

/** @param {Record<string, Check>} shape @returns {Check} */
function objectOf(shape) {
  const members = Object.entries(shape);
  return (value) => isObject(value) && members.every(([name, check]) => check(value[name]));
}

const TOPIC = { subscription_type: isName, target_id: isName };
const SUBSCRIPTION = { ...TOPIC, subscription_id: isText };
const GAP = {
  reason: isText,
  log: optional(isLog),
  topic: optional(isTopic),
  from: optional(isCount),
  to: optional(isCount),
  count: optional(isCount),
};
const ERROR = {
  code: isNumber,
  name: optional(isText),
  message: optional(isText),
  topic: optional(isTopic),
  retry_after_ms: optional(isNumber),
};
const SESSION = { resumed: optional(isFlag), replayed: optional(isCount), gaps: optional(listOf(objectOf(GAP))) };

/** By `type`. @type {Record<string, Record<string, Check>>} */
const SHAPES = {
  connected: {
    connection_id: isText,
    session_id: optional(isText),
    user_id: isText,
    role: isText,
    protocol: isText,
    cursor: isCursor,
    session: optional(objectOf(SESSION)),
    subscriptions: optional(listOf(objectOf(SUBSCRIPTION))),
    errors: optional(listOf(objectOf(ERROR))),
  },
  error: ERROR,
  gap: GAP,
  pong: { cursor: optional(isCursor) },
  subscription_confirmed: SUBSCRIPTION,
  subscription_expired: TOPIC,
  system_shutdown: { reconnect_after_ms: optional(isNumber) },
  token_expiring: { expires_in: isNumber },
};
/** @type {ReadonlyMap<unknown, Check>} */
const CONTROL = new Map(
  Object.entries(SHAPES).map(([type, shape]) => [type, objectOf({ ...shape, request_id: optional(isText) })]),
);
const isAnswer = objectOf({ type: isText, request_id: optional(isText) });
const isMeta = objectOf({ id: isText, topic: isText, log: isLog, seq: isCount });

/**
 * Whether this is a published message or a control message of the protocol.
 *
 * @param {Record<string, unknown>} frame
 */
export function isFrame(frame) {
  if (frame._meta !== undefined) return isMeta(frame._meta);
  return (CONTROL.get(frame.type) ?? isAnswer)(frame);
}
