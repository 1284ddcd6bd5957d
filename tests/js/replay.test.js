import assert from "node:assert/strict";
import { test } from "node:test";

import { Stage, settle } from "./stage.js";

const TOPIC = "patient:1";
const OPTIONS = { subscriptions: [TOPIC] };

async function watching(config) {
  const stage = new Stage(config);
  await stage.connect(OPTIONS);
  return stage;
}

/** Cut the line and let the client come back. */
async function cut(stage, meanwhile = () => {}) {
  stage.server.socket.hangUp(1006);
  meanwhile();
  await stage.clock.advance(stage.last("reconnecting").delay);
}

/** A handler of messages that is done when it is told to. */
function slowHandler(stage) {
  const waiting = [];
  stage.service.on("message", () => new Promise((resolve) => waiting.push(resolve)));
  return async () => {
    waiting.shift()();
    await settle();
  };
}

test("a message arrives with its place", async () => {
  const stage = await watching();
  const frame = stage.server.publish(TOPIC, { type: "vitals", n: 1 });
  const { receivedAt, ...event } = stage.last("message");
  assert.deepEqual(event, { data: frame, seq: 1, log: "k1d", topic: TOPIC, id: "m_k1d_1", replayed: false });
  assert.ok(Math.abs(receivedAt - Date.now()) < 5000);
});

test("what was missed comes before what is new, and is marked", async () => {
  const stage = await watching();
  stage.server.publish(TOPIC, { n: 1 });
  await cut(stage, () => {
    stage.server.publish(TOPIC, { n: 2 });
    stage.server.publish(TOPIC, { n: 3 });
  });
  stage.server.publish(TOPIC, { n: 4 });
  assert.deepEqual(stage.server.hello.session, { id: "secret1", cursor: { k1d: 1 } });
  assert.deepEqual(stage.messages, [1, 2, 3, 4]);
  assert.deepEqual(
    stage.of("message").map(({ replayed }) => replayed),
    [false, true, true, false],
  );
  const { attempts, downtimeMs, resumed, replayed, gap } = stage.last("reconnected");
  assert.deepEqual(
    { attempts, downtimeMs, resumed, replayed, gap },
    { attempts: 1, downtimeMs: 1000, resumed: true, replayed: 2, gap: false },
  );
  assert.deepEqual(stage.of("gap"), []);
  const metrics = stage.service.getMetrics();
  assert.deepEqual([metrics.replayed, metrics.duplicates, metrics.reconnects], [2, 0, 1]);
});

test("connected, reconnected, gaps and messages come in this order", async () => {
  const stage = await watching();
  stage.server.publish(TOPIC, { n: 1 });
  const before = stage.events.length;
  await cut(stage, () => {
    stage.server.publish(TOPIC, { n: 2 });
    const plain = stage.server.connected.bind(stage.server);
    stage.server.connected = (socket, command) => {
      const [connected, ...rest] = plain(socket, command);
      connected.session.gaps = [{ type: "gap", log: "k1d", from: 1, to: 1, reason: "trimmed" }];
      return [connected, ...rest];
    };
  });
  const names = stage.events.slice(before).map(([name, payload]) => payload.state ?? name);
  assert.deepEqual(names, [
    "reconnecting",
    "disconnected",
    "reconnecting",
    "connecting",
    "connected",
    "connected",
    "reconnected",
    "gap",
    "message",
  ]);
  assert.deepEqual(stage.last("gap"), { log: "k1d", from: 1, to: 1, reason: "trimmed" });
  assert.equal(stage.last("reconnected").gap, true);
});

test("a message that comes twice is handled once", async () => {
  const stage = await watching();
  const frame = stage.server.publish(TOPIC, { n: 1 });
  stage.server.publish(TOPIC, { n: 2 });
  stage.server.socket.say(frame);
  assert.deepEqual(stage.messages, [1, 2]);
  assert.equal(stage.service.getMetrics().duplicates, 1);
});

test("each log has a place of its own", async () => {
  const stage = await watching();
  const say = (log, seq) =>
    stage.server.socket.say({ _meta: { id: `${log}${seq}`, topic: TOPIC, log, seq, ts: "" }, n: `${log}${seq}` });
  say("a", 5);
  say("b", 3);
  say("a", 5);
  say("b", 4);
  say("a", 4);
  say("a", 6);
  assert.deepEqual(stage.messages, ["a5", "b3", "b4", "a6"]);
});

