import assert from "node:assert/strict";
import { test } from "node:test";

import { topicOf, topicOfCommand } from "../../wsserver/client/js/topic.js";
import { Stage, settle } from "./stage.js";

async function cut(stage, meanwhile = () => {}) {
  stage.server.socket.hangUp(1006);
  await meanwhile();
  await stage.clock.advance(stage.last("reconnecting").delay);
}

const asked = (socket) => socket.said("subscribe").map(({ topic, filters }) => (filters ? [topic, filters] : [topic]));

test("all spellings of a topic are one", () => {
  for (const [given, key, text] of [
    [["patient", 123], "patient:123", "patient:123"],
    [["patient:123"], "patient:123", "patient:123"],
    [["type", "ecg"], "ecg:*", "type:ecg"],
    [["type:ecg"], "ecg:*", "type:ecg"],
    [["ecg"], "ecg:*", "ecg:*"],
    [["ecg", "*"], "ecg:*", "ecg:*"],
    [["ecg", "bed-7"], "ecg:bed-7", "ecg:bed-7"],
    [["a:b:c"], "a:b:c", "a:b:c"],
    [["*"], "*:*", "*"],
    [["*", "*"], "*:*", "*"],
    [["patient", "0123"], "patient:0123", "patient:0123"],
  ])
    assert.deepEqual(topicOf(...given), { key, text });
  assert.deepEqual(topicOfCommand({ subscription_type: "type", target_id: "ecg" }), { key: "ecg:*", text: "type:ecg" });
  assert.deepEqual(topicOfCommand({ topic: "patient:1" }), { key: "patient:1", text: "patient:1" });
  for (const wrong of [[""], [undefined], [3], ["patient", 1.5], ["patient", {}]])
    assert.throws(() => topicOf(...wrong), TypeError);
});

test("subscribe resolves with the server's confirmation", async () => {
  const stage = new Stage();
  await stage.connect();
  const confirmed = await stage.service.subscribe("patient", 5, { severity: "high" });
  assert.deepEqual(stage.server.socket.said("subscribe"), [
    { type: "subscribe", request_id: "c1", topic: "patient:5", filters: { severity: "high" } },
  ]);
  assert.equal(confirmed.subscription_id, "s_patient:5");
  assert.deepEqual(confirmed.filters, { severity: "high" });
});

test("subscribe before connect, and while away, is asked for when there is a connection", async () => {
  const stage = new Stage();
  const early = stage.service.subscribe("patient:1");
  const filtered = stage.service.subscribe("patient", 2, { n: 1 });
  await stage.connect();
  assert.deepEqual(stage.server.hello.subscriptions, ["patient:1"]);
  assert.deepEqual(asked(stage.server.socket), [["patient:2", { n: 1 }]]);
  assert.equal((await early).target_id, "1");
  assert.equal((await filtered).target_id, "2");
  let late;
  await cut(stage, () => {
    late = stage.service.subscribe("patient", 3, { n: 2 });
  });
  assert.deepEqual(asked(stage.server.socket), [["patient:3", { n: 2 }]]);
  assert.equal((await late).target_id, "3");
});

test("a session that was restored is not asked for anything that it has", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  await stage.service.subscribe("patient", 2, { n: 1 });
  await cut(stage);
  assert.equal(stage.last("connected").resumed, true);
  assert.deepEqual(
    stage.server.socket.heard.map(({ type }) => type),
    ["connect"],
  );
});

test("filters that were changed while away are changed after the session was restored", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  await stage.service.subscribe("patient", 1, { n: 1 });
  await cut(stage, () => void stage.service.subscribe("patient", 1, { n: 2 }));
  assert.deepEqual(asked(stage.server.socket), [["patient:1", { n: 2 }]]);
  await cut(stage, () => void stage.service.subscribe("patient", 1));
  assert.deepEqual(asked(stage.server.socket), [["patient:1"]]);
});

test("a subscribe that was not answered before the cut is asked again, and its promise lives on", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.answers.subscribe = () => [];
  const promise = stage.service.subscribe("patient", 1, { n: 1 });
  await settle();
  delete stage.server.answers.subscribe;
  await cut(stage);
  assert.deepEqual(asked(stage.server.socket), [["patient:1", { n: 1 }]]);
  assert.equal((await promise).target_id, "1");
});

test("the last of several wishes for one topic counts, and all who wait get its answer", async () => {
  const stage = new Stage();
  const all = Promise.all([1, 2, 3].map((n) => stage.service.subscribe("patient", 1, { n })));
  await stage.connect();
  assert.deepEqual(asked(stage.server.socket), [["patient:1", { n: 3 }]]);
  assert.deepEqual(
    (await all).map(({ filters }) => filters.n),
    [3, 3, 3],
  );
});

