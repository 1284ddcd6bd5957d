// @ts-check

/**
 * With full jitter no wait is shorter: the first attempts of many would otherwise be spent on a server that is only
 * just starting.
 */
export const LEAST_FULL_DELAY = 500;

/** A server that asks for more than an hour is wrong, and nobody who watches would wait for it. */
export const LONGEST_ADVICE = 3_600_000;

/** One that says "at once" again and again must not be dialled as fast as the network allows. */
const LEAST_ADVICE = 100;

/** An advised wait gets up to this part more, as several clients may have got the same advice. */
const ADVICE_JITTER = 0.1;

/**
 * @typedef {object} BackoffOptions
 * @property {number} initialDelay
 * @property {number} maxDelay
 * @property {number} backoffMultiplier
 * @property {number} jitterFactor
 * @property {"proportional" | "full"} jitterMode
 */

/**
 * The wait before an attempt without its random part.
 *
 * @param {number} attempt from 1
 * @param {BackoffOptions} options
 */
export function baseDelay(attempt, { initialDelay, maxDelay, backoffMultiplier }) {
  // Infinity for a large attempt, which min() bounds.
  return Math.min(maxDelay, initialDelay * backoffMultiplier ** (attempt - 1));
}

/**
 * The wait before an attempt, in whole milliseconds. The random part comes after the upper bound, so that clients
 * which have tried for long do not come together either.
 *
 * @param {number} attempt from 1
 * @param {BackoffOptions} options
 * @param {() => number} random
 */
export function backoffDelay(attempt, options, random) {
  const base = baseDelay(attempt, options);
  if (options.jitterMode === "full") {
    const least = Math.min(LEAST_FULL_DELAY, base);
    return Math.round(least + random() * Math.min(base, options.maxDelay - least));
  }
  return Math.round(base * (1 + options.jitterFactor * (2 * random() - 1)));
}

/**
 * The wait that a server has asked for, never shorter; within a tenth of a second and about an hour.
 *
 * @param {number} advice milliseconds
 * @param {boolean} isOwn whether nobody else has the same: a slot of a drain
 * @param {() => number} random
 */
export function advisedDelay(advice, isOwn, random) {
  const least = Math.min(LONGEST_ADVICE, Math.max(LEAST_ADVICE, Math.ceil(advice)));
  return isOwn ? least : least + Math.round(random() * least * ADVICE_JITTER);
}
