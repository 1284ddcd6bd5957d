import assert from "node:assert/strict";
import { test } from "node:test";

import { verdict } from "../../wsserver/client/js/index.js";
import { Stage, settle } from "./stage.js";

const FINAL = [1000, 1002, 1003, 1007, 1009, 4500, 4503, 4509, 4511, 4522, 4523, 4999];
const RECONNECT = [1001, 1005, 1006, 1011, 1012, 1013, 4000, 4001, 4005, 4006, 4020, 4021, 4099];

test("each code means what the protocol says", () => {
  for (const code of FINAL) assert.equal(verdict(code), "final", String(code));
  for (const code of RECONNECT) assert.equal(verdict(code), "reconnect", String(code));
  for (const code of [4100, 4102, 4110, 4199]) assert.equal(verdict(code), "advised", String(code));
  assert.equal(verdict(4501), "token");
});

for (const code of FINAL) {
  test(`${code} is final: once told, never tried again`, async () => {
    const stage = new Stage();
    const socket = await stage.connect();
    stage.server.socket.hangUp(code, { code: 1011, name: "permission_denied" });
    await stage.clock.advance(600_000);
    assert.equal(stage.server.sockets.length, 1);
    assert.deepEqual(stage.of("disconnected"), [
      { code, reason: "server", wasClean: true, willReconnect: false, terminal: true },
    ]);
    assert.deepEqual(stage.names.slice(-2), ["state", "disconnected"], "the state is right when the loss is told");
    assert.equal(stage.service.state, "closed");
    assert.equal(socket.readyState, socket.CLOSED);
    assert.equal(stage.clock.pending, 0);
    stage.page.goOffline();
    stage.page.goOnline();
    await settle();
    assert.equal(stage.server.sockets.length, 1);
  });

  test(`${code} before connected rejects connect`, async () => {
    const stage = new Stage();
    stage.server.answers.connect = (socket) => void socket.hangUp(code, { code: 1011, name: "permission_denied" });
    await stage.begin();
    assert.equal(stage.outcome.code, 1011);
    assert.equal(stage.outcome.reason, "permission_denied");
    assert.equal(stage.outcome.closeCode, code);
    assert.equal(stage.service.state, "closed");
  });
}

for (const code of RECONNECT) {
  test(`after ${code} the client comes back, with backoff`, async () => {
    const stage = new Stage();
    await stage.connect();
    stage.server.socket.hangUp(code);
    const { wasClean, willReconnect, terminal } = stage.last("disconnected");
    assert.deepEqual(
      { wasClean, willReconnect, terminal },
      { wasClean: code !== 1006, willReconnect: true, terminal: false },
    );
    assert.deepEqual(stage.last("reconnecting"), { attempt: 1, delay: 1000, maxAttempts: 10, advised: false });
    await stage.clock.advance(999);
    assert.equal(stage.server.sockets.length, 1);
    await stage.clock.advance(1);
    assert.equal(stage.service.state, "connected");
  });
}

test("after 41nn the client waits as long as the error before it says, and a little more", async () => {
  for (const [random, delay] of [
    [0, 5000],
    [0.5, 5250],
  ]) {
    const stage = new Stage({ random: () => random });
    await stage.connect();
    stage.server.socket.hangUp(4102, { code: 1002, retry_after_ms: 5000 });
    assert.deepEqual(stage.last("reconnecting"), { attempt: 1, delay, maxAttempts: 10, advised: true });
    await stage.clock.advance(delay - 1);
    assert.equal(stage.server.sockets.length, 1);
    await stage.clock.advance(1);
    assert.equal(stage.server.sockets.length, 2);
  }
});

test("it waits so at the first connection too", async () => {
  const stage = new Stage({ random: () => 0 });
  stage.server.answers.connect = (socket) => void socket.hangUp(4102, { code: 1002, retry_after_ms: 7000 });
  await stage.begin();
  assert.equal(stage.last("reconnecting").delay, 7000);
});

