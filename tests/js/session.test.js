import assert from "node:assert/strict";
import { test } from "node:test";

import { Session, lostBetween } from "../../wsserver/client/js/session.js";

test("a cursor says what was handled, log by log, and never goes back", () => {
  const session = new Session();
  assert.equal(session.has("a", 0), false);
  session.handled("a", 5);
  session.handled("a", 3);
  session.advance({ a: 4, b: 7 });
  assert.deepEqual(session.cursor, { a: 5, b: 7 });
  assert.deepEqual([session.has("a", 5), session.has("a", 6), session.has("c", 1)], [true, false, false]);
});

test("the position of connected is taken up: gone logs go, what is ahead goes back, what was handled since stays", () => {
  const session = new Session();
  session.advance({ gone: 9, lost: 9, fresh: 9, same: 9 });
  session.id = "s";
  const { cursor: stated } = session.statement();
  session.handled("fresh", 12);
  session.restart({ lost: 4, fresh: 10, same: 20, new: 0 }, stated);
  assert.deepEqual(session.cursor, { lost: 4, fresh: 12, same: 20, new: 0 });
});

test("without an id there is nothing to show, and what was shown does not change afterwards", () => {
  const session = new Session();
  session.handled("a", 1);
  assert.equal(session.statement(), undefined);
  session.id = "s";
  const shown = session.statement();
  session.handled("a", 2);
  assert.deepEqual(shown, { id: "s", cursor: { a: 1 } });
  assert.deepEqual(session.stated, { a: 1 });
});

test("what is lost where nothing is replayed", () => {
  assert.deepEqual(lostBetween({ a: 5, b: 5, c: 5, d: 5 }, { a: 5, b: 9, c: 3, e: 1 }), [
    { log: "b", from: 6, to: 9, reason: "limit" },
    { log: "c", from: 4, to: 5, reason: "ahead" },
    { log: "d", from: 6, reason: "restart" },
  ]);
});

test("a session is saved with its cursor, and taken out when it is loaded", () => {
  const kept = new Map();
  const store = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
  const session = new Session();
  session.save(store, "k");
  assert.equal(kept.size, 0, "there is none yet");
  session.load(store, "k");
  assert.equal(session.id, null);
  session.id = "s";
  session.handled("a", 3);
  session.save(store, "k");
  const other = new Session();
  other.load(store, "k");
  assert.deepEqual(other.statement(), { id: "s", cursor: { a: 3 } });
  assert.equal(kept.size, 0);
});
