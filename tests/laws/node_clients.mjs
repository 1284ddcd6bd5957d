// Clients of a ward in JavaScript: `WebSocketReconnectService`, each with a journal of its own. What to do comes in as
// lines of JSON, what has come about goes out the same way; see node_crowd.py.

import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";

import { decodeEnvelope } from "../../wsserver/client/js/envelope.js";
import { WebSocketReconnectService } from "../../wsserver/client/js/index.js";

const PERMISSION_DENIED = 1011;
/** Refusals that a server may have to speak, and that a client lives with. */
const MILD = new Set([1002, 1010, PERMISSION_DENIED, 1013]);
/** Milliseconds between two pings at the least: a server refuses who sends too often. */
const PING_PAUSE = 50;
/** One message of so many takes its handler so long. */
const SLOW_EVERY = 40;
const SLOW_MS = 300;

/** The clock of Python's `time.monotonic()`. */
const now = () => Number(process.hrtime.bigint()) / 1e9;
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** As Python writes it with sorted keys: the texts of a ward are ASCII, its numbers whole. */
function canonical(value) {
  if (ArrayBuffer.isView(value)) return `[${Array.from(value).join(",")}]`;
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

class Client {
  #faults = [];
  #connection = 0;
  #dialed = 0;
  #replayed = 0;
  #denied = new Set();
  #stopped = false;
  #received = 0;
  #handling = false;

  constructor({ name, token, url, wanted, journal, quiet, pause, codec }) {
    this.name = name;
    this.wanted = wanted;
    this.url = url;
    this.write = (line) => appendFileSync(journal, `${JSON.stringify({ ...line, client: name })}\n`);
    const service = new WebSocketReconnectService({
      maxAttempts: 0,
      initialDelay: pause,
      maxDelay: 10 * pause,
      heartbeatInterval: quiet,
      heartbeatTimeout: Math.max(quiet, 1000),
      connectionTimeout: Math.max(2 * quiet, 2000),
      getToken: () => token,
      codec,
      WebSocket: this.#tapped(),
    });
    this.service = service;
    service.on("message", async ({ data }) => {
      this.#handling = true;
      this.#received += 1;
      // What comes meanwhile waits for this one, and is not handled yet when the line breaks.
      if (this.#received % SLOW_EVERY === 0) await sleep(SLOW_MS);
      const { _meta: meta, ...body } = data;
      this.write({
        line: "arrival", connection: this.#connection, at: now(), log: meta.log, seq: meta.seq, id: meta.id,
        topic: meta.topic, key: body.key ?? "", crc: crc32(canonical(body)), handled: true,
      });
      this.#handling = false;
    });
    service.on("gap", (gap) => {
      this.write({
        line: "gap", connection: this.#connection, at: now(), reason: gap.reason, log: gap.log ?? null,
        topic: gap.topic ?? null, first: gap.from ?? null, last: gap.to ?? null, count: gap.count ?? null,
      });
    });
    service.on("connected", ({ replayed }) => { this.#replayed += replayed; });
    service.on("disconnected", (end) => {
      if (end.terminal) this.#faults.push(`ended with ${end.code}`);
    });
    service.on("error", (error) => {
      // What a broken line does is no fault; what a handler or the server says is.
      if (typeof error.code === "number" ? !MILD.has(error.code) : error.code === "handler_failed") {
        this.#faults.push(`${error.code}: ${error.message} ${error.cause ?? ""}`);
      }
    });
  }

  /** Sockets of which it is written down when they are dialled, and with what they begin. */
  #tapped() {
    const client = this;
    return class extends WebSocket {
      #dialedAt = now();
      #given = null;
      #isIn = false;

      constructor(...address) {
        super(...address);
        client.#dialed += 1;
        this.addEventListener("message", ({ data }) => {
          if (this.#isIn) return;
          const said = typeof data === "string" ? JSON.parse(data) : decodeEnvelope(data, { maxSize: 2 ** 24 }).body;
          if (said.type !== "connected") return;
          this.#isIn = true;
          client.#connection += 1;
          client.write({
            line: "opened", user: client.name, connection: client.#connection, dialed: this.#dialedAt, at: now(),
            given: this.#given, resumed: said.session?.resumed ?? false, cursor: said.cursor,
          });
        });
      }

      send(data) {
        if (!this.#isIn && typeof data === "string") this.#given = JSON.parse(data).session?.cursor ?? null;
        super.send(data);
      }
    };
  }

  async begin() {
    await this.service.connect(this.url, { userId: this.name });
    for (const { topic, filters } of this.wanted) {
      try {
        await this.service.subscribe(topic, null, filters);
      } catch (refusal) {
        if (refusal.code !== PERMISSION_DENIED) this.#faults.push(`subscribe: ${refusal.code} ${refusal.message}`);
        this.#denied.add(topic);
      }
    }
    const position = await this.ping();
    for (const { topic, filters } of this.wanted) {
      if (!this.#denied.has(topic)) this.write({ line: "watch", topic, filters, at: now(), position });
    }
    say({ name: this.name, done: "watching" });
  }

  /** The server's position for this client, once it says it. */
  async ping() {
    while (!this.#stopped) {
      if (this.#faults.length > 0) throw new Error(this.#faults[0]);
      try {
        return (await this.service.request({ type: "ping" })).cursor;
      } catch {
        await sleep(PING_PAUSE);
      }
    }
    throw new Error("stopped");
  }

  async settle(until) {
    const asked = now();
    let cursor = {};
    while (Object.entries(until).some(([log, seq]) => (cursor[log] ?? 0) < seq)) {
      cursor = await this.ping();
      await sleep(PING_PAUSE);
    }
    while (this.#handling || this.service.getMetrics().pending > 0) await sleep(10);
    this.write({ line: "rest", asked, at: now(), cursor });
    say({ name: this.name, done: "settled" });
  }

  stop() {
    this.#stopped = true;
    this.service.disconnect();
    const counted = { connection: this.#connection, dialed: this.#dialed, replayed: this.#replayed };
    say({ name: this.name, done: "stopped", counted, faults: this.#faults });
  }
}

const clients = new Map();

for await (const line of createInterface({ input: process.stdin })) {
  const { what, ...how } = JSON.parse(line);
  const report = (fault) => say({ name: how.name, done: "failed", faults: [String(fault.stack ?? fault)] });
  if (what === "start") {
    clients.set(how.name, new Client(how));
    clients.get(how.name).begin().catch(report);
  } else if (what === "settle") clients.get(how.name).settle(how.until).catch(report);
  else clients.get(how.name).stop();
}
process.exit(0);
