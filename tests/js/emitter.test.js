import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../../wsserver/client/js/emitter.js";
import { WebSocketReconnectService } from "../../wsserver/client/js/index.js";

function make() {
  const faults = [];
  return { faults, emitter: new Emitter(["a", "b"], (fault, event) => faults.push([fault, event])) };
}

test("listeners are called in the order in which they came", () => {
  const { emitter } = make();
  const seen = [];
  emitter.on("a", (payload) => void seen.push(["first", payload]));
  emitter.on("a", (payload) => void seen.push(["second", payload]));
  emitter.on("b", () => void seen.push("other"));
  assert.equal(emitter.emit("a", 7), undefined);
  assert.deepEqual(seen, [
    ["first", 7],
    ["second", 7],
  ]);
});

test("a listener is taken away by off, by what on returned, and by itself after once", () => {
  const { emitter } = make();
  let calls = 0;
  const listener = () => void calls++;
  emitter.on("a", listener);
  emitter.off("a", listener);
  emitter.on("a", listener)();
  emitter.once("a", listener);
  emitter.off("a", listener);
  emitter.once("a", listener)();
  emitter.emit("a");
  assert.equal(calls, 0);
  emitter.once("a", () => {
    calls++;
    emitter.emit("a");
  });
  emitter.emit("a");
  assert.equal(calls, 1);
});

test("who comes or goes during a round does not change it", () => {
  const { emitter } = make();
  const seen = [];
  const second = () => void seen.push("second");
  emitter.on("a", () => {
    seen.push("first");
    emitter.off("a", second);
    emitter.on("a", () => void seen.push("late"));
  });
  emitter.on("a", second);
  emitter.emit("a");
  assert.deepEqual(seen, ["first", "second"]);
});

test("a listener that throws or rejects is reported and stops nobody", async () => {
  const { emitter, faults } = make();
  const seen = [];
  emitter.on("a", () => {
    throw "thrown";
  });
  emitter.on("a", () => Promise.reject("rejected"));
  emitter.on("a", () => void seen.push("last"));
  await emitter.emit("a");
  assert.deepEqual(seen, ["last"]);
  assert.deepEqual(faults, [
    ["thrown", "a"],
    ["rejected", "a"],
  ]);
});

test("emit is done when the slowest promise is", async () => {
  const { emitter } = make();
  const slow = Promise.withResolvers();
  emitter.on("a", () => slow.promise);
  emitter.on("a", async () => {});
  let done = false;
  const pending = emitter.emit("a").then(() => (done = true));
  await new Promise(setImmediate);
  assert.equal(done, false);
  slow.resolve();
  await pending;
});

test("an event that does not exist, and a listener that is none, are told at once", () => {
  const service = new WebSocketReconnectService();
  assert.throws(() => service.on("mesage", () => {}), /there is no event mesage; there are .*message/);
  assert.throws(() => service.off("mesage", () => {}), TypeError);
  assert.throws(() => service.on("message", undefined), TypeError);
});
