import assert from "node:assert/strict";
import { test } from "node:test";

import { Stage } from "./stage.js";

const pings = (stage) => stage.server.sockets[0].said("ping");
const silent = (stage) => (stage.server.answers.ping = () => []);

test("the first ping comes soon, the others at intervals, whatever else arrives", async () => {
  const stage = new Stage();
  await stage.connect({ subscriptions: ["patient:1"] });
  const at = [];
  stage.server.answers.ping = (_, { t }) => (at.push(stage.clock.now() - 1000), { type: "pong", t, cursor: {} });
  for (let i = 0; i < 95; i++) {
    await stage.clock.advance(1000);
    stage.server.publish("patient:1");
  }
  assert.deepEqual(at, [2000, 32_000, 62_000, 92_000]);
});

test("a pong tells the round trip", async () => {
  const stage = new Stage();
  silent(stage);
  await stage.connect();
  await stage.clock.advance(2000);
  const [{ t }] = pings(stage);
  await stage.clock.advance(25);
  stage.server.socket.say({ type: "pong", t: "another", cursor: {} }, { type: "pong", t, cursor: {} });
  assert.deepEqual(stage.of("heartbeat"), [{ rttMs: 25 }]);
  assert.deepEqual(stage.service.getMetrics().rtt, { last: 25, avg: 25, p95: 25 });
});

test("a line that stays silent after a ping is dead, and the client comes back", async () => {
  const stage = new Stage();
  silent(stage);
  await stage.connect();
  await stage.clock.advance(11_999);
  assert.equal(stage.service.state, "connected");
  await stage.clock.advance(1);
  assert.deepEqual(stage.last("disconnected"), {
    code: 1006,
    reason: "no sign of life",
    wasClean: false,
    willReconnect: true,
    terminal: false,
  });
  assert.equal(stage.server.sockets[0].closed.code, 4000);
  await stage.clock.advance(1000);
  assert.equal(stage.last("connected").resumed, true);
});

test("any frame is a sign of life", async () => {
  const stage = new Stage();
  silent(stage);
  await stage.connect({ subscriptions: ["patient:1"] });
  await stage.clock.advance(11_999);
  stage.server.publish("patient:1");
  await stage.clock.advance(20_000);
  assert.equal(stage.service.state, "connected");
});

test("in a hidden page whose timers come once a minute the connection lives", async () => {
  const stage = new Stage();
  await stage.connect();
  for (let i = 0; i < 30; i++) {
    stage.clock.sleep(60_000);
    await stage.clock.advance(0);
  }
  assert.equal(stage.server.sockets.length, 1);
  assert.ok(pings(stage).length >= 29);
});

test("there a dead line is found out at the second look", async () => {
  const stage = new Stage();
  await stage.connect();
  silent(stage);
  const minute = async () => {
    stage.clock.sleep(60_000);
    await stage.clock.advance(0);
  };
  await minute();
  await minute();
  assert.equal(pings(stage).length, 2);
  assert.equal(stage.service.state, "connected");
  await minute();
  assert.equal(stage.of("disconnected").length, 1);
});

test("after a freeze the frames that waited are heard before the line is judged", async () => {
  const stage = new Stage();
  silent(stage);
  await stage.connect();
  await stage.clock.advance(2000);
  stage.clock.sleep(3_600_000);
  await stage.clock.advance(0);
  stage.server.socket.say({ type: "pong", t: 1, cursor: {} });
  await stage.clock.advance(10_000);
  assert.equal(stage.service.state, "connected");
});

test("intervals and timeouts are options; 0 means no pings", async () => {
  const stage = new Stage({ heartbeatInterval: 500, heartbeatTimeout: 100 });
  silent(stage);
  await stage.connect();
  await stage.clock.advance(600);
  assert.equal(stage.of("disconnected").length, 1);

  const none = new Stage({ heartbeatInterval: 0 });
  await none.connect();
  await none.clock.advance(3_600_000);
  assert.deepEqual(pings(none), []);
  assert.equal(none.service.state, "connected");
});

test("no ping leaves before connected and after the end", async () => {
  const stage = new Stage({ connectionTimeout: 60_000 });
  stage.server.answers.connect = () => [];
  await stage.begin();
  await stage.clock.advance(50_000);
  assert.deepEqual(pings(stage), []);
  stage.service.disconnect();
  assert.equal(stage.clock.pending, 0);
});
