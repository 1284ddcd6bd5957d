import assert from "node:assert/strict";
import { test } from "node:test";

import { PageLifecycle } from "../../wsserver/client/js/page-lifecycle.js";
import { FakePage, Stage, URL_OF_TESTS, settle } from "./stage.js";

async function waiting(config) {
  const stage = new Stage(config);
  await stage.connect({ subscriptions: ["patient:1"] });
  stage.server.refuse();
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(7000);
  stage.server.accept();
  assert.equal(stage.server.sockets.length, 4);
  return stage;
}

test("without a network no attempt is spent, however long it lasts", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.page.goOffline();
  stage.server.refuse();
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(86_400_000);
  assert.equal(stage.server.sockets.length, 1);
  assert.equal(stage.service.state, "offline");
  assert.equal(stage.service.getMetrics().attempts, 0);
  assert.equal(stage.clock.pending, 0);
  stage.server.accept();
  stage.page.goOnline();
  await settle();
  assert.equal(stage.service.state, "connected");
  assert.equal(stage.last("reconnected").attempts, 0);
});

test("a network that goes during a wait holds the attempt, and it is not counted", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.socket.hangUp(1006);
  stage.page.goOffline();
  await stage.clock.advance(600_000);
  assert.equal(stage.server.sockets.length, 1);
  assert.equal(stage.service.getMetrics().attempts, 0);
  assert.equal(stage.service.state, "offline");
});

test("the first attempt is made even so: what a page believes of the network may be wrong", async () => {
  const stage = new Stage();
  stage.page.goOffline();
  await stage.connect();
  assert.equal(stage.service.state, "connected");
});

test("a server on this machine needs no network", async () => {
  for (const [url, dials] of [
    ["ws://localhost:8000/ws/connect", 2],
    ["ws://127.0.0.1/ws", 2],
    ["http://[::1]:1/ws", 2],
    ["ws://localhost.example/ws", 1],
  ]) {
    const stage = new Stage();
    stage.page.goOffline();
    await stage.service.connect(url, { userId: "dr1" });
    stage.server.socket.hangUp(1006);
    await stage.clock.advance(1000);
    assert.equal(stage.server.sockets.length, dials, url);
  }
});

test("retryWhenOnline false takes no notice of the network", async () => {
  const stage = new Stage({ retryWhenOnline: false, maxAttempts: 1 });
  await stage.connect();
  stage.page.goOffline();
  stage.server.refuse();
  stage.server.socket.hangUp(1006);
  await stage.clock.advance(1000);
  assert.equal(stage.service.state, "failed");
  stage.page.goOnline();
  await settle();
  assert.equal(stage.service.state, "failed");
});

for (const [name, happen] of [
  ["the network comes back", (page) => page.goOnline()],
  ["the page is seen again", (page) => page.show()],
  ["the page comes back from the cache", (page) => page.bringBack()],
  ["the page is thawed", (page) => page.thaw()],
]) {
  test(`when ${name} a wait is cut short`, async () => {
    const stage = await waiting();
    happen(stage.page);
    await settle();
    assert.equal(stage.service.state, "connected");
    await stage.clock.advance(60_000);
    assert.equal(stage.server.sockets.length, 5, "the wait that was cut short does not end a second time");
  });

  test(`when ${name} a client that had given up goes on, with all attempts before it`, async () => {
    const stage = new Stage({ maxAttempts: 1 });
    await stage.connect();
    stage.server.refuse();
    stage.server.socket.hangUp(1006);
    await stage.clock.advance(1000);
    assert.equal(stage.service.state, "failed");
    happen(stage.page);
    await settle();
    assert.deepEqual(stage.last("reconnecting"), { attempt: 1, delay: 1000, maxAttempts: 1, advised: false });
    stage.server.accept();
    await stage.clock.advance(1000);
    assert.equal(stage.service.state, "connected");
  });

  test(`when ${name} an open connection is asked for a sign of life`, async () => {
    const stage = new Stage();
    await stage.connect();
    stage.server.answers.ping = () => [];
    happen(stage.page);
    assert.equal(stage.server.socket.said("ping").length, 1);
    await stage.clock.advance(10_000);
    assert.equal(stage.last("disconnected").reason, "no sign of life");
  });
}

test("a page that was never put away is not brought back", async () => {
  const stage = await waiting();
  stage.page.bringBack(false);
  await settle();
  assert.equal(stage.server.sockets.length, 4);
});

test("the end of the network makes an open connection prove itself", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.server.answers.ping = () => [];
  stage.page.goOffline();
  await stage.clock.advance(10_000);
  assert.equal(stage.service.state, "offline");
});

test("a socket that was opened without a network is opened anew when there is one", async () => {
  const stage = new Stage();
  stage.server.onDial = () => {};
  await stage.begin();
  const [hung] = stage.server.sockets;
  stage.server.accept();
  stage.page.goOnline();
  await settle();
  assert.equal(stage.outcome, "connected");
  assert.equal(hung.readyState, 3);
  assert.equal(stage.server.sockets.length, 2);
});

test("a socket that is being opened is left alone when the page is only seen again", async () => {
  const stage = new Stage();
  stage.server.onDial = () => {};
  await stage.begin();
  stage.page.show();
  await settle();
  assert.equal(stage.server.sockets.length, 1);
});

test("while a refused token is being replaced nothing dials with the old one", async () => {
  const answer = Promise.withResolvers();
  const stage = new Stage({ getToken: ({ reason }) => (reason === "refused" ? answer.promise : "old") });
  await stage.connect();
  stage.server.socket.hangUp(4501);
  stage.page.show();
  stage.page.goOnline();
  await settle();
  assert.equal(stage.server.sockets.length, 1);
  answer.resolve("new");
  await settle();
  assert.equal(stage.server.hello.token, "new");
});