test("an answer to an older wish does not pass for one to the newer", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.answers.subscribe = () => [];
  const promise = stage.service.subscribe("patient", 1, { n: 1 });
  stage.service.subscribe("patient", 1, { n: 2 });
  const { socket } = stage.server;
  const confirmed = { type: "subscription_confirmed", subscription_id: "s", subscription_type: "patient", target_id: "1" };
  socket.say({ ...confirmed, request_id: "c1", filters: { n: 1 } });
  await settle();
  socket.say({ ...confirmed, request_id: "c2", filters: { n: 2 } });
  assert.deepEqual((await promise).filters, { n: 2 });
});

test("a refusal rejects the promise, is told by error, and is not asked again", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.answers.subscribe = () => ({
    type: "error",
    code: 1011,
    name: "permission_denied",
    message: "Not allowed.",
  });
  await assert.rejects(stage.service.subscribe("patient", 9), {
    code: 1011,
    reason: "permission_denied",
    topic: "patient:9",
  });
  assert.equal(stage.of("error").length, 1);
  await cut(stage);
  assert.deepEqual(stage.server.hello.subscriptions, []);
});

test("a promise that nobody looks at does no harm", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.answers.subscribe = () => ({
    type: "error",
    code: 1011,
    name: "permission_denied",
    message: "Not allowed.",
  });
  stage.service.subscribe("patient", 9);
  stage.service.subscribe("", 9);
  stage.service.unsubscribe("patient", 9);
  stage.service.disconnect();
  await settle();
});

test("a filter that is refused leaves the one before in force", async () => {
  const stage = new Stage();
  await stage.connect();
  await stage.service.subscribe("patient", 1, { n: 1 });
  stage.server.answers.subscribe = () => ({
    type: "error",
    code: 1008,
    name: "filter_parsing_error",
    message: "x",
    details: { path: "n" },
  });
  await assert.rejects(stage.service.subscribe("patient", 1, { n: { $bad: 1 } }), {
    code: 1008,
    details: { path: "n" },
  });
  delete stage.server.answers.subscribe;
  await cut(stage, () => stage.server.sessions.clear());
  assert.deepEqual(asked(stage.server.socket), [["patient:1", { n: 1 }]]);
});

test("what is too fast is asked again when the server says", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.answers.subscribe = () => ({
    type: "error",
    code: 1010,
    name: "rate_limit_exceeded",
    message: "x",
    retry_after_ms: 300,
  });
  const promise = stage.service.subscribe("patient", 1, { n: 1 });
  await settle();
  delete stage.server.answers.subscribe;
  await stage.clock.advance(299);
  assert.equal(asked(stage.server.socket).length, 1);
  await stage.clock.advance(1);
  assert.equal((await promise).target_id, "1");
  assert.deepEqual(stage.of("error"), []);
});

test("a topic of connect that is refused is told and tried on the next connection", async () => {
  const stage = new Stage();
  let refuse = true;
  const plain = stage.server.connected.bind(stage.server);
  stage.server.connected = (socket, command) => {
    if (!refuse) return plain(socket, command);
    const frames = plain(socket, { ...command, subscriptions: ["patient:1"] });
    frames[0].errors = [{ code: 1011, name: "permission_denied", message: "Not allowed.", topic: "patient:9" }];
    return frames;
  };
  await stage.connect({ subscriptions: ["patient:1", "patient:9"] });
  const { code, topic } = stage.last("error");
  assert.deepEqual([code, topic], [1011, "patient:9"]);
  assert.deepEqual(asked(stage.server.socket), [], "what was refused is not asked for again at once");
  refuse = false;
  await cut(stage);
  assert.deepEqual(stage.server.hello.subscriptions, ["patient:1", "patient:9"]);
});

test("unsubscribe is asked for, and the topic is not wanted any more", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  assert.deepEqual(await stage.service.unsubscribe("patient", 1), {
    type: "unsubscribed",
    request_id: "c1",
    subscription_type: "patient",
    target_id: "1",
    existed: true,
  });
  await cut(stage);
  assert.deepEqual(stage.server.hello.subscriptions, []);
});

test("unsubscribe while away is made up for after the session was restored", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  let promise, nothing;
  await cut(stage, () => {
    promise = stage.service.unsubscribe("patient", 1);
    nothing = stage.service.unsubscribe("type:ecg");
  });
  assert.equal((await promise).existed, true);
  assert.deepEqual(await nothing, { subscription_type: "ecg", target_id: "*", existed: false });
  assert.deepEqual(
    stage.server.socket.said("unsubscribe").map(({ topic }) => topic),
    ["patient:1"],
  );
});

