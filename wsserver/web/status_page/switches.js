// @ts-check
import { repeat } from "./app.js";
import { confirm } from "./dialogs.js";
import { badge, button, card, el, fill } from "./dom.js";
import { count, duration } from "./figures.js";
/** @import {App} from "./app.js" */

const REFRESH_MS = 2_000;

/** The two switches that every client feels: drain, and emergency. Both want a word typed. */
export class Switches {
  #app;
  #drain = el("div", { class: "row" });
  #emergency = el("div", { class: "row" });
  #drainText = el("p", { class: "muted" });
  #emergencyText = el("p", { class: "muted" });
  #state = "";

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    const half = (/** @type {string} */ title, /** @type {HTMLElement} */ text, /** @type {HTMLElement} */ row) => el("div", { class: "stack" }, el("h3", null, title), text, row);
    this.element = card("Switches", null, el("div", { class: "body grid two" }, half("Drain", this.#drainText, this.#drain), half("Emergency", this.#emergencyText, this.#emergency)));
    repeat(app, REFRESH_MS, () => this.#load());
  }

  async #load() {
    const { api, left } = this.#app;
    try {
      const [drain, { overload }] = await Promise.all([api.get("drain", {}, left), api.get("alerts", { limit: 1 }, left)]);
      this.#take(drain, overload);
    } catch {
      // The banner tells of a server that cannot be reached.
    }
  }

  /** @param {any} drain @param {any} overload */
  #take(drain, overload) {
    const { state, total, closed, open, seconds_left: left } = drain;
    const serving = state === "serving";
    this.#drainText.textContent = serving
      ? "Sends every client to other instances, at the pace of shutdown.return_rate, and refuses new ones until it is cancelled."
      : `${count(closed)} of ${count(total)} clients closed, ${count(open)} sockets open${left > 0 ? `, at most ${duration(left)} left` : ""}.`;
    this.#emergencyText.textContent = overload.active
      ? `The server counts as overloaded (${overload.causes.join(", ")}): new connections are refused and what can wait is dropped.`
      : "Counts as overloaded by hand: new connections are refused and what can wait is dropped, until it is ended.";
    const now = `${state} ${overload.active}`;
    if (now === this.#state) return;
    this.#state = now;
    fill(
      this.#drain,
      badge(serving ? "ok" : "info", serving ? "not draining" : state),
      serving ? button("Drain…", () => this.#startDrain(), { icon: "drain", kind: "danger" }) : button("Cancel the drain", () => this.#cancelDrain(), {}),
    );
    fill(
      this.#emergency,
      badge(overload.active ? "bad" : "ok", overload.active ? "overloaded" : "normal"),
      overload.active ? button("End the emergency", () => this.#switch(false), {}) : button("Emergency…", () => this.#switch(true), { icon: "alert", kind: "danger" }),
    );
  }

  async #startDrain() {
    const question = { title: "Drain this instance?", text: "Every client is told to go elsewhere and is then closed with 4020. New ones are refused until the drain is cancelled.", act: "Drain", typed: "drain" };
    if ((await confirm(question)) !== null) this.#act(() => this.#app.api.post("drain"), "The drain has begun.");
  }

  #cancelDrain() {
    this.#act(() => this.#app.api.delete("drain"), "Clients are welcome again.");
  }

  /** @param {boolean} active */
  async #switch(active) {
    if (!active) return this.#act(() => this.#app.api.post("emergency", { active }), "The emergency has ended.");
    const done = await confirm({ title: "Declare an emergency?", text: "The server counts as overloaded until you end it: new connections are refused and what can wait is dropped.", act: "Declare", typed: "emergency", reason: "Reason, which goes into the alert" });
    if (done !== null) this.#act(() => this.#app.api.post("emergency", { active, ...(done.reason && { reason: done.reason }) }), "The emergency is in force.");
  }

  /** @param {() => Promise<any>} act @param {string} told */
  async #act(act, told) {
    try {
      await act();
      this.#app.notices.done(told);
    } catch (error) {
      this.#app.notices.failed(error);
    }
    this.#load();
  }
}
