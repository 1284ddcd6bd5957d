import assert from "node:assert/strict";
import { test } from "node:test";

import { advisedDelay, backoffDelay, baseDelay } from "../../wsserver/client/js/backoff.js";
import { DEFAULTS } from "../../wsserver/client/js/index.js";
import { Dice } from "./dice.js";
import { Stage } from "./stage.js";

const FULL = { ...DEFAULTS, jitterMode: "full" };
const TEN = Array.from({ length: 10 }, (_, i) => i + 1);

test("the waits without jitter, to the millisecond", () => {
  const table = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000];
  assert.deepEqual(
    TEN.map((attempt) => baseDelay(attempt, DEFAULTS)),
    table,
  );
  assert.deepEqual(
    TEN.map((attempt) => backoffDelay(attempt, DEFAULTS, () => 0.5)),
    table,
  );
});

test("proportional jitter comes after the upper bound, to both sides", () => {
  assert.deepEqual(
    [1, 5, 6, 99].map((attempt) => backoffDelay(attempt, DEFAULTS, () => 0)),
    [900, 14_400, 27_000, 27_000],
  );
  assert.deepEqual(
    [1, 5, 6, 99].map((attempt) => backoffDelay(attempt, DEFAULTS, () => 1 - 2 ** -53)),
    [1100, 17_600, 33_000, 33_000],
  );
});

test("full jitter takes anything from half a second to the wait, and never more than the bound", () => {
  assert.deepEqual(
    [1, 2, 6, 99].map((attempt) => backoffDelay(attempt, FULL, () => 0)),
    [500, 500, 500, 500],
  );
  assert.deepEqual(
    [1, 2, 6, 99].map((attempt) => backoffDelay(attempt, FULL, () => 1 - 2 ** -53)),
    [1500, 2500, 30_000, 30_000],
  );
});

test("clients that were cut off together are spread", () => {
  const dice = new Dice(1);
  const random = () => dice.below(2 ** 32) / 2 ** 32;
  const delays = Array.from({ length: 1000 }, () => backoffDelay(4, FULL, random));
  const tenths = new Array(10).fill(0);
  for (const delay of delays) tenths[Math.min(9, Math.floor(((delay - 500) / 8000) * 10))] += 1;
  assert.ok(Math.max(...tenths) < 140 && Math.min(...tenths) > 60, String(tenths));
});

test("the numbers are options, and no attempt is so late that they break", () => {
  const options = { ...DEFAULTS, initialDelay: 100, maxDelay: 700, backoffMultiplier: 3, jitterFactor: 0 };
  assert.deepEqual(
    [1, 2, 3, 4, 2000].map((attempt) => backoffDelay(attempt, options, Math.random)),
    [100, 300, 700, 700, 700],
  );
  const none = { ...FULL, initialDelay: 0 };
  assert.equal(
    backoffDelay(3, none, () => 0.9),
    0,
  );
});

test("what a server advises is never cut short, and a slot of one's own is kept to", () => {
  assert.equal(
    advisedDelay(5000, false, () => 0),
    5000,
  );
  assert.equal(
    advisedDelay(5000, false, () => 1 - 2 ** -53),
    5500,
  );
  assert.equal(
    advisedDelay(5402.5, true, () => 0.9),
    5403,
  );
  assert.equal(
    advisedDelay(1e12, false, () => 0),
    3_600_000,
    "years are no advice",
  );
  assert.equal(
    advisedDelay(-1, true, () => 0.9),
    100,
    "at once, again and again, would be as fast as the network allows",
  );
});

test("a client that is left alone makes ten attempts in three minutes and says that it stops", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.refuse();
  const cutAt = stage.clock.now();
  const dials = [];
  stage.service.on("connecting", ({ attempt }) => dials.push([attempt, stage.clock.now() - cutAt]));
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(3_600_000);
  assert.deepEqual(dials, [
    [1, 1000],
    [2, 3000],
    [3, 7000],
    [4, 15_000],
    [5, 31_000],
    [6, 61_000],
    [7, 91_000],
    [8, 121_000],
    [9, 151_000],
    [10, 181_000],
  ]);
  assert.equal(stage.of("reconnect_failed").length, 1);
  assert.equal(stage.last("reconnect_failed").attempts, 10);
  assert.equal(stage.service.state, "failed");
  assert.equal(stage.clock.pending, 0);
});

test("maxAttempts 0 never stops", async () => {
  const stage = new Stage({ maxAttempts: 0 });
  stage.server.refuse();
  await stage.begin();
  await stage.clock.advance(3_600_000);
  assert.equal(stage.of("reconnect_failed").length, 0);
  assert.ok(stage.server.sockets.length > 120, String(stage.server.sockets.length));
  assert.equal(stage.last("reconnecting").maxAttempts, 0);
});

test("attempts count for the first connection too, and connect is rejected at their end", async () => {
  const stage = new Stage({ maxAttempts: 2 });
  stage.server.refuse();
  await stage.begin();
  assert.equal(stage.outcome, undefined);
  await stage.clock.advance(3000);
  assert.equal(stage.outcome.code, "connection_closed");
  assert.equal(stage.outcome.closeCode, 1006);
  assert.equal(stage.server.sockets.length, 3);
  assert.deepEqual(stage.of("disconnected"), []);
});

test("the count begins anew only after a connection that lasted", async () => {
  const stage = new Stage();
  await stage.connect();
  const cutAfter = async (uptime) => {
    await stage.clock.advance(uptime);
    stage.server.socket.hangUp(1006);
    const { attempt, delay } = stage.last("reconnecting");
    await stage.clock.advance(delay);
    return attempt;
  };
  assert.deepEqual(
    [await cutAfter(0), await cutAfter(4999), await cutAfter(4999), await cutAfter(5000), await cutAfter(0)],
    [1, 2, 3, 1, 2],
  );
});

test("with autoReconnect false the first loss is the end", async () => {
  const stage = new Stage();
  await stage.connect({ autoReconnect: false });
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(600_000);
  assert.equal(stage.server.sockets.length, 1);
  assert.deepEqual(stage.last("disconnected"), {
    code: 1006,
    reason: "server",
    wasClean: false,
    willReconnect: false,
    terminal: false,
  });
  assert.equal(stage.service.state, "closed");
});

test("reconnect goes at once with all attempts before it: from a connection, a wait, and the end of attempts", async () => {
  const stage = new Stage({ maxAttempts: 1 });
  await stage.connect();
  stage.service.reconnect();
  await stage.clock.advance(0);
  assert.equal(stage.server.sockets.length, 2);
  assert.equal(stage.server.sockets[0].closed.code, 4000);
  assert.equal(stage.last("connected").resumed, true);

  stage.server.refuse();
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(1000);
  assert.equal(stage.service.state, "failed");
  stage.service.reconnect();
  await stage.clock.advance(0);
  assert.equal(stage.last("reconnecting").attempt, 1);
  assert.equal(stage.service.state, "reconnecting");
  await stage.clock.advance(1000);
  stage.server.accept();
  stage.service.reconnect();
  await stage.clock.advance(0);
  assert.equal(stage.service.state, "connected");
  assert.throws(() => new Stage().service.reconnect(), { code: "not_connected" });
});