test("handlers that take their time are given one message after the other, in order", async () => {
  const stage = await watching();
  const done = slowHandler(stage);
  for (const n of [1, 2, 3]) stage.server.publish(TOPIC, { n });
  assert.deepEqual(stage.messages, [1]);
  assert.equal(stage.service.getMetrics().pending, 2);
  await done();
  assert.deepEqual(stage.messages, [1, 2]);
  await done();
  assert.deepEqual(stage.messages, [1, 2, 3]);
});

test("the cursor moves when the handlers of a message are done, not when it arrives", async () => {
  const stage = await watching();
  const done = slowHandler(stage);
  for (const n of [1, 2, 3]) stage.server.publish(TOPIC, { n });
  await done();
  await cut(stage);
  assert.equal(stage.server.hello.session.cursor.k1d, 1);
});

test("what was still to be handled when the line broke is handled once, although the server sends it again", async () => {
  const stage = await watching();
  const done = slowHandler(stage);
  for (const n of [1, 2, 3]) stage.server.publish(TOPIC, { n });
  await cut(stage, () => stage.server.publish(TOPIC, { n: 4 }));
  assert.equal(stage.server.hello.session.cursor.k1d, 0);
  for (let i = 0; i < 4; i++) await done();
  stage.server.publish(TOPIC, { n: 5 });
  await done();
  assert.deepEqual(stage.messages, [1, 2, 3, 4, 5]);
  assert.equal(stage.service.getMetrics().duplicates, 3);
});

test("the position of a pong counts behind what is being handled, and never backwards", async () => {
  const stage = await watching();
  const done = slowHandler(stage);
  stage.server.publish(TOPIC, { n: 1 });
  stage.server.publish("patient:2");
  stage.server.publish("patient:2");
  stage.server.socket.say({ type: "pong", t: null, cursor: { k1d: 3, other: 9 } });
  await cut(stage);
  assert.deepEqual(stage.server.hello.session.cursor, { k1d: 0 });
  await done();
  stage.server.socket.say({ type: "pong", t: null, cursor: { k1d: 2 } });
  await cut(stage);
  // Logs that `connected` does not name are gone.
  assert.deepEqual(stage.server.hello.session.cursor, { k1d: 3 });
});

test("the position of connected may be beyond the client's", async () => {
  const stage = await watching();
  const plain = stage.server.connected.bind(stage.server);
  stage.server.connected = (socket, command) => {
    const frames = plain(socket, command);
    frames[0].cursor = { k1d: 7 };
    return frames;
  };
  await cut(stage);
  await cut(stage);
  assert.deepEqual(stage.server.hello.session.cursor, { k1d: 7 });
});

test("a log that has lost its end is taken up where it ends now", async () => {
  const stage = await watching();
  for (const n of [1, 2, 3]) stage.server.publish(TOPIC, { n });
  await cut(stage, () => {
    stage.server.history.length = stage.server.seq = 1;
  });
  stage.server.publish(TOPIC, { n: "2 again" });
  assert.deepEqual(stage.messages, [1, 2, 3, "2 again"]);
});

test("a session that is gone is told: resumed is false, the hole is a gap, and the subscriptions are made anew", async () => {
  const stage = await watching();
  stage.server.publish(TOPIC, { n: 1 });
  await stage.service.subscribe("ecg", "*", { severity: "high" });
  await cut(stage, () => {
    stage.server.publish(TOPIC, { n: 2 });
    stage.server.sessions.clear();
  });
  assert.equal(stage.last("connected").resumed, false);
  assert.deepEqual(stage.last("gap"), { log: "k1d", from: 2, to: 2, reason: "limit" });
  assert.equal(stage.last("reconnected").gap, true);
  assert.deepEqual(stage.server.hello.subscriptions, [TOPIC]);
  assert.deepEqual(
    stage.server.socket.said("subscribe").map(({ topic, filters }) => [topic, filters]),
    [["ecg:*", { severity: "high" }]],
  );
  stage.server.publish(TOPIC, { n: 3 });
  assert.deepEqual(stage.messages, [1, 3]);
});

test("a server that was restarted has another log: the old one's position is forgotten", async () => {
  const stage = await watching();
  for (const n of [1, 2, 3]) stage.server.publish(TOPIC, { n });
  await cut(stage, () => stage.server.restart());
  assert.deepEqual(stage.last("gap"), { log: "k1d", from: 4, reason: "restart" });
  stage.server.publish(TOPIC, { n: 4 });
  await cut(stage);
  assert.deepEqual(stage.server.hello.session.cursor, { k2d: 1 });
  assert.deepEqual(stage.messages, [1, 2, 3, 4]);
});