test("advice holds for one attempt, and only for the close that it belongs to", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.refuse();
  stage.server.socket.hangUp(4110, { code: 1010, retry_after_ms: 5000 });
  await stage.clock.advance(5250);
  assert.deepEqual(stage.last("reconnecting"), { attempt: 2, delay: 2000, maxAttempts: 10, advised: false });

  const other = new Stage();
  await other.connect();
  other.server.socket.say({
    type: "error",
    code: 1010,
    name: "rate_limit_exceeded",
    message: "x",
    retry_after_ms: 60_000,
  });
  other.server.socket.hangUp(1006);
  assert.equal(other.last("reconnecting").delay, 1000);
});

test("advice that is no number is none", async () => {
  for (const retry_after_ms of ["5000", null, {}]) {
    const stage = new Stage();
    await stage.connect();
    stage.server.socket.hangUp(4102, { code: 1002, retry_after_ms });
    assert.equal(stage.last("reconnecting").delay, 1000);
  }
});

test("only the error right before a close says why, and for how long", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.socket.say({ type: "error", code: 1010, name: "n", message: "Too fast.", retry_after_ms: 60_000 });
  stage.server.publish("*", { n: 1 });
  stage.server.socket.hangUp(4102);
  assert.deepEqual(stage.last("reconnecting"), { attempt: 1, delay: 1000, maxAttempts: 10, advised: false });
  const other = new Stage({ maxAttempts: 0 });
  await other.connect({ autoReconnect: false });
  other.server.socket.say({ type: "error", code: 1008, name: "n", message: "A filter." });
  other.server.publish("*", { n: 1 });
  other.server.socket.hangUp(4511);
  assert.deepEqual(other.service.getMetrics().lastError, { code: "connection_closed", reason: "connection_closed" });
});

test("what a limit asks for comes before the slot of a drain", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.socket.say({ type: "system_shutdown", message: "", reconnect_after_ms: 3000 });
  stage.server.socket.hangUp(4102, { code: 1002, retry_after_ms: 8000 });
  assert.equal(stage.last("reconnecting").delay, 8400);
});

test("the slot of a drain is kept to, counted from the close", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.socket.say({ type: "system_shutdown", message: "Down for a moment.", reconnect_after_ms: 5402 });
  assert.deepEqual(stage.last("server_shutdown"), { reconnectInMs: 5402, message: "Down for a moment." });
  await stage.clock.advance(2000);
  assert.equal(stage.service.state, "connected");
  stage.server.socket.hangUp(4020);
  assert.deepEqual(stage.last("reconnecting"), { attempt: 1, delay: 5402, maxAttempts: 10, advised: true });
});

test("a slot is good for one attempt", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.refuse();
  stage.server.socket.say({ type: "system_shutdown", message: "", reconnect_after_ms: 5402 });
  stage.server.socket.hangUp(4020);
  await stage.clock.advance(5402);
  assert.deepEqual(stage.last("reconnecting"), { attempt: 2, delay: 2000, maxAttempts: 10, advised: false });
});

test("nothing that happens to the page cuts the server's wait short", async () => {
  const stage = new Stage({ random: () => 0 });
  await stage.connect();
  stage.server.socket.hangUp(4102, { code: 1002, retry_after_ms: 5000 });
  stage.page.show();
  stage.page.goOnline();
  stage.page.bringBack();
  await stage.clock.advance(4999);
  assert.equal(stage.server.sockets.length, 1);
});

test("a final error's text reaches the application, a token never", async () => {
  const stage = new Stage({ getToken: () => "very-secret" });
  const told = [];
  stage.server.answers.connect = (socket) => void socket.hangUp(4503, { code: 1003 });
  await stage.begin();
  for (const [, payload] of stage.events) told.push(JSON.stringify(payload), String(payload?.message));
  told.push(String(stage.outcome), JSON.stringify(stage.service.getMetrics()));
  assert.ok(!told.join().includes("very-secret"));
});