for (const [name, away, back] of [
  ["put into the cache", (page) => page.putAway(), (page) => page.bringBack()],
  ["frozen", (page) => page.freeze(), (page) => page.thaw()],
]) {
  test(`a page that is ${name} closes, keeps its session and is back at once`, async () => {
    const stage = new Stage();
    await stage.connect({ subscriptions: ["patient:1"] });
    away(stage.page);
    assert.equal(stage.server.socket.closed.code, 4000);
    assert.equal(stage.service.state, "suspended");
    assert.deepEqual(stage.last("disconnected"), {
      code: 4000,
      reason: "the page is away",
      wasClean: true,
      willReconnect: true,
      terminal: false,
    });
    assert.equal(stage.clock.pending, 0);
    stage.server.publish("patient:1", { n: 1 });
    await stage.clock.advance(60_000);
    assert.equal(stage.server.sockets.length, 1);
    back(stage.page);
    await settle();
    assert.equal(stage.last("connected").resumed, true);
    assert.deepEqual(stage.messages, [1]);
  });

  test(`a page that is ${name} while it connects or waits goes on where it was`, async () => {
    const stage = await waiting();
    away(stage.page);
    assert.equal(stage.clock.pending, 0);
    stage.server.onDial = () => {};
    back(stage.page);
    await settle();
    away(stage.page);
    assert.equal(stage.server.socket.readyState, 3);
    stage.server.accept();
    back(stage.page);
    await settle();
    assert.equal(stage.service.state, "connected");
  });
}

test("a page that goes for good is left to the browser", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.page.putAway(false);
  assert.equal(stage.server.socket.closed, null);
});

test("a hidden page stays connected, unless pauseWhenHidden", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.page.hide();
  assert.equal(stage.service.state, "connected");

  const pausing = new Stage({ pauseWhenHidden: true });
  await pausing.connect();
  pausing.page.hide();
  assert.equal(pausing.service.state, "suspended");
  pausing.page.thaw();
  await settle();
  assert.equal(pausing.service.state, "suspended", "thawed, but still hidden");
  pausing.page.show();
  await settle();
  assert.equal(pausing.service.state, "connected");
});

test("after disconnect nothing of the page is listened to", async () => {
  const page = new FakePage();
  let listening = 0;
  for (const target of [page.window, page.document]) {
    const { addEventListener, removeEventListener } = target;
    target.addEventListener = (...given) => (listening++, addEventListener.apply(target, given));
    target.removeEventListener = (...given) => (listening--, removeEventListener.apply(target, given));
  }
  const stage = new Stage({ page });
  await stage.connect();
  assert.equal(listening, 7);
  stage.service.disconnect();
  assert.equal(listening, 0);
});

test("where there is no page at all nothing is missing", () => {
  const lifecycle = new PageLifecycle({});
  assert.equal(lifecycle.isOnline, true);
  assert.equal(lifecycle.isHidden, false);
  lifecycle.attach({});
  lifecycle.detach();
  assert.equal(new PageLifecycle().isHidden, false);
});

/** A store like that of a tab. */
class Store extends Map {
  getItem = (key) => this.get(key) ?? null;
  setItem = (key, value) => void this.set(key, value);
  removeItem = (key) => void this.delete(key);
}

test("with a storage a page that is loaded again goes on with its session", async () => {
  const storage = new Store();
  const stage = new Stage({ storage });
  await stage.connect({ subscriptions: ["patient:1"] });
  stage.server.publish("patient:1", { n: 1 });
  assert.equal(storage.size, 0, "a tab that is duplicated now must not find it");
  stage.page.putAway(false);
  stage.server.socket.hangUp(1001);
  assert.deepEqual([...storage.keys()], [`wsserver.sessions.session:${URL_OF_TESTS}:dr1`]);

  stage.server.publish("patient:1", { n: 2 });
  const loaded = new Stage({ storage, WebSocket: stage.server.Socket });
  await loaded.connect({ subscriptions: ["patient:1"] });
  assert.deepEqual(stage.server.hello.session, { id: "secret1", cursor: { k1d: 1 } });
  assert.deepEqual(loaded.messages, [2]);
  assert.equal(storage.size, 0);
});

test("what a page from the cache has stored is taken back when it is there again", async () => {
  const storage = new Store();
  const stage = new Stage({ storage });
  await stage.connect();
  stage.page.putAway();
  assert.equal(storage.size, 1);
  stage.page.bringBack();
  await settle();
  assert.equal(storage.size, 0);
  stage.page.putAway();
  stage.service.disconnect();
  assert.equal(storage.size, 0);
});

test("a storage that fails, or holds something else, is told and does no harm", async () => {
  const broken = {
    getItem: () => {
      throw new Error("denied");
    },
    setItem: () => {
      throw new Error("full");
    },
    removeItem: () => {
      throw new Error("denied");
    },
  };
  const stage = new Stage({ storage: broken });
  await stage.connect();
  stage.page.putAway(false);
  stage.service.disconnect();
  assert.ok(stage.of("error").every(({ code }) => code === "storage_failed"));
  assert.ok(stage.of("error").length >= 3);
  for (const text of ["{", "3", '{"id":3}', '{"id":"x","cursor":{"a":"b"}}', '{"id":"x","cursor":null}']) {
    const storage = new Store([[`wsserver.sessions.session:${URL_OF_TESTS}:dr1`, text]]);
    const odd = new Stage({ storage });
    await odd.connect();
    assert.equal(odd.server.hello.session, undefined, text);
  }
});

test("without a storage nothing leaves the memory", async () => {
  const stage = new Stage();
  await stage.connect();
  stage.page.putAway(false);
  stage.page.freeze();
  assert.equal(stage.service.state, "suspended");
});
