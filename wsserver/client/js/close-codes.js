// @ts-check

export const NORMAL = 1000;
/** What a socket reports when no close frame was seen. */
export const NO_CLOSE_SEEN = 1006;
/**
 * What this client closes with when it will come back. 1000 would end the session, and of the codes of RFC 6455 a
 * page may send no other; the band means "reconnect", and the server uses no 4000 itself.
 */
export const COMING_BACK = 4000;
export const TOKEN_EXPIRED = 4001;
export const TOKEN_REFUSED = 4501;

const FINAL_OF_RFC = new Set([NORMAL, 1002, 1003, 1007, 1009]);

/**
 * What a close means for a client: come back, come back after the time that the `error` before it tells, come back
 * with a new token only, or stay away.
 *
 * @typedef {"reconnect" | "advised" | "token" | "final"} Verdict
 */

/**
 * @param {number} code
 * @returns {Verdict}
 */
export function verdict(code) {
  if (code === TOKEN_REFUSED) return "token";
  if (code >= 4500 && code <= 4999) return "final";
  if (code >= 4100 && code <= 4199) return "advised";
  return FINAL_OF_RFC.has(code) ? "final" : "reconnect";
}
