import assert from "node:assert/strict";
import { test } from "node:test";

import { DEFAULTS, WebSocketReconnectService } from "../../wsserver/client/js/index.js";
import { Stage } from "./stage.js";

test("the defaults are those of the specification, and nothing that surprises besides", () => {
  const { random, now, timers, ...rest } = DEFAULTS;
  assert.deepEqual(rest, {
    maxAttempts: 10,
    initialDelay: 1000,
    maxDelay: 30_000,
    backoffMultiplier: 2,
    jitterFactor: 0.1,
    heartbeatInterval: 30_000,
    connectionTimeout: 10_000,
    enableSessionRestore: true,
    enableMessageReplay: true,
    jitterMode: "proportional",
    heartbeatTimeout: 10_000,
    minUptime: 5000,
    maxQueueSize: 1000,
    queueOverflow: "drop-oldest",
    maxSendRate: 40,
    maxPendingMessages: 10_000,
    maxPendingBytes: 16 * 1024 * 1024,
    getToken: null,
    codec: "json",
    retryWhenOnline: true,
    pauseWhenHidden: false,
    storage: null,
    logger: null,
    WebSocket: null,
    page: null,
  });
  assert.ok(random() < 1 && now() <= now());
  assert.ok(Object.isFrozen(DEFAULTS));
});

test("an option that does not exist, or cannot be, is told at once", () => {
  for (const [wrong, error] of [
    [{ maxAttemps: 3 }, TypeError],
    [{ maxAttempts: -1 }, RangeError],
    [{ maxAttempts: 1.5 }, RangeError],
    [{ maxAttempts: "10" }, TypeError],
    [{ initialDelay: NaN }, RangeError],
    [{ maxDelay: 2 ** 31 }, RangeError],
    [{ backoffMultiplier: 0.5 }, RangeError],
    [{ jitterFactor: 1.1 }, RangeError],
    [{ jitterMode: "none" }, RangeError],
    [{ queueOverflow: "drop" }, RangeError],
    [{ codec: "xml" }, RangeError],
    [{ enableSessionRestore: "yes" }, TypeError],
    [{ getToken: "token" }, TypeError],
    [{ WebSocket: {} }, TypeError],
    [{ random: 0.5 }, TypeError],
    [{ heartbeatTimeout: 0 }, RangeError],
  ])
    assert.throws(() => new WebSocketReconnectService(wrong), error, JSON.stringify(wrong));
});

test("undefined says nothing", () => {
  new WebSocketReconnectService({ maxAttempts: undefined, getToken: undefined });
});

test("endless may be written as Infinity too", async () => {
  const stage = new Stage({ maxAttempts: Infinity });
  stage.server.refuse();
  await stage.begin();
  await stage.clock.advance(3_600_000);
  assert.equal(stage.of("reconnect_failed").length, 0);
});
