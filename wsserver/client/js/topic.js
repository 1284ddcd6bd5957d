// @ts-check

/**
 * The address of a subscription in the protocol's normal form: `type:ecg` is (ecg, *), `*` is (*, *), the first colon
 * splits. What is no topic is left to the server, whose answer says why.
 *
 * @typedef {object} Topic
 * @property {string} text as in a command
 * @property {string} key `type:target`, one for all spellings
 */

/**
 * @param {string} type or a whole topic, without a target
 * @param {string | number | null} [target]
 * @returns {Topic}
 * @throws {TypeError} for what can be no address at all
 */
export function topicOf(type, target) {
  if (typeof type !== "string" || type === "") throw new TypeError("a topic is a text such as patient:123");
  if (target === undefined || target === null) {
    const colon = type.indexOf(":");
    if (colon >= 0) return topicOf(type.slice(0, colon), type.slice(colon + 1));
    return type === "*" ? { text: "*", key: "*:*" } : { text: `${type}:*`, key: `${type}:*` };
  }
  if (typeof target !== "string" && !Number.isSafeInteger(target)) {
    throw new TypeError("the target of a subscription is a text or a whole number");
  }
  if (type === "type") return { text: `type:${target}`, key: `${target}:*` };
  if (type === "*") return { text: "*", key: "*:*" };
  return { text: `${type}:${target}`, key: `${type}:${target}` };
}

/**
 * The topic that a `subscribe` or `unsubscribe` command names.
 *
 * @param {Record<string, any>} command
 */
export function topicOfCommand(command) {
  return command.topic === undefined ? topicOf(command.subscription_type, command.target_id) : topicOf(command.topic);
}