test("an unsubscribe that was not answered before the cut is asked again", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  stage.server.answers.unsubscribe = () => [];
  const promise = stage.service.unsubscribe("patient", 1);
  await settle();
  delete stage.server.answers.unsubscribe;
  await cut(stage);
  assert.equal((await promise).existed, true);
});

test("subscribe and unsubscribe undo each other: the last word counts", async () => {
  const stage = new Stage();
  const first = stage.service.subscribe("patient:1");
  stage.service.unsubscribe("patient:1");
  await assert.rejects(first, { code: "replaced" });
  await stage.connect();
  assert.deepEqual(stage.server.hello.subscriptions, []);
  let left;
  await cut(stage, () => {
    left = stage.service.unsubscribe("patient:2");
    stage.service.subscribe("patient:2");
  });
  await assert.rejects(left, { code: "replaced" });
  assert.deepEqual(stage.server.hello.subscriptions, ["patient:2"]);
  assert.deepEqual(stage.server.socket.said("unsubscribe"), []);
});

test("queued subscribe and unsubscribe commands change what is wanted, in every spelling", async () => {
  const stage = new Stage();
  assert.equal(
    stage.service.queueMessage({ type: "subscribe", subscription_type: "patient", target_id: "5", filters: { n: 1 } }),
    "queued",
  );
  assert.equal(stage.service.queueMessage({ type: "subscribe", topic: "type:ecg" }), "queued");
  await stage.connect({ subscriptions: ["patient:5", "type:ecg", "type:alerts"] });
  assert.deepEqual(stage.server.hello.subscriptions, ["type:ecg", "type:alerts"]);
  assert.deepEqual(asked(stage.server.socket), [["patient:5", { n: 1 }]]);
  assert.equal(
    stage.service.queueMessage({ type: "unsubscribe", subscription_id: "s_patient:5", request_id: "mine" }),
    "sent",
  );
  assert.deepEqual(stage.server.socket.said("unsubscribe"), [
    { type: "unsubscribe", topic: "patient:5", request_id: "mine" },
  ]);
  assert.equal(stage.service.queueMessage({ type: "unsubscribe", subscription_id: "unknown" }), "dropped");
  await cut(stage, () => stage.server.sessions.clear());
  assert.deepEqual(stage.server.hello.subscriptions, ["type:ecg", "type:alerts"]);
  assert.deepEqual(asked(stage.server.socket), []);
});

test("a subscription that expires is renewed; one that has expired is made anew", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  stage.server.socket.say({
    type: "subscription_expiring",
    subscription_id: "s_patient:1",
    subscription_type: "patient",
    target_id: "1",
    expires_in: 300,
  });
  assert.deepEqual(stage.server.socket.said("refresh"), [{ type: "refresh", subscription_id: "s_patient:1" }]);
  stage.server.socket.say({
    type: "subscription_expired",
    subscription_id: "s_patient:1",
    subscription_type: "patient",
    target_id: "1",
    code: 1007,
  });
  assert.deepEqual(asked(stage.server.socket), [["patient:1"]]);
  assert.ok(stage.of("control").some(({ type }) => type === "subscription_expired"));
});

test("those who wait are told when the connection is ended", async () => {
  const stage = new Stage();
  const waiting = stage.service.subscribe("patient:1");
  stage.service.disconnect();
  await assert.rejects(waiting, { code: "disconnected" });
});

test("a loop without a connection does not fill the memory", async () => {
  const stage = new Stage();
  for (let i = 0; i < 10_000; i++) stage.service.queueMessage({ type: "subscribe", topic: `patient:${i}` });
  assert.equal(stage.service.queueMessage({ type: "subscribe", topic: "patient:x" }), "dropped");
  assert.equal(stage.last("error").code, "too_many_subscriptions");
  await assert.rejects(stage.service.subscribe("patient:y"), { code: "too_many_subscriptions" });
});

test("request gives the answer or the error, and fails with the connection", async () => {
  const stage = new Stage();
  await assert.rejects(stage.service.request({ type: "health_check" }), { code: "not_connected" });
  await stage.connect();
  assert.equal((await stage.service.request({ type: "health_check" })).type, "health");
  assert.equal((await stage.service.request({ type: "ping" })).type, "pong");
  stage.server.answers.broadcast = () => ({
    type: "error",
    code: 1005,
    name: "backpressure_active",
    message: "x",
    retry_after_ms: 20,
  });
  await assert.rejects(stage.service.request({ type: "broadcast" }), { code: 1005, retryAfterMs: 20 });
  assert.deepEqual(stage.of("error"), []);
  stage.server.answers.broadcast = () => [];
  const lost = stage.service.request({ type: "broadcast" });
  stage.server.socket.hangUp(1006);
  await assert.rejects(lost, { code: "connection_lost" });
});

