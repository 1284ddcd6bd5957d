// @ts-check
import { badge, card, choice, el, field, fill, form, wordInput } from "./dom.js";
import { bytes, count, dateTime, plural } from "./figures.js";
import { empty } from "./placeholder.js";
import { connectionVerdict } from "./verdict.js";
/** @import {App} from "./app.js" */
/** @import {RevealSwitch} from "./reveal-switch.js" */

/** Why did they not get it? A message that was sent, and a connection or a user. */
export class ExplainForm {
  #app;
  #reveal;
  #message = wordInput({ required: true, placeholder: "m_…" });
  #who = wordInput({ placeholder: "c_… or a user's id" });
  #kind = choice({}, { user_id: "user", connection_id: "connection" });
  #fault = el("p", { class: "fault", role: "alert" });
  #result = el("div", { "aria-live": "polite" });

  /** @param {App} app @param {RevealSwitch} reveal */
  constructor(app, reveal) {
    this.#app = app;
    this.#reveal = reveal;
    this.#who.addEventListener("input", () => {
      if (this.#who.value.startsWith("c_")) this.#kind.value = "connection_id";
    });
    this.element = card(
      "Why did they not get it?",
      el("span", { class: "muted" }, "Of the newest messages"),
      form(
        () => this.#explain(),
        "body stack",
        el("div", { class: "grid three" }, field("Message id", this.#message), field("Whom it was for", this.#who), field("That is a", this.#kind)),
        el("div", { class: "row" }, el("button", { type: "submit", class: "button main" }, "Explain")),
        this.#fault,
      ),
      this.#result,
    );
  }

  /** Ask at once, as a link to a message does. @param {string} messageId @param {string} [connectionId] */
  ask(messageId, connectionId = "") {
    this.#message.value = messageId;
    this.#who.value = connectionId;
    if (connectionId) this.#kind.value = "connection_id";
    this.#explain();
  }

  async #explain() {
    this.#fault.textContent = "";
    fill(this.#result);
    const who = this.#who.value.trim();
    try {
      const query = { reveal: this.#reveal.isOn, ...(who && { [this.#kind.value]: who }) };
      this.#show(await this.#app.api.get(`explain/${encodeURIComponent(this.#message.value.trim())}`, query, this.#app.left));
    } catch (/** @type {any} */ error) {
      if (!this.#app.left.aborted) this.#fault.textContent = error.message;
    }
  }

  /** @param {any} answer */
  #show({ message, connections }) {
    const { topic, seq, log, type, ts, size, considered, filtered, denied, matched, delivered, refused, outcome, acknowledged } = message;
    const lost = Object.entries(outcome.dropped).filter(([, number]) => number > 0);
    const turned = Object.entries(refused).filter(([, number]) => number > 0);
    const told = (/** @type {[string, any][]} */ entries) => entries.map(([reason, number]) => badge("bad", `${count(number)} ${reason}`));
    fill(
      this.#result,
      el(
        "div",
        { class: "verdict" },
        el("div", { class: "row" }, el("b", { class: "mono" }, topic), type ? badge("calm", type) : null, el("span", { class: "muted" }, `${dateTime(ts)} · number ${seq} of ${log} · ${bytes(size)}`)),
        el(
          "div",
          { class: "row" },
          badge("calm", `${plural(considered, "subscription")} considered`),
          badge("calm", `${count(filtered)} filtered`),
          badge(denied > 0 ? "warn" : "calm", `${count(denied)} denied`),
          badge("calm", `${plural(matched, "connection")} matched`),
          badge("calm", `${count(delivered)} delivered`),
          told(turned),
          badge("ok", `${count(outcome.written)} written`),
          outcome.queued > 0 ? badge("info", `${count(outcome.queued)} queued`) : null,
          told(lost),
          acknowledged > 0 ? badge("ok", `${count(acknowledged)} acknowledged`) : null,
        ),
      ),
      connections.length > 0 ? el("ul", null, connections.map(connectionVerdict)) : empty("Nobody was asked for", "Name a connection or a user to see why they did or did not get it.", "info"),
    );
  }
}
