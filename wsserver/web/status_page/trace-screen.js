// @ts-check
import { repeat, watch } from "./app.js";
import { DataTable } from "./data-table.js";
import { badge, button, card, choice, el, field, fill, form, moment, mono, wordInput } from "./dom.js";
import { bytes, clockTime, count, duration } from "./figures.js";
import { ExplainForm } from "./explain-form.js";
import { empty, loading } from "./placeholder.js";
import { RevealSwitch } from "./reveal-switch.js";
import { Router } from "./router.js";
import { outcomeBadge } from "./verdict.js";
/** @import {App} from "./app.js" */

const REFRESH_MS = 10_000;
const LISTED = 50;
const RECIPIENTS = 20;

/** Follow the next messages of a kind from stage to stage, and ask about one that was sent. */
export class TraceScreen {
  #app;
  #explain;
  #reveal;
  /** @type {any[]} */
  #ended = [];
  #by = choice({}, { type: "type", patient_id: "patient", user_id: "publisher", topic: "topic", message_id: "message id" });
  #value = wordInput({ required: true, placeholder: "vitals" });
  #messages = el("input", { type: "number", min: 1, max: 1000, value: 20, required: true });
  #seconds = el("input", { type: "number", min: 1, max: 3600, value: 60, required: true });
  #fault = el("p", { class: "fault", role: "alert" });
  #armed;
  #list = el("div", null, loading("Loading messages"));
  #shown = "";

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#reveal = new RevealSwitch(app, () => this.#load());
    this.#explain = new ExplainForm(app, this.#reveal);
    this.#armed = new DataTable("Traces", ["Nothing is armed", "Armed, the next messages are followed through the server."], [
      { label: "Looks for", cell: (one) => mono(Object.entries(one.criteria).map(([name, value]) => `${name} ${value}`).join(", ")), head: true },
      { label: "State", cell: (one) => badge(one.state === "armed" ? "ok" : "calm", one.state), kind: "tight" },
      { label: "By", cell: (one) => one.by },
      { label: "Since", cell: (one) => moment(one.armed_at, clockTime), kind: "tight" },
      { label: "Seen", cell: (one) => `${count(one.seen)} of ${count(one.messages)}`, numeric: true },
      { label: "For", cell: (one) => duration(one.seconds), numeric: true },
      { label: "", cell: (one) => (app.session.canWrite && one.state === "armed" ? button("Disarm", () => this.#disarm(one.trace_id), { kind: "small" }) : null), kind: "tight" },
    ]);
    const order = form(
      () => this.#arm(),
      "body stack",
      el("div", { class: "grid four" }, field("Messages by", this.#by), field("That is", this.#value), field("At most, messages", this.#messages), field("At most, seconds", this.#seconds)),
      el("div", { class: "row" }, el("button", { type: "submit", class: "button main" }, "Arm")),
      this.#fault,
    );
    this.element = el(
      "div",
      { class: "screen" },
      el("div", { class: "title" }, el("h1", null, "Message trace"), el("div", { class: "row" }, this.#reveal.element)),
      this.#explain.element,
      card("Follow the next messages", el("span", { class: "muted" }, "Costs nothing while nothing is armed"), app.session.canWrite && order, this.#armed.element),
      card("Traced messages", null, this.#list),
    );
    // What comes live is masked.
    watch(app, "traces", ({ armed, latest }) => this.#reveal.isOn || this.#take({ armed, ended: this.#ended, messages: latest }));
    repeat(app, REFRESH_MS, () => {
      if (!this.#reveal.isOn) this.#load();
    });
  }

  /** @param {import("./router.js").Place} place */
  show({ id, query }) {
    if (id) this.#explain.ask(id, query.connection);
  }

  async #load() {
    try {
      const traces = await this.#app.api.get("traces", { limit: LISTED, reveal: this.#reveal.isOn }, this.#app.left);
      this.#ended = traces.ended;
      this.#take(traces);
    } catch (error) {
      if (this.#app.left.aborted) return;
      this.#armed.fail(error, () => this.#load());
      fill(this.#list, empty("No traced messages"));
    }
  }

  async #arm() {
    this.#fault.textContent = "";
    try {
      const order = { [this.#by.value]: this.#value.value.trim(), messages: Number(this.#messages.value), seconds: Number(this.#seconds.value) };
      await this.#app.api.post("traces", order);
      this.#app.notices.done("The trace is armed.");
      this.#load();
    } catch (/** @type {any} */ error) {
      this.#fault.textContent = error.message;
    }
  }

  /** @param {string} id */
  async #disarm(id) {
    try {
      await this.#app.api.delete(`traces/${encodeURIComponent(id)}`);
      this.#load();
    } catch (error) {
      this.#app.notices.failed(error);
    }
  }

  /** @param {{armed: any[], ended: any[], messages: any[]}} traces */
  #take({ armed, ended, messages }) {
    this.#armed.show([...armed, ...ended]);
    const shown = JSON.stringify(messages);
    if (shown === this.#shown) return;
    this.#shown = shown;
    fill(this.#list, messages.length === 0 ? empty("No message was traced yet", "Each message appears here with its stages and what became of it at every connection.") : el("ul", null, messages.map(tracedMessage)));
  }
}

/** @param {any} one */
function tracedMessage({ message_id: id, ts, topic, type, size, publisher, door, stages, connections, error, more, body }) {
  /** @type {Map<string, number>} */
  const outcomes = new Map();
  for (const { outcome } of connections) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  return el(
    "li",
    { class: "verdict" },
    el(
      "div",
      { class: "row" },
      id ? el("a", { class: "mono", href: Router.href("trace", id) }, id) : badge("bad", "refused"),
      el("b", null, mono(topic ?? "–")),
      type ? badge("calm", type) : null,
      el("span", { class: "muted" }, [clockTime(ts), size ? bytes(size) : "", publisher ? `by ${publisher}` : "", door ? `over ${door}` : ""].filter(Boolean).join(" · ")),
    ),
    error ? el("p", { class: "fault" }, typeof error === "string" ? error : JSON.stringify(error)) : null,
    el("ol", { class: "stages", "aria-label": "Stages" }, stages.map(stage)),
    el("div", { class: "row" }, [...outcomes].map(([outcome, number]) => el("span", { class: "row" }, outcomeBadge(outcome), count(number)))),
    connections.length > 0
      ? el(
          "details",
          null,
          el("summary", null, `Connections (${count(connections.length)}${more ? " and more" : ""})`),
          el("ul", { class: "clauses" }, connections.slice(0, RECIPIENTS).map((/** @type {any} */ to) => recipient(id, to))),
        )
      : null,
    body ? el("details", null, el("summary", null, "Body"), el("pre", null, typeof body === "string" ? body : JSON.stringify(body, null, 2))) : null,
  );
}

/** @param {any} stage */
function stage({ stage: name, us, ...figures }) {
  const more = Object.entries(figures).map(([what, figure]) => `${what} ${typeof figure === "object" ? JSON.stringify(figure) : figure}`).join(", ");
  return el("li", { title: more }, el("span", null, el("b", null, name), ` ${typeof us === "number" ? microseconds(us) : ""}`));
}

/** @param {string} id @param {any} to */
function recipient(id, { connection_id: connection, user_id: user, outcome, us }) {
  return el(
    "li",
    null,
    outcomeBadge(outcome),
    el("a", { class: "mono", href: Router.href("trace", id, { connection }) }, connection),
    el("span", { class: "muted" }, `${user ?? ""} ${typeof us === "number" ? microseconds(us) : ""}`),
  );
}

/** @param {number} us */
const microseconds = (us) => (us >= 1000 ? `${(us / 1000).toFixed(2)} ms` : `${Math.round(us)} µs`);