test("a gap that is told for what had arrived is told only for the rest", async () => {
  const stage = await watching();
  const done = slowHandler(stage);
  for (const n of [1, 2, 3]) stage.server.publish(TOPIC, { n });
  await cut(stage, () => {
    stage.server.publish(TOPIC, { n: 4 });
    stage.server.sessions.clear();
  });
  for (let i = 0; i < 3; i++) await done();
  assert.deepEqual(stage.messages, [1, 2, 3]);
  assert.deepEqual(stage.of("gap"), [{ log: "k1d", from: 4, to: 4, reason: "limit" }]);
});

test("a gap of nothing but what had arrived is none", async () => {
  const stage = await watching();
  const done = slowHandler(stage);
  for (const n of [1, 2, 3]) stage.server.publish(TOPIC, { n });
  await cut(stage, () => stage.server.sessions.clear());
  for (let i = 0; i < 3; i++) await done();
  assert.deepEqual(stage.messages, [1, 2, 3]);
  assert.deepEqual(stage.of("gap"), []);
});

test("gap frames come in their place between the messages", async () => {
  const stage = await watching();
  const order = [];
  stage.service.on("gap", ({ count }) => order.push(`gap of ${count}`));
  const done = slowHandler(stage);
  stage.service.on("message", ({ data }) => void order.push(data.n));
  stage.server.publish(TOPIC, { n: 1 });
  stage.server.socket.say({ type: "gap", log: "k1d", topic: TOPIC, from: 2, to: 9, count: 4, reason: "conflated" });
  stage.server.publish(TOPIC, { n: 2 });
  assert.deepEqual(order, [1]);
  await done();
  assert.deepEqual(order, [1, "gap of 4", 2]);
  assert.deepEqual(stage.last("gap"), { log: "k1d", topic: TOPIC, from: 2, to: 9, count: 4, reason: "conflated" });
  assert.equal(stage.service.getMetrics().gaps, 1);
});

test("until connected has come the old session is shown again", async () => {
  const stage = await watching();
  stage.server.publish(TOPIC, { n: 1 });
  stage.server.answers.connect = (socket) => void socket.hangUp(1006);
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(1000);
  stage.server.answers = {};
  await stage.clock.advance(2000);
  assert.deepEqual(stage.server.hello.session, { id: "secret1", cursor: { k1d: 1 } });
});

test("enableMessageReplay false: subscribed again with filters, nothing replayed, the hole told", async () => {
  const stage = await watching({ enableMessageReplay: false });
  stage.service.subscribe("ecg", "bed-7", { lead: "II" });
  stage.server.publish(TOPIC, { n: 1 });
  await cut(stage, () => stage.server.publish(TOPIC, { n: 2 }));
  assert.equal(stage.server.hello.session, undefined);
  assert.deepEqual(stage.server.hello.subscriptions, [TOPIC]);
  assert.deepEqual(
    stage.server.socket.said("subscribe").map(({ topic, filters }) => [topic, filters]),
    [["ecg:bed-7", { lead: "II" }]],
  );
  assert.deepEqual(stage.messages, [1]);
  assert.deepEqual(stage.of("gap"), [{ log: "k1d", from: 2, to: 2, reason: "limit" }]);
  assert.equal(stage.last("reconnected").gap, true);
});

test("enableMessageReplay false: without a hole there is no gap, and a restart is told", async () => {
  const stage = await watching({ enableMessageReplay: false });
  stage.server.publish(TOPIC, { n: 1 });
  await cut(stage);
  assert.deepEqual(stage.of("gap"), []);
  await cut(stage, () => stage.server.restart());
  assert.deepEqual(stage.of("gap"), [{ log: "k1d", from: 2, reason: "restart" }]);
});

test("enableSessionRestore false: a new connection has the subscriptions of connect and no others", async () => {
  const stage = await watching({ enableSessionRestore: false });
  await stage.service.subscribe("type", "ecg");
  await stage.service.subscribe(TOPIC, null, { severity: "high" });
  await cut(stage);
  assert.equal(stage.server.hello.session, undefined);
  assert.deepEqual(stage.server.hello.subscriptions, [TOPIC]);
  assert.deepEqual(stage.server.socket.said("subscribe"), []);
  assert.equal(stage.service.getMetrics().subscriptions, 1);
});

