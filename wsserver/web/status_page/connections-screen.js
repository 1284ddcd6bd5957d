// @ts-check
import { repeat } from "./app.js";
import { ConnectionDetail } from "./connection-detail.js";
import { STATES, connectionLink, stateBadge } from "./connection-words.js";
import { DataTable } from "./data-table.js";
import { button, choice, el, field, fill, mono, say, wordInput } from "./dom.js";
import { saveCsv } from "./download.js";
import { bytes, compact, count, duration, milliseconds } from "./figures.js";
import { RevealSwitch } from "./reveal-switch.js";
import { Router } from "./router.js";
/** @import {App} from "./app.js" */

const ROWS = 50;
const REFRESH_MS = 5_000;
const TYPING_MS = 300;
const EXPORT_PAGES = 20;
const EXPORT_ROWS = 1000;

/** Who is connected: sorted, filtered and paged by the server. */
export class ConnectionsScreen {
  #app;
  #list;
  #table;
  /** @type {Record<string, string>} */
  #query = {};
  /** Cursors of the pages before this one, the newest last. @type {string[]} */
  #before = [];
  #cursor = "";
  /** @type {string | null} */
  #next = null;
  #asked = new AbortController();
  #count = el("span", null, "\u00a0");
  #previousButton = button("Previous", () => this.#turn(false), { icon: "left", kind: "small" });
  #nextButton = button("Next", () => this.#turn(true), { icon: "right", kind: "small" });
  #inputs;
  #reveal;
  /** @type {ConnectionDetail | null} */
  #detail = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typing;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#table = new DataTable("Connections", ["Nobody is connected", "Connections appear here as soon as clients are let in."], COLUMNS, (sort) => this.#ask({ sort }));
    const typed = { oninput: () => this.#type() };
    const states = Object.fromEntries(Object.entries(STATES).map(([name, [, word]]) => [name, word]));
    this.#inputs = {
      q: wordInput({ ...typed, placeholder: "c_…" }),
      user_id: wordInput({ ...typed, placeholder: "whole id" }),
      patient_id: wordInput({ ...typed, placeholder: "whole id" }),
      role: wordInput({ ...typed, placeholder: "doctor" }),
      state: choice({ onchange: () => this.#type() }, { "": "any", ...states }),
    };
    const { q, user_id: user, patient_id: patient, role, state } = this.#inputs;
    this.#reveal = new RevealSwitch(app, () => this.#load());
    this.#list = el(
      "div",
      { class: "screen" },
      el(
        "div",
        { class: "title" },
        el("h1", null, "Connections"),
        this.#count,
        el("div", { class: "row" }, this.#reveal.element, button("CSV", () => this.#export(), { icon: "down", title: "Save these connections as CSV" })),
      ),
      el(
        "section",
        { class: "card", "aria-label": "List of connections" },
        el("div", { class: "filters" }, field("Connection begins with", q), field("User", user), field("Patient", patient), field("Role", role), field("State", state)),
        this.#table.element,
        el("footer", null, "Sorted and filtered by the server, refreshed every 5 s unless ids are shown", el("div", { class: "row" }, this.#previousButton, this.#nextButton)),
      ),
    );
    this.element = el("div", null, this.#list);
    repeat(app, REFRESH_MS, () => {
      if (this.#detail !== null) this.#detail.refresh();
      else if (!this.#reveal.isOn) this.#load();
    });
  }

  /** @param {import("./router.js").Place} place */
  show({ id, query }) {
    this.#detail = id ? new ConnectionDetail(this.#app, id) : null;
    fill(this.element, this.#detail?.element ?? this.#list);
    if (id) return;
    this.#query = query;
    for (const [name, input] of Object.entries(this.#inputs)) if (document.activeElement !== input) input.value = query[name] ?? "";
    this.#table.sort = query.sort ?? "connected";
    this.#before = [];
    this.#cursor = "";
    this.#load();
  }

  #type() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#ask(Object.fromEntries(Object.entries(this.#inputs).map(([name, input]) => [name, input.value.trim()]))), TYPING_MS);
  }

  /** @param {Record<string, string>} change */
  #ask(change) {
    const query = { ...this.#query, ...change };
    this.#app.router.rename(Router.href("connections", "", query));
    this.#query = query;
    this.#before = [];
    this.#cursor = "";
    this.#load();
  }

  /** @param {boolean} on */
  #turn(on) {
    if (on && this.#next !== null) {
      this.#before.push(this.#cursor);
      this.#cursor = this.#next;
    } else if (!on) {
      this.#cursor = this.#before.pop() ?? "";
    }
    this.#load();
  }

  /** @param {number} limit @param {string} cursor @param {AbortSignal} [signal] */
  #page(limit, cursor, signal = this.#app.left) {
    return this.#app.api.get("connections", { ...this.#query, reveal: this.#reveal.isOn, limit, cursor }, signal);
  }

  async #load() {
    this.#asked.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    try {
      const page = await this.#page(ROWS, this.#cursor, AbortSignal.any([signal, this.#app.left]));
      if (!signal.aborted) this.#take(page);
    } catch (error) {
      if (!signal.aborted && !this.#app.left.aborted) this.#table.fail(error, () => this.#load());
    }
  }

  /** @param {any} page */
  #take({ connections, total, matching, next_cursor: next }) {
    this.#next = next;
    this.#nextButton.disabled = next === null;
    this.#previousButton.disabled = this.#before.length === 0;
    say(this.#count, matching === total ? `${count(total)} open` : `${count(matching)} of ${count(total)} open`);
    this.#table.show(connections, total > 0 ? ["No connection matches", "Take a filter away to see more.", "search"] : undefined);
  }

  async #export() {
    const rows = [];
    let cursor = "";
    try {
      for (let page = 0; page < EXPORT_PAGES; page += 1) {
        const { connections, next_cursor: next } = await this.#page(EXPORT_ROWS, cursor);
        rows.push(...connections);
        if (next === null) break;
        cursor = next;
      }
      saveCsv("connections", rows);
      this.#app.notices.done(`${count(rows.length)} connections saved.`);
    } catch (error) {
      if (!this.#app.left.aborted) this.#app.notices.failed(error);
    }
  }
}

/** @type {import("./data-table.js").Column<any>[]} */
const COLUMNS = [
  { label: "Connection", cell: (one) => connectionLink(one.connection_id), head: true, kind: "tight" },
  { label: "State", cell: (one) => stateBadge(one.state), kind: "tight" },
  { label: "User", cell: (one) => one.user_id },
  { label: "Role", sort: "role", cell: (one) => one.role },
  { label: "Patient", cell: (one) => one.patient_id ?? "–" },
  { label: "Address", cell: (one) => mono(one.address ?? "–"), kind: "tight" },
  { label: "Connected", sort: "connected", cell: (one) => el("span", { title: one.connected_at }, duration(one.connected_seconds)), numeric: true },
  { label: "Idle", sort: "idle", cell: (one) => duration(one.idle_seconds), numeric: true },
  { label: "Round trip", sort: "rtt", cell: (one) => milliseconds(one.rtt_ms), numeric: true },
  { label: "Subs", sort: "subscriptions", cell: (one) => count(one.subscriptions), numeric: true },
  { label: "In", sort: "in", cell: (one) => compact(one.messages_in), numeric: true },
  { label: "Out", sort: "out", cell: (one) => compact(one.messages_out), numeric: true },
  { label: "Pending", sort: "pending", cell: (one) => (one.pending_bytes ? bytes(one.pending_bytes) : "0"), numeric: true },
  { label: "Dropped", sort: "drops", cell: (one) => count(one.dropped), numeric: true },
  { label: "Codec", cell: (one) => (one.protocol.endsWith(".bin") ? "binary" : "JSON") },
];
