import assert from "node:assert/strict";
import { test } from "node:test";

import { Stage, settle } from "./stage.js";

/** Gives these tokens one after the other, the last for ever, and remembers why it was asked. */
function source(...tokens) {
  const getToken = ({ reason }) => {
    getToken.asked.push(reason);
    return tokens.length > 1 ? tokens.shift() : tokens[0];
  };
  getToken.asked = [];
  return getToken;
}

function onlyTakes(stage, good) {
  stage.server.answers.connect = (socket, command) => {
    if (command.token === good) return stage.server.connected(socket, command);
    socket.hangUp(4501, { code: 1001, name: "authentication_failed" });
    return [];
  };
}

test("after 4501 a new token is asked for once and tried at once", async () => {
  const getToken = source("old", "new");
  const stage = new Stage({ getToken });
  onlyTakes(stage, "new");
  await stage.begin();
  assert.equal(stage.outcome, "connected");
  assert.deepEqual(getToken.asked, ["first", "refused"]);
  assert.equal(stage.server.sockets.length, 2);
});

test("4501 is final if the new token is the old one, is refused too, cannot be had, or there is nobody to ask", async () => {
  for (const [config, options, dials] of [
    [{ getToken: source("same") }, {}, 1],
    [{ getToken: source("one", "two", "three") }, {}, 2],
    [{ getToken: ({ reason }) => (reason === "first" ? "one" : Promise.reject(new Error("no"))) }, {}, 1],
    [{ getToken: undefined }, { token: "one" }, 1],
  ]) {
    const stage = new Stage(config);
    onlyTakes(stage, "right");
    await stage.begin(options);
    await stage.clock.advance(600_000);
    assert.equal(stage.outcome.code, 1001);
    assert.equal(stage.outcome.closeCode, 4501);
    assert.equal(stage.server.sockets.length, dials);
    assert.equal(stage.service.state, "closed");
  }
});

test("a connection in between gives the right to ask once more", async () => {
  const stage = new Stage({ getToken: source("a", "b", "c") });
  onlyTakes(stage, "b");
  await stage.begin();
  assert.equal(stage.outcome, "connected");
  onlyTakes(stage, "c");
  stage.server.socket.hangUp(4501, { code: 1001 });
  await settle();
  assert.equal(stage.service.state, "connected");
  assert.equal(stage.server.hello.token, "c");
});

test("after 4001 the next attempt has a new token", async () => {
  const getToken = source("old", "new");
  const stage = new Stage({ getToken });
  await stage.connect();
  stage.server.socket.hangUp(4001, { code: 1001 });
  await stage.clock.advance(1000);
  assert.equal(stage.server.hello.token, "new");
  assert.deepEqual(getToken.asked, ["first", "expired"]);
  assert.equal(stage.service.state, "connected");
});

test("the token of connect comes first, those of getToken after it", async () => {
  const stage = new Stage({ getToken: source("second") });
  await stage.connect({ token: "first" });
  assert.equal(stage.server.hello.token, "first");
  stage.server.socket.hangUp(4001);
  await stage.clock.advance(1000);
  assert.equal(stage.server.hello.token, "second");
});

test("a getToken that fails costs an attempt and is told", async () => {
  let fails = true;
  const stage = new Stage({
    getToken: () => {
      if (fails) throw new Error("the sign-in is down");
      return "token";
    },
  });
  await stage.begin();
  assert.equal(stage.last("error").code, "token_failed");
  assert.equal(stage.last("error").cause.message, "the sign-in is down");
  assert.equal(stage.last("reconnecting").attempt, 1);
  fails = false;
  await stage.clock.advance(1000);
  assert.equal(stage.outcome, "connected");
});

test("a token that is about to end is renewed on the open connection", async () => {
  const getToken = source("old", "new");
  const stage = new Stage({ getToken });
  await stage.connect();
  stage.server.socket.say({ type: "token_expiring", expires_in: 60 });
  await settle();
  assert.deepEqual(stage.last("token_expiring"), { expiresInMs: 60_000 });
  assert.equal(stage.server.socket.said("auth")[0].token, "new");
  assert.deepEqual(getToken.asked, ["first", "expiring"]);
  assert.deepEqual(stage.of("error"), []);
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(1000);
  assert.equal(stage.server.hello.token, "new");
});

test("a renewal that fails is tried again while the connection lives", async () => {
  let fails = false;
  const stage = new Stage({
    getToken: () => {
      if (fails) throw new Error("down");
      return "token";
    },
  });
  await stage.connect();
  fails = true;
  stage.server.socket.say({ type: "token_expiring", expires_in: 60 });
  await settle();
  assert.equal(stage.last("error").code, "token_failed");
  fails = false;
  await stage.clock.advance(10_000);
  assert.equal(stage.server.socket.said("auth").length, 1);
});

test("a renewal that the server refuses is told, and a late token is not sent to another connection", async () => {
  const stage = new Stage();
  stage.server.answers.auth = () => ({ type: "error", code: 1001, name: "authentication_failed", message: "x" });
  await stage.connect();
  stage.server.socket.say({ type: "token_expiring", expires_in: 60 });
  await settle();
  assert.equal(stage.last("error").code, 1001);
  assert.equal(stage.service.state, "connected");

  const { promise, resolve } = Promise.withResolvers();
  const slow = new Stage({ getToken: ({ reason }) => (reason === "expiring" ? promise : "token") });
  await slow.connect();
  slow.server.socket.say({ type: "token_expiring", expires_in: 60 });
  slow.service.disconnect();
  resolve("late");
  await settle();
  assert.deepEqual(slow.server.socket.said("auth"), []);
});

test("what getToken says after disconnect is nobody's business", async () => {
  const answer = Promise.withResolvers();
  const stage = new Stage({ getToken: () => answer.promise });
  await stage.begin();
  stage.service.disconnect();
  answer.reject(new Error("too late"));
  await settle();
  assert.deepEqual(stage.of("error"), []);

  const refused = Promise.withResolvers();
  const other = new Stage({ getToken: ({ reason }) => (reason === "first" ? "one" : refused.promise) });
  onlyTakes(other, "two");
  await other.begin();
  other.service.disconnect();
  refused.resolve("two");
  await settle();
  assert.equal(other.server.sockets.length, 1);
  assert.equal(other.service.state, "closed");
});

test("without getToken the end of a token is only told", async () => {
  const stage = new Stage({ getToken: undefined });
  await stage.connect({ token: "only" });
  stage.server.socket.say({ type: "token_expiring", expires_in: 30 });
  await settle();
  assert.deepEqual(stage.last("token_expiring"), { expiresInMs: 30_000 });
  assert.deepEqual(stage.of("error"), []);
});
