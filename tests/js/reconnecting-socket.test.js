import assert from "node:assert/strict";
import { test } from "node:test";

import { Stage, URL_OF_TESTS, settle } from "./stage.js";

test("the socket of connect stands for whichever is open", async () => {
  const stage = new Stage();
  const socket = await stage.connect();
  assert.equal(socket.url, URL_OF_TESTS);
  assert.equal(socket.protocol, "wsserver.v1.json");
  assert.equal(socket.readyState, socket.OPEN);
  stage.server.socket.bufferedAmount = 77;
  assert.equal(socket.bufferedAmount, 77);
  stage.server.socket.hangUp(1006);
  assert.equal(socket.readyState, socket.CONNECTING);
  assert.equal(socket.bufferedAmount, 0);
  assert.equal(socket.protocol, "wsserver.v1.json");
  await stage.clock.advance(1000);
  assert.equal(socket.readyState, socket.OPEN);
  stage.service.disconnect();
  assert.equal(socket.readyState, socket.CLOSED);
});

test("the numbers of its states are those of a WebSocket", async () => {
  const socket = await new Stage().connect();
  for (const name of ["CONNECTING", "OPEN", "CLOSING", "CLOSED"]) {
    assert.equal(socket[name], WebSocket[name]);
    assert.equal(socket.constructor[name], WebSocket[name]);
  }
});

test("frames, closes and openings are dispatched to on-handlers and listeners", async () => {
  const stage = new Stage();
  const socket = await stage.connect({ subscriptions: ["patient:1"] });
  const seen = [];
  for (const type of ["open", "message", "close", "error"]) {
    socket[`on${type}`] = (event) => seen.push(`on${event.type}`);
    socket.addEventListener(type, (event) => seen.push(`${event.type} ${event.target === socket}`));
    socket.addEventListener(type, { handleEvent: (event) => seen.push(event.data ?? event.code ?? "object") });
  }
  const frame = stage.server.publish("patient:1", { n: 1 });
  stage.server.socket.hangUp(4005);
  await stage.clock.advance(1000);
  assert.deepEqual(
    seen.filter((one) => !String(one).includes("connected")),
    [
      "onmessage",
      "message true",
      JSON.stringify(frame),
      "onclose",
      "close true",
      4005,
      "onmessage",
      "message true",
      "onopen",
      "open true",
      "object",
    ],
  );
});

test("listeners are called once if asked, leave with their signal, and are not added twice", async () => {
  const stage = new Stage();
  const socket = await stage.connect();
  let calls = 0;
  const listener = () => calls++;
  const controller = new AbortController();
  socket.addEventListener("message", listener);
  socket.addEventListener("message", listener);
  socket.addEventListener("message", () => calls++, { once: true });
  socket.addEventListener("message", () => calls++, { signal: controller.signal });
  socket.addEventListener("message", () => calls++, { signal: AbortSignal.abort() });
  socket.addEventListener("message", null);
  socket.addEventListener("nothing", listener);
  controller.abort();
  stage.server.socket.say({ type: "hint" });
  assert.equal(calls, 2);
  socket.removeEventListener("message", listener);
  stage.server.socket.say({ type: "hint" });
  assert.equal(calls, 2);
});

test("a listener that throws is reported and stops nobody", async () => {
  const stage = new Stage();
  const socket = await stage.connect({ subscriptions: ["patient:1"] });
  socket.onmessage = () => {
    throw new Error("bug");
  };
  stage.server.publish("patient:1", { n: 1 });
  assert.deepEqual(stage.messages, [1]);
  assert.equal(stage.last("error").code, "handler_failed");
});

test("a handler of errors that throws does not run in circles", async () => {
  const stage = new Stage();
  const socket = await stage.connect();
  let calls = 0;
  socket.onerror = () => {
    calls++;
    throw new Error("bug");
  };
  stage.server.socket.say("{");
  assert.equal(calls, 1);
});

test("send takes a command as text or object, and keeps it while there is no connection", async () => {
  const stage = new Stage();
  const socket = await stage.connect();
  socket.send(JSON.stringify({ type: "subscribe", topic: "patient:1" }));
  socket.send({ type: "health_check" });
  assert.deepEqual(
    stage.server.socket.heard.slice(1).map(({ type }) => type),
    ["subscribe", "health_check"],
  );
  stage.server.socket.hangUp(1006);
  socket.send('{"type":"ack","message_id":"m"}');
  await stage.clock.advance(1000);
  assert.deepEqual(stage.server.socket.said("ack"), [{ type: "ack", message_id: "m" }]);
  assert.throws(() => socket.send("{"), SyntaxError);
  assert.throws(() => socket.send("3"), TypeError);
});

test("binary frames go as they are, and only over an open connection", async () => {
  const stage = new Stage();
  const socket = await stage.connect();
  const frame = Uint8Array.of(0xb1, 3);
  socket.send(frame);
  assert.equal(stage.server.socket.heard.at(-1), frame);
  stage.server.socket.hangUp(1006);
  assert.throws(() => socket.send(frame.buffer), { code: "not_connected" });
});

test("close ends it for good", async () => {
  const stage = new Stage();
  const socket = await stage.connect();
  let closed;
  socket.onclose = ({ code, reason, wasClean }) => (closed = { code, reason, wasClean });
  socket.close(3000, "done");
  assert.deepEqual(stage.server.socket.closed, { code: 3000, reason: "done" });
  assert.deepEqual(closed, { code: 3000, reason: "done", wasClean: true });
  await stage.clock.advance(600_000);
  assert.equal(stage.server.sockets.length, 1);
  await settle();
});

test("the socket of an earlier connect stays closed", async () => {
  const stage = new Stage();
  const former = await stage.connect();
  const current = await stage.connect();
  assert.notEqual(former, current);
  assert.equal(former.readyState, former.CLOSED);
  former.close();
  assert.equal(current.readyState, current.OPEN);
  stage.server.socket.hangUp(4511);
  const next = await stage.connect();
  assert.equal(current.readyState, current.CLOSED);
  assert.notEqual(next, current);
  stage.server.socket.hangUp(4511);
  stage.service.reconnect();
  await settle();
  assert.equal(next.readyState, next.OPEN, "reconnect takes up the one that there was");
});
