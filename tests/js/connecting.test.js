import assert from "node:assert/strict";
import { test } from "node:test";

import { WebSocketReconnectService } from "../../wsserver/client/js/index.js";
import { Stage, URL_OF_TESTS, settle } from "./stage.js";

test("the first frame carries the token and what connect was given, the address nothing", async () => {
  const stage = new Stage();
  await stage.connect({
    userId: 7,
    role: "doctor",
    patientId: 123,
    subscriptions: ["patient:123", "type:ecg"],
    token: "t1",
  });
  assert.equal(stage.server.socket.url, URL_OF_TESTS);
  assert.deepEqual(stage.server.socket.protocols, ["wsserver.v1.json"]);
  assert.deepEqual(stage.server.socket.heard, [
    {
      type: "connect",
      token: "t1",
      user_id: "7",
      role: "doctor",
      patient_id: "123",
      subscriptions: ["patient:123", "type:ecg"],
    },
  ]);
});

test("patient 0 is a patient", async () => {
  const stage = new Stage();
  await stage.connect({ patientId: 0 });
  assert.equal(stage.server.hello.patient_id, "0");
});

test("connect resolves after connected, and events come in order", async () => {
  const stage = new Stage();
  stage.server.answers.connect = () => [];
  await stage.begin();
  assert.equal(stage.outcome, undefined);
  assert.equal(stage.service.state, "connecting");
  const socket = stage.server.socket;
  socket.say(...stage.server.connected(socket, { subscriptions: ["patient:1"] }));
  await settle();
  assert.equal(stage.outcome, "connected");
  assert.deepEqual(stage.names, ["state", "connecting", "state", "connected"]);
  assert.deepEqual(stage.of("state"), [
    { state: "connecting", previous: "idle" },
    { state: "connected", previous: "connecting" },
  ]);
});

test("connected tells what the server said, and the session id only to those who ask for it", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  const event = stage.last("connected");
  assert.deepEqual(event, {
    connectionId: "c_1",
    resumed: false,
    replayed: 0,
    userId: "dr1",
    role: "doctor",
    protocol: "wsserver.v1.json",
    subscriptions: [{ subscription_id: "s_patient:1", subscription_type: "patient", target_id: "1", filters: {} }],
    errors: [],
  });
  assert.equal(event.sessionId, "secret1");
  assert.ok(!JSON.stringify(event).includes("secret1"));
});

test("getToken gives the token where connect has none; defaults.getToken where nobody has", async (t) => {
  const stage = new Stage({ getToken: async ({ reason }) => `asked ${reason}` });
  await stage.connect();
  assert.equal(stage.server.hello.token, "asked first");

  t.after(() => (WebSocketReconnectService.defaults = {}));
  const other = new Stage({ getToken: undefined });
  WebSocketReconnectService.defaults.getToken = () => "from the defaults";
  await other.connect();
  assert.equal(other.server.hello.token, "from the defaults");
});

test("defaults hold for every service that is not told otherwise", (t) => {
  t.after(() => (WebSocketReconnectService.defaults = {}));
  WebSocketReconnectService.defaults = { maxAttemps: 3 };
  assert.throws(() => new WebSocketReconnectService(), /there is no option maxAttemps/);
});

test("without any token connect is refused at once", async () => {
  const stage = new Stage({ getToken: undefined });
  await stage.begin();
  assert.equal(stage.outcome.code, "no_token");
  assert.equal(stage.server.sockets.length, 0);
  assert.equal(stage.service.state, "closed");
  assert.equal(stage.clock.pending, 0);
});

test("a token is used again until it ends or is refused", async () => {
  let asked = 0;
  const stage = new Stage({ getToken: () => `t${++asked}` });
  await stage.connect();
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(1000);
  assert.equal(stage.server.hello.token, "t1");
});

test("the address may be a function, asked before each attempt, and may be written as http", async () => {
  const stage = new Stage();
  let asked = 0;
  const address = async () => `https://node${++asked}.test/ws/connect#part`;
  await stage.service.connect(address, { userId: "dr1" });
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(1000);
  assert.deepEqual(
    stage.server.sockets.map(({ url }) => url),
    ["wss://node1.test/ws/connect", "wss://node2.test/ws/connect"],
  );
});

test("an address that no socket takes is final", async () => {
  const stage = new Stage({
    WebSocket: class {
      constructor() {
        throw new SyntaxError("bad address");
      }
    },
  });
  await stage.begin();
  assert.equal(stage.outcome.code, "cannot_dial");
  assert.equal(stage.service.state, "closed");
});

test("connect with wrong options says what is wrong and changes nothing", async () => {
  const stage = new Stage();
  for (const [options, text] of [
    [undefined, /userId/],
    [{}, /userId/],
    [{ userId: 1.5 }, /userId/],
    [{ userId: "a", user: "b" }, /no option user/],
    [{ userId: "a", patientId: {} }, /patientId/],
    [{ userId: "a", role: 1 }, /role/],
    [{ userId: "a", token: "" }, /token/],
    [{ userId: "a", subscriptions: "patient:1" }, /subscriptions/],
  ]) {
    await assert.rejects(
      stage.service.connect(URL_OF_TESTS, options),
      (error) => error instanceof TypeError && text.test(error.message),
    );
  }
  assert.equal(stage.service.state, "idle");
});

