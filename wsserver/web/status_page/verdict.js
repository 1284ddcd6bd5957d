// @ts-check
import { connectionLink } from "./connection-words.js";
import { badge, el, icon, mono } from "./dom.js";

/** @import {Tone} from "./connection-words.js" */

/** What can become of a message at a connection or a subscription, in a few words. @type {Record<string, [Tone, string]>} */
const OUTCOMES = {
  matches: ["ok", "would get it"],
  other_topic: ["calm", "another topic"],
  acknowledged: ["ok", "got it and said so"],
  written: ["ok", "was sent it"],
  replayed: ["ok", "got it when it came back"],
  queued: ["info", "is about to be sent it"],
  conflated: ["warn", "a newer message took its place"],
  slow: ["bad", "lost it: read too slowly"],
  expired: ["bad", "lost it: waited too long"],
  closed: ["bad", "lost it: was closed"],
  shutdown: ["bad", "lost it: the server went down"],
  uncertain: ["warn", "not known any more"],
  refused_slow: ["bad", "its queue was full"],
  refused_closing: ["bad", "was being closed"],
  refused_catching_up: ["warn", "was catching up"],
  own_message: ["calm", "sent it itself"],
  other_connection: ["calm", "sent to another connection"],
  connected_later: ["warn", "was not there yet"],
  ended_before: ["warn", "was not there any more"],
  denied: ["bad", "may not see this patient"],
  not_subscribed: ["warn", "was not subscribed"],
  subscription_expired: ["warn", "its subscription had expired"],
  filtered: ["warn", "its filter does not match"],
  changed: ["warn", "has changed since"],
};

/** @param {string} outcome @returns {[Tone, string]} */
export const outcomeWords = (outcome) => (Object.hasOwn(OUTCOMES, outcome) ? OUTCOMES[outcome] : ["calm", outcome]);

/** @param {string} outcome */
export function outcomeBadge(outcome) {
  const [tone, words] = outcomeWords(outcome);
  return badge(tone, words);
}

/** The server's words, each clause of a filter a line with its sign. @param {string} text */
export function clauses(text) {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return el(
    "ul",
    { class: "clauses" },
    lines.map((line) => {
      const sign = line.trim().charAt(0);
      if (sign !== "✓" && sign !== "✗") return el("li", null, el("span", null, line));
      const holds = sign === "✓";
      return el(
        "li",
        { class: holds ? "good" : "wrong" },
        icon(holds ? "ok" : "close"),
        el("span", { class: "spoken" }, holds ? "holds:" : "does not hold:"),
        el("span", null, line.trim().slice(1).trim()),
      );
    }),
  );
}

/** One subscription and what becomes of a message there. @param {any} one */
export function subscriptionVerdict({ connection_id: connection, subscription_id: id, subscription_type: type, target_id: target, filters, outcome, text }) {
  return el(
    "li",
    { class: "verdict" },
    el(
      "div",
      { class: "row" },
      outcomeBadge(outcome),
      el("b", null, mono(`${type}:${target}`)),
      connection ? connectionLink(connection) : null,
      el("span", { class: "mono muted" }, id),
    ),
    filters && Object.keys(filters).length > 0 ? el("p", { class: "mono muted" }, JSON.stringify(filters)) : null,
    clauses(text ?? ""),
  );
}

/** A connection and why it did or did not get a message. @param {any} one */
export function connectionVerdict({ connection_id: connection, open, reason, certain, text, subscriptions }) {
  return el(
    "li",
    { class: "verdict" },
    el(
      "div",
      { class: "row" },
      outcomeBadge(reason),
      open ? connectionLink(connection) : mono(connection),
      open ? null : badge("calm", "has ended"),
      certain ? null : badge("warn", "not certain"),
      el("code", { class: "muted" }, reason),
    ),
    el("p", null, text),
    subscriptions.length > 0 ? el("ul", null, subscriptions.map(subscriptionVerdict)) : null,
  );
}
