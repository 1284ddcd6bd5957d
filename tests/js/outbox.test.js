import assert from "node:assert/strict";
import { test } from "node:test";

import { Stage, settle } from "./stage.js";

const message = (n) => ({ type: "broadcast", n });
const sent = (stage) => stage.server.socket.said("broadcast").map(({ n }) => n);

function put(stage, count, options) {
  return Array.from({ length: count }, (_, i) => stage.service.queueMessage(message(i + 1), options));
}

test("with a connection a message leaves at once, without one it waits and leaves in order", async () => {
  const stage = new Stage();
  assert.deepEqual(put(stage, 3), ["queued", "queued", "queued"]);
  assert.deepEqual(
    stage.of("queue").map(({ length }) => length),
    [1, 2, 3],
  );
  await stage.connect();
  assert.deepEqual(sent(stage), [1, 2, 3]);
  assert.equal(stage.service.queueMessage(message(4)), "sent");
  assert.deepEqual(sent(stage), [1, 2, 3, 4]);
  assert.deepEqual(stage.last("queue"), { length: 0, dropped: 0 });
});

test("what was queued leaves after the session was restored and the subscriptions asked for", async () => {
  const stage = new Stage();
  put(stage, 1);
  stage.service.subscribe("patient", 1, { n: 1 });
  await stage.connect();
  assert.deepEqual(
    stage.server.socket.heard.map(({ type }) => type),
    ["connect", "subscribe", "broadcast"],
  );
});

test("a message of a listener of connected does not overtake those that wait", async () => {
  const stage = new Stage();
  put(stage, 2);
  stage.service.on("connected", () => void stage.service.queueMessage(message(3)));
  await stage.connect();
  assert.deepEqual(sent(stage), [1, 2, 3]);
});

test("a full queue drops the oldest, the newest, or throws, and counts", async () => {
  const oldest = new Stage({ maxQueueSize: 3 });
  assert.deepEqual(put(oldest, 5), Array(5).fill("queued"));
  assert.deepEqual(oldest.last("queue"), { length: 3, dropped: 2 });
  await oldest.connect();
  assert.deepEqual(sent(oldest), [3, 4, 5]);

  const newest = new Stage({ maxQueueSize: 3, queueOverflow: "drop-newest" });
  assert.deepEqual(put(newest, 5), ["queued", "queued", "queued", "dropped", "dropped"]);
  await newest.connect();
  assert.deepEqual(sent(newest), [1, 2, 3]);
  assert.equal(newest.service.getMetrics().dropped, 2);

  const strict = new Stage({ maxQueueSize: 3, queueOverflow: "throw" });
  assert.throws(() => put(strict, 5), RangeError);
  assert.equal(strict.service.getMetrics().queued, 3);

  const none = new Stage({ maxQueueSize: 0 });
  assert.deepEqual(put(none, 2), ["dropped", "dropped"]);
});

test("the default bound is a thousand", () => {
  const stage = new Stage();
  put(stage, 1001);
  assert.deepEqual([stage.service.getMetrics().queued, stage.service.getMetrics().dropped], [1000, 1]);
});

test("a message whose time is over is not sent, and makes room first", async () => {
  const stage = new Stage({ maxQueueSize: 3 });
  put(stage, 2, { ttl: 1000 });
  stage.service.queueMessage(message("stays"));
  await stage.clock.advance(1000);
  assert.equal(stage.service.queueMessage(message("last")), "queued");
  await stage.connect();
  assert.deepEqual(sent(stage), ["stays", "last"]);
  assert.equal(stage.service.getMetrics().dropped, 2);
});

test("with a megabyte in the socket's buffer nothing is added until it empties", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.socket.bufferedAmount = 1024 * 1024 + 1;
  assert.deepEqual(put(stage, 2), ["queued", "queued"]);
  await stage.clock.advance(1000);
  assert.deepEqual(sent(stage), []);
  stage.server.socket.bufferedAmount = 1024 * 1024;
  assert.equal(stage.service.queueMessage(message(3)), "queued");
  await stage.clock.advance(50);
  assert.deepEqual(sent(stage), [1, 2, 3]);
});

test("a hundred leave at once, the rest no faster than the server takes them", async () => {
  const stage = new Stage();
  put(stage, 200);
  await stage.connect();
  assert.equal(sent(stage).length, 100);
  await stage.clock.advance(1000);
  assert.equal(sent(stage).length, 140);
  await stage.clock.advance(1500);
  assert.deepEqual(
    sent(stage),
    Array.from({ length: 200 }, (_, i) => i + 1),
  );

  const fast = new Stage({ maxSendRate: 0 });
  put(fast, 1000);
  await fast.connect();
  assert.equal(sent(fast).length, 1000);
});

test("what waits survives a cut in between", async () => {
  const stage = new Stage();
  put(stage, 150);
  await stage.connect();
  const first = stage.server.socket;
  first.hangUp(1006);
  await stage.clock.advance(1000);
  assert.equal(first.said("broadcast").length + sent(stage).length, 150);
  assert.equal(stage.service.getMetrics().queued, 0);
});

test("what cannot be sent is dropped and told, and never throws", async () => {
  const stage = new Stage({ queueOverflow: "throw" });
  await stage.connect();
  const cyclic = { type: "broadcast" };
  cyclic.self = cyclic;
  for (const wrong of [
    null,
    undefined,
    3,
    "text",
    {},
    { type: 3 },
    cyclic,
    { type: "x", n: 1n },
    { type: "connect", token: "t" },
    { type: "subscribe" },
  ]) {
    assert.equal(stage.service.queueMessage(wrong), "dropped");
    assert.equal(stage.last("error").code, "bad_message");
  }
  assert.equal(stage.server.socket.heard.length, 1);
});

test("disconnect empties the queue and says how many it dropped", async () => {
  const stage = new Stage();
  put(stage, 3);
  stage.service.disconnect();
  await stage.connect();
  assert.deepEqual(sent(stage), []);
  assert.equal(stage.service.getMetrics().dropped, 3);
  await settle();
});