test("connecting takes at most connectionTimeout", async () => {
  const stage = new Stage({ maxAttempts: 1 });
  stage.server.onDial = () => {};
  await stage.begin();
  await stage.clock.advance(9_999);
  assert.equal(stage.server.socket.closed, null);
  await stage.clock.advance(1);
  assert.equal(stage.server.socket.closed.code, 4000);
  assert.deepEqual(stage.last("reconnecting"), { attempt: 1, delay: 1000, maxAttempts: 1, advised: false });
});

test("a server that opens and says nothing is given up too, and a hung getToken", async () => {
  const stage = new Stage({ maxAttempts: 1 });
  stage.server.answers.connect = () => [];
  await stage.begin();
  await stage.clock.advance(21_000);
  assert.equal(stage.outcome.code, "connection_closed");
  assert.equal(stage.server.sockets.length, 2);

  let asked = 0;
  const hung = new Stage({
    maxAttempts: 1,
    getToken: () => {
      asked += 1;
      return new Promise(() => {});
    },
  });
  await hung.begin();
  await hung.clock.advance(21_000);
  assert.equal(hung.service.state, "failed");
  assert.equal(asked, 1, "a person may be at the sign-in window: who asks again gets the same answer");
});

test("connected that comes after the timeout is not taken", async () => {
  const stage = new Stage();
  stage.server.answers.connect = () => [];
  await stage.begin();
  const late = stage.server.socket;
  const { onmessage } = late;
  await stage.clock.advance(10_000);
  onmessage({ data: JSON.stringify({ type: "connected", session_id: "x", cursor: {} }) });
  late.onclose?.({ code: 1006 });
  assert.equal(stage.service.state, "connecting");
  assert.equal(stage.of("connected").length, 0);
});

test("a signal that is aborted ends the attempt with its reason, and later the connection", async () => {
  const reason = new Error("left the page");
  const early = new AbortController();
  const stage = new Stage();
  stage.server.onDial = () => {};
  await stage.begin({ signal: early.signal });
  early.abort(reason);
  await settle();
  assert.equal(stage.outcome, reason);
  assert.equal(stage.service.state, "closed");
  assert.equal(stage.server.socket.closed.code, 1000);
  assert.equal(stage.clock.pending, 0);

  const late = new AbortController();
  await stage.server.accept();
  await stage.connect({ signal: late.signal });
  late.abort();
  assert.equal(stage.server.socket.closed.code, 1000);
  await assert.rejects(
    stage.service.connect(URL_OF_TESTS, { userId: "dr1", signal: AbortSignal.abort(reason) }),
    reason,
  );
});

test("disconnect closes with 1000, stops everything and lets connect begin anew", async () => {
  const stage = new Stage();
  const socket = await stage.connect({ subscriptions: ["patient:1"] });
  stage.service.disconnect();
  assert.deepEqual(stage.server.socket.closed, { code: 1000, reason: "" });
  assert.deepEqual(stage.last("disconnected"), {
    code: 1000,
    reason: "",
    wasClean: true,
    willReconnect: false,
    terminal: false,
  });
  assert.equal(stage.service.state, "closed");
  assert.equal(socket.readyState, 3);
  assert.equal(stage.clock.pending, 0);
  await stage.clock.advance(600_000);
  assert.equal(stage.server.sockets.length, 1);

  await stage.connect({ subscriptions: ["patient:2"] });
  assert.equal(stage.server.hello.session, undefined);
  assert.deepEqual(stage.server.hello.subscriptions, ["patient:2"]);
});

test("disconnect while waiting ends the wait", async () => {
  const stage = new Stage();
  stage.server.refuse();
  await stage.begin();
  stage.service.disconnect();
  await settle();
  assert.equal(stage.outcome.code, "disconnected");
  assert.equal(stage.clock.pending, 0);
});

test("disconnect in a listener is obeyed, whichever event it is", async () => {
  for (const event of ["state", "connecting", "connected", "reconnecting", "disconnected", "reconnected"]) {
    const stage = new Stage();
    await stage.connect();
    stage.service.on(event, () => stage.service.disconnect());
    stage.server.socket.hangUp(1006);
    await stage.clock.advance(600_000);
    assert.equal(stage.service.state, "closed", event);
    const after = stage.events.findIndex(([, payload]) => payload.state === "closed");
    assert.deepEqual(
      stage.events.slice(after + 1).filter(([name]) => name !== "disconnected"),
      [],
      "nothing is told afterwards",
    );
    assert.equal(stage.clock.pending, 0, event);
    assert.ok(
      stage.server.sockets.every(({ readyState }) => readyState === 3),
      event,
    );
  }
});

test("connect again ends the connection before", async () => {
  const stage = new Stage();
  await stage.connect();
  const first = stage.server.socket;
  await stage.connect();
  assert.equal(first.closed.code, 1000);
  assert.equal(stage.server.sockets.length, 2);
  assert.equal(stage.service.state, "connected");
});
