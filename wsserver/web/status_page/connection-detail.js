// @ts-check
import { eventBadge, filterOf, stateBadge, topicOf } from "./connection-words.js";
import { DataTable } from "./data-table.js";
import { confirm } from "./dialogs.js";
import { badge, button, card, el, fill, icon, moment, mono, tell } from "./dom.js";
import { bytes, clockTime, count, dateTime, duration, milliseconds, plural } from "./figures.js";
import { empty, failed, loading } from "./placeholder.js";
import { RevealSwitch } from "./reveal-switch.js";
import { Router } from "./router.js";
/** @import {App} from "./app.js" */

/** All that is known of one connection, and what an operator can do to it. */
export class ConnectionDetail {
  #app;
  #path;
  #state = el("span");
  #actions = el("div", { class: "row" });
  #content = el("section", { class: "card" }, loading("Loading the connection"));
  #reveal;
  #isEnded = false;
  #isDrawn = false;
  #who = el("dl", { class: "pairs" });
  #traffic = el("dl", { class: "pairs" });
  #subscriptions;
  #events;
  #gaps;

  /** @param {App} app @param {string} id */
  constructor(app, id) {
    this.#app = app;
    this.#path = `connections/${encodeURIComponent(id)}`;
    const time = { label: "Time", cell: (/** @type {any} */ one) => moment(one.at, clockTime), kind: "tight" };
    this.#subscriptions = new DataTable("Subscriptions of this connection", ["No subscriptions"], [
      { label: "Topic", cell: (one) => [topicOf(one), one.break_glass ? badge("warn", "glass broken") : null], head: true },
      { label: "Filter", cell: (one) => filterOf(one.filters, "everything"), kind: "wide" },
      { label: "Cost", cell: (one) => one.complexity, numeric: true },
      { label: "Idle", cell: (one) => duration(one.idle_seconds), numeric: true },
    ]);
    this.#events = new DataTable("Latest events of this connection", ["No events yet"], [
      time,
      { label: "Event", cell: (one) => eventBadge(one.kind), kind: "tight" },
      { label: "Topic", cell: topicOf },
      { label: "Detail", cell: (one) => one.detail ?? "", kind: "wrap" },
    ]);
    this.#gaps = new DataTable("Losses that this client was told of", ["Nothing was lost", "", "ok"], [
      time,
      { label: "Topic", cell: (one) => mono(one.topic ?? "all") },
      { label: "Reason", cell: (one) => badge("warn", one.reason) },
      { label: "Messages", cell: (one) => (one.count ? count(one.count) : "some"), numeric: true },
    ]);
    const back = el("a", { class: "button small", href: Router.href("connections") }, icon("left"), "All connections");
    this.element = el("div", { class: "screen" }, el("div", { class: "title" }, back, el("h1", { class: "mono" }, id), this.#state, this.#actions), this.#content);
    this.#reveal = new RevealSwitch(app, () => this.load());
    if (app.session.canWrite) {
      fill(
        this.#actions,
        this.#reveal.element,
        button("Ask to reconnect", () => this.#end(true), { icon: "again" }),
        button("Disconnect", () => this.#end(false), { icon: "close", kind: "danger" }),
      );
    }
    this.load();
  }

  refresh() {
    if (!this.#reveal.isOn) this.load();
  }

  async load() {
    if (this.#isEnded) return;
    try {
      this.#take(await this.#app.api.get(this.#path, { reveal: this.#reveal.isOn }, this.#app.left));
    } catch (/** @type {any} */ error) {
      if (this.#app.left.aborted) return;
      if (error.status === 404) this.#gone(error);
      else if (!this.#isDrawn) fill(this.#content, failed(error, () => this.load()));
    }
  }

  /** @param {Error} error */
  #gone(error) {
    this.#isEnded = true;
    fill(this.#state, badge("calm", "ended"));
    fill(this.#actions);
    if (!this.#isDrawn) fill(this.#content, empty("Not open any more", error.message, "close"));
  }

  /** @param {boolean} reconnect */
  async #end(reconnect) {
    const done = await confirm({
      title: reconnect ? "Ask this client to reconnect?" : "End this connection?",
      text: reconnect ? "It is closed with 4021 and comes back at once. What waits for it leaves before." : "It is closed with 4523, which is final: the client does not come back by itself.",
      act: reconnect ? "Ask to reconnect" : "Disconnect",
      reason: "Reason, which the client is told",
      danger: !reconnect,
    });
    if (done === null) return;
    try {
      await this.#app.api.post(`${this.#path}/disconnect`, { reason: done.reason, reconnect });
      this.#app.notices.done(reconnect ? "The client was asked to reconnect." : "The connection is being closed.");
      this.load();
    } catch (error) {
      this.#app.notices.failed(error);
    }
  }

  /** @param {any} one */
  #take(one) {
    if (!this.#isDrawn) this.#draw();
    fill(this.#state, stateBadge(one.state));
    const { health, token, session, slow } = one;
    tell(this.#who, {
      User: one.user_id,
      Role: one.role,
      Patient: one.patient_id,
      Address: one.address,
      Protocol: one.protocol,
      Connected: `${dateTime(one.connected_at)}, ${duration(one.connected_seconds)} ago`,
      Token: token ? `until ${dateTime(token.expires_at)}; sees ${typeof token.patients === "number" ? plural(token.patients, "patient") : "every patient"}` : "–",
      Session: session.kept ? `kept for ${duration(session.ttl_seconds)}${session.resumed ? ", was resumed" : ""}` : "not kept",
    });
    tell(this.#traffic, {
      Received: `${plural(one.messages_in, "message")}, ${bytes(one.bytes_in)}`,
      Sent: `${plural(one.messages_out, "message")}, ${bytes(one.bytes_out)}`,
      Pending: `${plural(one.pending_messages, "message")}, ${bytes(one.pending_bytes)}`,
      Dropped: plural(one.dropped, "message"),
      "Refused commands": count(one.refused_commands),
      Slow: slow ? JSON.stringify(slow) : "no",
      Heartbeat: `${health.state}, ${count(health.missed_pings)} missed`,
      "Round trip": `${milliseconds(one.rtt_ms)}, on average ${milliseconds(health.average_rtt_ms)}`,
    });
    this.#subscriptions.show(one.subscribed);
    this.#events.show(one.events);
    this.#gaps.show(one.gaps);
  }

  #draw() {
    this.#isDrawn = true;
    const content = el(
      "div",
      { class: "screen" },
      el("div", { class: "grid two stretch" }, card("Who", null, el("div", { class: "body" }, this.#who)), card("Traffic", null, el("div", { class: "body" }, this.#traffic))),
      card("Subscriptions", null, this.#subscriptions.element),
      el("div", { class: "grid two" }, card("Last 50 events", null, this.#events.element), card("Losses it was told of", null, this.#gaps.element)),
    );
    this.#content.replaceWith(content);
    this.#content = content;
  }
}