test("a server that keeps no sessions is asked for none, and what was missed is told", async () => {
  const stage = new Stage();
  const plain = stage.server.connected.bind(stage.server);
  stage.server.connected = (socket, command) => {
    const frames = plain(socket, command);
    delete frames[0].session_id;
    return frames;
  };
  await stage.connect(OPTIONS);
  await cut(stage, () => stage.server.publish(TOPIC, { n: 1 }));
  assert.equal(stage.server.hello.session, undefined);
  assert.deepEqual(stage.of("gap"), [{ log: "k1d", from: 1, to: 1, reason: "limit" }]);
});

test("a listener that throws is reported and stops nobody", async () => {
  const stage = await watching();
  const seen = [];
  const fault = new Error("bug in the page");
  stage.service.on("message", () => {
    throw fault;
  });
  stage.service.on("message", async () => {
    throw fault;
  });
  stage.service.on("message", ({ data }) => void seen.push(data.n));
  stage.server.publish(TOPIC, { n: 1 });
  stage.server.publish(TOPIC, { n: 2 });
  await settle();
  assert.deepEqual(seen, [1, 2]);
  assert.deepEqual(
    stage.of("error").map(({ code, cause }) => [code, cause]),
    Array(4).fill(["handler_failed", fault]),
  );
  await cut(stage);
  assert.equal(stage.server.hello.session.cursor.k1d, 2);
});

test("a listener of error that throws is not told of itself", async () => {
  const lines = [];
  const stage = await watching({ logger: { warn: (...line) => lines.push(line) } });
  stage.service.on("error", () => {
    throw new Error("again");
  });
  stage.server.socket.say("{ no json");
  assert.equal(stage.of("error").length, 1);
  assert.ok(lines.some(([text]) => text.includes("listener of error")));
});

test("a frame that cannot be read is told without its contents, and what it may have said comes again", async () => {
  for (const text of ["{secret", "[]", "null", "3", new ArrayBuffer(4)]) {
    const stage = await watching();
    stage.server.socket.say(text);
    assert.deepEqual(
      stage.of("error").map(({ code }) => code),
      ["bad_frame"],
    );
    assert.ok(!stage.of("error").some((error) => `${error.message}${error.cause}`.includes("secret")));
    assert.equal(stage.server.socket.closed.code, 4000);
    stage.server.publish(TOPIC, { n: 1 });
    await stage.clock.advance(1000);
    assert.deepEqual(stage.messages, [1]);
  }
});

test("when handlers cannot keep up the connection waits for them, and nothing is lost", async () => {
  const stage = await watching({ maxPendingMessages: 4 });
  const done = slowHandler(stage);
  for (let n = 1; n <= 10; n++) stage.server.publish(TOPIC, { n });
  assert.equal(stage.last("error").code, "handlers_behind");
  assert.equal(stage.server.sockets[0].closed.code, 4000);
  await stage.clock.advance(600_000);
  assert.equal(stage.server.sockets.length, 1, "it waits for the handlers, not for a timer");
  for (let i = 0; i < 30 && stage.messages.length < 10; i++) await done();
  assert.deepEqual(stage.messages, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.ok(stage.server.sockets.length > 1);
  assert.deepEqual(stage.of("gap"), []);
});

test("handlers are behind by bytes as well", async () => {
  const stage = await watching({ maxPendingBytes: 4000 });
  const done = slowHandler(stage);
  const text = "x".repeat(1000);
  for (let n = 1; n <= 10; n++) stage.server.publish(TOPIC, { n, text });
  assert.equal(stage.last("error").code, "handlers_behind");
  assert.ok(stage.service.getMetrics().pending < 5);
  for (let i = 0; i < 60 && stage.messages.length < 10; i++) await done();
  assert.deepEqual(stage.messages, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(stage.of("gap"), []);
  // What was counted in was counted out: a long run of small ones falls behind no more.
  const errors = stage.of("error").length;
  for (let n = 11; n <= 40; n++) {
    stage.server.publish(TOPIC, { n });
    await done();
  }
  assert.equal(stage.of("error").length, errors);
});

test("after disconnect no message is handed out any more", async () => {
  const stage = await watching();
  const done = slowHandler(stage);
  for (const n of [1, 2, 3]) stage.server.publish(TOPIC, { n });
  stage.service.disconnect();
  await done();
  assert.deepEqual(stage.messages, [1]);
});

test("a final close forgets the session", async () => {
  const stage = await watching();
  stage.server.socket.hangUp(4522);
  stage.service.reconnect();
  await settle();
  assert.equal(stage.service.state, "connected");
  assert.equal(stage.server.hello.session, undefined);
  assert.deepEqual(stage.server.hello.subscriptions, [TOPIC]);
});
