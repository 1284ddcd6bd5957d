import assert from "node:assert/strict";
import { test } from "node:test";

import { Metrics } from "../../wsserver/client/js/metrics.js";
import { Stage } from "./stage.js";

test("the figures of a client's life", async () => {
  const stage = new Stage({ minUptime: 0 });
  assert.deepEqual(stage.service.getMetrics(), {
    state: "idle",
    attempts: 0,
    reconnects: 0,
    uptimeMs: 0,
    downtimeMs: 0,
    rtt: { last: null, avg: null, p95: null },
    sent: 0,
    received: 0,
    bytesSent: 0,
    bytesReceived: 0,
    queued: 0,
    dropped: 0,
    pending: 0,
    replayed: 0,
    duplicates: 0,
    gaps: 0,
    subscriptions: 0,
    lastCloseCode: null,
    lastError: null,
  });
  await stage.connect({ subscriptions: ["patient:1"] });
  await stage.clock.advance(1500);
  const frame = stage.server.publish("patient:1", { n: 1 });
  let metrics = stage.service.getMetrics();
  assert.equal(metrics.uptimeMs, 1500);
  assert.equal(metrics.downtimeMs, 0);
  assert.deepEqual([metrics.sent, metrics.received, metrics.subscriptions], [1, 2, 1]);
  const hello = JSON.stringify(stage.server.hello);
  assert.equal(metrics.bytesSent, hello.length);
  const before = metrics.bytesReceived;
  stage.server.socket.say(frame);
  assert.equal(stage.service.getMetrics().bytesReceived - before, JSON.stringify(frame).length);

  stage.server.socket.hangUp(4005);
  await stage.clock.advance(600);
  metrics = stage.service.getMetrics();
  assert.deepEqual(
    [metrics.state, metrics.attempts, metrics.uptimeMs, metrics.downtimeMs, metrics.lastCloseCode],
    ["reconnecting", 1, 0, 600, 4005],
  );
  await stage.clock.advance(400);
  metrics = stage.service.getMetrics();
  assert.deepEqual([metrics.state, metrics.reconnects, metrics.downtimeMs], ["connected", 1, 1000]);
  stage.server.socket.say({ type: "error", code: 1008, name: "filter_parsing_error", message: "patient data" });
  assert.deepEqual(stage.service.getMetrics().lastError, { code: 1008, reason: "filter_parsing_error" });
});

test("the round trips that count are the last ones", () => {
  const metrics = new Metrics();
  for (let i = 0; i < 64; i++) metrics.noteRoundTrip(1000);
  for (let i = 1; i <= 64; i++) metrics.noteRoundTrip(i);
  assert.deepEqual(metrics.rtt, { last: 64, avg: 32.5, p95: 61 });
});
