import assert from "node:assert/strict";
import { test } from "node:test";

import { Inbox } from "../../wsserver/client/js/inbox.js";
import { Dice } from "./dice.js";

test("what is handled at once is handled within push", () => {
  const seen = [];
  const inbox = new Inbox((item) => void seen.push(item));
  inbox.push(1);
  inbox.push(2);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(inbox.length, 0);
});

test("what a handler pushes comes after, not within", () => {
  const seen = [];
  const inbox = new Inbox((item) => {
    seen.push(`begin ${item}`);
    if (item === 1) inbox.push(2);
    seen.push(`end ${item}`);
  });
  inbox.push(1);
  assert.deepEqual(seen, ["begin 1", "end 1", "begin 2", "end 2"]);
});

test("thousands wait and come out in order, some at once and some later", async () => {
  const dice = new Dice(3);
  const seen = [];
  let drained = 0;
  const done = Promise.withResolvers();
  const inbox = new Inbox(
    (item) => {
      seen.push(item);
      if (item === 9999) done.resolve();
      return dice.below(3) === 0 ? new Promise(setImmediate) : undefined;
    },
    () => drained++,
  );
  for (let i = 0; i < 10_000; i++) inbox.push(i);
  await done.promise;
  assert.deepEqual(
    seen,
    Array.from({ length: 10_000 }, (_, i) => i),
  );
  assert.ok(drained > 3000);
});

test("a closed inbox hands nothing out", async () => {
  const seen = [];
  const slow = Promise.withResolvers();
  const inbox = new Inbox((item) => (seen.push(item), slow.promise));
  inbox.push(1);
  inbox.push(2);
  assert.equal(inbox.length, 1);
  inbox.close();
  inbox.push(3);
  slow.resolve();
  await new Promise(setImmediate);
  assert.deepEqual(seen, [1]);
  assert.equal(inbox.length, 0);
});