test("what a session brings from before the page was loaded is wanted until it is given up", async () => {
  const stage = new Stage();
  const former = stage.server.connected.bind(stage.server);
  await stage.connect({ subscriptions: ["patient:1"] });
  stage.server.connected = (socket, command) => {
    stage.server.sessions
      .get(command.session.id)
      .set("ecg:*", { subscription_id: "s", subscription_type: "ecg", target_id: "*", filters: { n: 1 } });
    return former(socket, command);
  };
  await cut(stage);
  stage.server.connected = former;
  assert.equal(stage.service.getMetrics().subscriptions, 2);
  await cut(stage, () => stage.server.sessions.clear());
  assert.deepEqual(asked(stage.server.socket), [["ecg:*", { n: 1 }]]);
  await stage.service.unsubscribe("type:ecg");
  await cut(stage);
  assert.equal(stage.service.getMetrics().subscriptions, 1);
});

test("without restoring, what waits for a lost connection is told: subscribe is refused, unsubscribe has nothing to do", async () => {
  const stage = new Stage({ enableSessionRestore: false });
  await stage.connect();
  stage.server.answers.subscribe = stage.server.answers.unsubscribe = () => [];
  const subscribed = stage.service.subscribe("patient:1");
  const left = stage.service.unsubscribe("patient:2");
  stage.server.socket.hangUp(1006);
  await assert.rejects(subscribed, { code: "connection_lost" });
  assert.equal((await left).existed, false);
});

const DENIED = { type: "error", code: 1011, name: "permission_denied", message: "Not allowed." };

test("a right that ends is a gap in its place among the messages, and is told once", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  stage.server.publish("patient:1", { n: 1 });
  const { socket } = stage.server;
  socket.say({ ...DENIED, details: { subscription_type: "patient", target_id: "1" } });
  socket.say({ ...DENIED, details: { subscription_type: "patient", target_id: "1" } });
  socket.say({ ...DENIED, details: { subscription_type: "patient", target_id: "2" } }, { ...DENIED, details: null });
  assert.deepEqual(stage.of("gap"), [{ topic: "patient:1", reason: "forbidden" }]);
  assert.ok(stage.names.indexOf("message") < stage.names.indexOf("gap"));
  assert.equal(stage.of("error").length, 4);
  assert.equal(stage.service.getMetrics().gaps, 1);
  // Refused again on the next connection: it was lost once.
  stage.server.answers.connect = (socket, command) =>
    stage.server
      .connected(socket, { ...command, subscriptions: [] })
      .map((frame) => ({ ...frame, subscriptions: [], errors: [{ ...DENIED, topic: "patient:1" }] }));
  await cut(stage);
  assert.equal(stage.of("gap").length, 1);
});

test("a subscription that is refused on the way back is a gap, unless the server says so itself", async () => {
  for (const [code, gaps, expected] of [
    [1011, [], [{ topic: "type:ecg", reason: "forbidden" }]],
    [1012, [], [{ topic: "type:ecg", reason: "limit" }]],
    [
      1011,
      [{ log: "k1d", topic: "ecg:*", reason: "forbidden" }],
      [{ log: "k1d", topic: "ecg:*", reason: "forbidden" }],
    ],
  ]) {
    const stage = new Stage();
    await stage.connect({ subscriptions: ["type:ecg"] });
    stage.server.answers.connect = (socket, command) => {
      const [frame] = stage.server.connected(socket, command);
      const session = { resumed: true, replayed: 0, gaps };
      return { ...frame, session, subscriptions: [], errors: [{ ...DENIED, code, topic: "type:ecg" }] };
    };
    await cut(stage);
    assert.deepEqual(stage.of("gap"), expected);
  }
});

test("a subscription that never was is no gap", async () => {
  const stage = new Stage();
  stage.server.answers.subscribe = () => DENIED;
  await stage.connect();
  await assert.rejects(stage.service.subscribe("patient:9"));
  assert.deepEqual(stage.of("gap"), []);
});

