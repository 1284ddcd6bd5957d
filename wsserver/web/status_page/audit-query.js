// @ts-check
import { DataTable } from "./data-table.js";
import { badge, button, card, el, field, form, moment, wordInput } from "./dom.js";
import { dateTime } from "./figures.js";
import { RevealSwitch } from "./reveal-switch.js";
/** @import {App} from "./app.js" */

const LISTED = 100;

/** Who watched whom, and what operators did: questions to the access audit. */
export class AuditQuery {
  #app;
  #reveal;
  #inputs = {
    patient_id: wordInput(),
    user_id: wordInput(),
    action: wordInput({ placeholder: "subscribe, reveal…" }),
    from: el("input", { type: "datetime-local" }),
    to: el("input", { type: "datetime-local" }),
  };
  #table;
  #older = button("Older", () => this.#ask(true), { kind: "small", icon: "right" });
  #cursor = "";

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#table = new DataTable("Audit records", ["Nothing is on record", "Neither this nor its refusal.", "search"], [
      { label: "No.", cell: (one) => one.seq, numeric: true },
      { label: "Time", cell: (one) => moment(one.at, dateTime), kind: "tight" },
      { label: "Action", cell: (one) => one.action, head: true },
      { label: "Outcome", cell: (one) => badge(one.outcome === "refused" ? "bad" : "ok", one.outcome ?? "allowed"), kind: "tight" },
      { label: "Who", cell: (one) => `${one.actor}${one.role ? ` (${one.role})` : ""}` },
      { label: "Patient or topic", cell: (one) => one.patient_id ?? one.topic ?? "–" },
      { label: "Right", cell: (one) => one.right ?? "–" },
      { label: "Details", cell: (one) => (one.details ? el("code", null, JSON.stringify(one.details)) : ""), kind: "wide" },
    ]);
    const { patient_id: patient, user_id: user, action, from, to } = this.#inputs;
    this.#reveal = new RevealSwitch(app, () => this.#ask());
    this.#older.disabled = true;
    this.#table.show([], ["Ask the audit", "Who watched a patient between two times, what an operator did, every break-glass.", "search"]);
    this.element = card(
      "Access audit",
      el("div", { class: "row" }, el("span", { class: "muted" }, "No payloads, no tokens"), this.#reveal.element),
      form(
        () => this.#ask(),
        "filters",
        field("Patient", patient),
        field("User or operator", user),
        field("Action", action),
        field("From", from),
        field("Until", to),
        el("div", { class: "row" }, el("button", { type: "submit", class: "button" }, "Ask")),
      ),
      this.#table.element,
      el("footer", null, "Newest first; the file is read 16 MiB at a time", el("div", { class: "row" }, this.#older)),
    );
  }

  /** @param {boolean} [on] from where the last answer ended */
  async #ask(on = false) {
    const { patient_id: patient, user_id: user, action, from, to } = this.#inputs;
    const utc = (/** @type {string} */ local) => (local ? new Date(local).toISOString() : "");
    try {
      const query = { patient_id: patient.value.trim(), user_id: user.value.trim(), action: action.value.trim(), from: utc(from.value), to: utc(to.value), limit: LISTED, reveal: this.#reveal.isOn, cursor: on ? this.#cursor : "" };
      const { records, cursor } = await this.#app.api.get("audit", query, this.#app.left);
      this.#cursor = cursor ?? "";
      this.#older.disabled = cursor === null;
      this.#table.show(records);
    } catch (error) {
      if (!this.#app.left.aborted) this.#table.fail(error, () => this.#ask());
    }
  }
}
