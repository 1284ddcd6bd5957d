// @ts-check

/** What a close code says, in a few words. @type {Record<string, string>} */
const WORDS = {
  1000: "normal",
  1001: "left, or server ended",
  1002: "protocol fault",
  1006: "line lost",
  1007: "bad text",
  1009: "frame too large",
  1011: "internal error",
  4001: "token or sign-in time over",
  4005: "too slow",
  4006: "no heartbeat",
  4020: "drained",
  4021: "asked to reconnect",
  4102: "limit of connections",
  4110: "too fast",
  4501: "token refused",
  4503: "too many errors",
  4509: "binary fault",
  4511: "right revoked",
  4522: "taken over",
  4523: "ended by an operator",
};

/** @param {string | number} code */
export const closeWords = (code) => WORDS[String(code)] ?? "";
