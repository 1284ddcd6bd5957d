export declare const NORMAL = 1000;
/** What a socket reports when no close frame was seen. */
export declare const NO_CLOSE_SEEN = 1006;
/**
 * What this client closes with when it will come back. 1000 would end the session, and of the codes of RFC 6455 a
 * page may send no other; the band means "reconnect", and the server uses no 4000 itself.
 */
export declare const COMING_BACK = 4000;
export declare const TOKEN_EXPIRED = 4001;
export declare const TOKEN_REFUSED = 4501;
export type Verdict = "reconnect" | "advised" | "token" | "final";
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
export declare function verdict(code: number): Verdict;
