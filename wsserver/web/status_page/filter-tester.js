// @ts-check
import { card, el, field, fill, form, wordInput } from "./dom.js";
import { count } from "./figures.js";
import { empty } from "./placeholder.js";
import { subscriptionVerdict } from "./verdict.js";
/** @import {App} from "./app.js" */
/** @import {RevealSwitch} from "./reveal-switch.js" */

const EXAMPLE = { type: "vitals", patient_id: "123", heart_rate: 135 };
const LISTED = 20;

/** Paste a message: which subscriptions would get it, and at which clause the others fail. Nothing is sent. */
export class FilterTester {
  #app;
  #reveal;
  #message = el("textarea", { spellcheck: "false", autocapitalize: "off" });
  #topic = wordInput({ placeholder: "patient:123; the message's own if empty" });
  #connection = wordInput({ placeholder: "c_…; all if empty" });
  #fault = el("p", { class: "fault", role: "alert" });
  #result = el("div", { "aria-live": "polite" });

  /** @param {App} app @param {RevealSwitch} reveal */
  constructor(app, reveal) {
    this.#app = app;
    this.#reveal = reveal;
    this.#message.value = JSON.stringify(EXAMPLE, null, 2);
    this.element = card(
      "Filter tester",
      el("span", { class: "muted" }, "A dry run: nothing is sent"),
      form(
        () => this.#test(),
        "body stack",
        el(
          "div",
          { class: "grid two" },
          field("Message, as JSON", this.#message),
          el("div", { class: "stack" }, field("Topic", this.#topic), field("Connection", this.#connection), el("div", { class: "row" }, el("button", { type: "submit", class: "button main" }, "Who would get it?"))),
        ),
        this.#fault,
      ),
      this.#result,
    );
  }

  async #test() {
    this.#fault.textContent = "";
    fill(this.#result);
    let message;
    try {
      message = JSON.parse(this.#message.value);
      this.#message.removeAttribute("aria-invalid");
    } catch (/** @type {any} */ error) {
      this.#message.setAttribute("aria-invalid", "true");
      this.#fault.textContent = `This is no JSON: ${error.message}`;
      return;
    }
    const topic = this.#topic.value.trim();
    const connection = this.#connection.value.trim();
    try {
      const asked = { message, limit: LISTED, ...(topic && { topic }), ...(connection && { connection_id: connection }) };
      this.#show(await this.#app.api.post(this.#reveal.isOn ? "trace?reveal=true" : "trace", asked));
    } catch (/** @type {any} */ error) {
      this.#fault.textContent = error.message;
    }
  }

  /** @param {any} trace */
  #show({ topic, considered, matching, filtered, denied, subscriptions }) {
    const summary =
      considered === undefined
        ? `${count(subscriptions.length)} subscriptions of this connection`
        : `To ${topic}: ${count(considered)} considered, ${count(matching)} would get it, ${count(filtered)} filtered, ${count(denied)} denied`;
    const none = empty("Nobody has subscribed to this", "No subscription is addressed by this topic.");
    fill(
      this.#result,
      el("p", { class: "verdict" }, el("b", null, summary)),
      subscriptions.length === 0 ? none : el("ul", null, subscriptions.map(subscriptionVerdict)),
    );
  }
}