test("a subscription that has run out is asked for again, and what may have come meanwhile is a gap", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  stage.server.socket.say({ type: "subscription_expired", subscription_type: "patient", target_id: "1", code: 1007 });
  await settle();
  assert.deepEqual(stage.of("gap"), [{ topic: "patient:1", reason: "expired" }]);
  assert.deepEqual(asked(stage.server.socket), [["patient:1"]]);
});

test("an answer that does not come is not waited for longer than for a connection", async () => {
  const stage = new Stage({ connectionTimeout: 4000 });
  await stage.connect();
  const pending = stage.clock.pending;
  await stage.service.request({ type: "health_check" });
  assert.equal(stage.clock.pending, pending);
  const failed = assert.rejects(stage.service.request({ type: "ack", message_id: "m" }), { code: "no_answer" });
  await stage.clock.advance(3999);
  stage.server.answers.health_check = () => [];
  const { socket } = stage.server;
  const late = assert.rejects(stage.service.request({ type: "health_check" }), { code: "no_answer" });
  await stage.clock.advance(1);
  await failed;
  await stage.clock.advance(4000);
  await late;
  socket.say({ type: "health", request_id: socket.said("health_check").at(-1).request_id });
  assert.equal(stage.service.state, "connected");
});

const broken = (socket) => socket.said("subscribe").map(({ topic, break_glass }) => [topic, break_glass]);

function breaking(stage) {
  stage.server.answers.subscribe = function (socket, { topic, break_glass }) {
    const frame = { type: "subscription_confirmed", ...this.subscribe(socket, topic) };
    return break_glass === undefined ? frame : { ...frame, break_glass: true };
  };
}

test("breaking the glass sends the reason once, and not in the first frame", async () => {
  const stage = new Stage();
  breaking(stage);
  const asking = stage.service.subscribe("patient", "9", {}, { breakGlass: "cannot wait" });
  await stage.connect();
  assert.deepEqual(stage.server.hello.subscriptions ?? [], []);
  assert.equal((await asking).break_glass, true);
  stage.service.queueMessage({ type: "subscribe", topic: "patient:8", break_glass: "neither can this" });
  await settle();
  assert.deepEqual(broken(stage.server.socket), [
    ["patient:9", "cannot wait"],
    ["patient:8", "neither can this"],
  ]);
});

test("what the glass was broken for ends with the connection and is not asked for again", async () => {
  const stage = new Stage();
  breaking(stage);
  await stage.connect({ subscriptions: ["patient:1"] });
  await stage.service.subscribe("patient", "9", null, { breakGlass: "cannot wait" });
  // The server does not restore it.
  stage.server.socket.subscriptions.delete("patient:9");
  await cut(stage);
  assert.deepEqual(stage.of("gap"), [{ topic: "patient:9", reason: "forbidden" }]);
  assert.deepEqual(broken(stage.server.socket), []);
  assert.equal(stage.service.getMetrics().subscriptions, 1);
});

test("nor is it when its time is over, or when it has expired, or with another filter", async () => {
  const ends = [
    { type: "error", ...DENIED, details: { subscription_type: "patient", target_id: "9" } },
    { type: "subscription_expired", subscription_type: "patient", target_id: "9", code: 1007 },
  ];
  for (const end of ends) {
    for (const again of [false, true]) {
      const stage = new Stage();
      breaking(stage);
      await stage.connect();
      await stage.service.subscribe("patient", "9", null, { breakGlass: "cannot wait" });
      if (again) {
        stage.server.answers.subscribe = () => [];
        stage.service.subscribe("patient", "9", { n: 1 }).catch(() => {});
      }
      stage.server.socket.say(end);
      await settle();
      const said = stage.server.socket.said("subscribe").length;
      assert.equal(said, again ? 2 : 1);
      await cut(stage);
      assert.deepEqual(broken(stage.server.socket), []);
      assert.deepEqual(stage.of("gap"), [{ topic: "patient:9", reason: "forbidden" }]);
    }
  }
});

test("a reason that was not answered is stated on the next connection", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.answers.subscribe = () => [];
  const asking = stage.service.subscribe("patient", "9", null, { breakGlass: "cannot wait" });
  await settle();
  breaking(stage);
  await cut(stage);
  assert.deepEqual(broken(stage.server.socket), [["patient:9", "cannot wait"]]);
  assert.equal((await asking).break_glass, true);
});

test("where no glass had to be broken it is a subscription like any other", async () => {
  const stage = new Stage();
  await stage.connect();
  await stage.service.subscribe("patient", "9", null, { breakGlass: "cannot wait" });
  await cut(stage);
  assert.equal(stage.service.getMetrics().subscriptions, 1);
  assert.deepEqual(stage.of("gap"), []);
});
