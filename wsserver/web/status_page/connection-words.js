// @ts-check
import { badge, el } from "./dom.js";
import { Router } from "./router.js";

/** @typedef {"ok" | "warn" | "bad" | "info" | "calm"} Tone */

/** States of connections, in words. @type {Record<string, [Tone, string]>} */
export const STATES = {
  ok: ["ok", "ok"],
  late: ["warn", "late"],
  held_back: ["warn", "held back"],
  catching_up: ["info", "catching up"],
  slow: ["bad", "slow"],
  closing: ["calm", "closing"],
};

/** Kinds of events. @type {Record<string, Tone>} */
export const EVENTS = {
  subscribed: "ok",
  replaced: "info",
  unsubscribed: "calm",
  expiring: "warn",
  expired: "warn",
  revoked: "bad",
  disconnected: "calm",
  hint: "info",
  break_glass: "bad",
};

/** @param {string} state */
export const stateBadge = (state) => badge(...(STATES[state] ?? /** @type {[Tone, string]} */ (["calm", state])));

/** @param {string} kind */
export const eventBadge = (kind) => badge(EVENTS[kind] ?? "calm", kind);

/** @param {string} id */
const short = (id) => (id.length > 14 ? `${id.slice(0, 12)}…` : id);

/** To all that is known of a connection. @param {string} id */
export const connectionLink = (id) => el("a", { class: "mono", href: Router.href("connections", id), title: id }, short(id));

/** @param {any} one */
export const topicOf = (one) => (one.subscription_type ? el("span", { class: "mono" }, `${one.subscription_type}:${one.target_id}`) : "–");

/** @param {Record<string, unknown>} filters @param {string} none what is said without any */
export const filterOf = (filters, none) => (Object.keys(filters).length > 0 ? el("code", null, JSON.stringify(filters)) : el("span", { class: "muted" }, none));

/** What a close code says, in a few words. @type {Record<string, string>} */
const CLOSES = {
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
export const closeWords = (code) => CLOSES[String(code)] ?? "";
