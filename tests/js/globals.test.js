/** With what the platform gives: its timers, its clock, its WebSocket. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { WebSocketReconnectService } from "../../wsserver/client/js/index.js";
import { FakeServer } from "./fake-server.js";
import { URL_OF_TESTS, settle } from "./stage.js";

test("the global timers are used as they are when they are needed", async (t) => {
  const server = new FakeServer();
  const service = new WebSocketReconnectService({ WebSocket: server.Socket, getToken: () => "t", jitterFactor: 0 });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  await service.connect(URL_OF_TESTS, { userId: "dr1" });
  server.socket.hangUp(1006);
  t.mock.timers.tick(999);
  await settle();
  assert.equal(server.sockets.length, 1);
  t.mock.timers.tick(1);
  await settle();
  assert.equal(service.state, "connected");
  service.disconnect();
});

test("the global WebSocket is used, and its absence is told", async () => {
  const { WebSocket } = globalThis;
  const server = new FakeServer();
  try {
    globalThis.WebSocket = server.Socket;
    const service = new WebSocketReconnectService({ getToken: () => "t" });
    const socket = await service.connect(URL_OF_TESTS, { userId: "dr1" });
    assert.equal(socket.readyState, 1);
    service.disconnect();
    delete globalThis.WebSocket;
    await assert.rejects(
      new WebSocketReconnectService({ getToken: () => "t" }).connect(URL_OF_TESTS, { userId: "dr1" }),
      {
        code: "cannot_dial",
      cause: new TypeError("there is no WebSocket here: pass a class as option WebSocket"),
      },
    );
  } finally {
    globalThis.WebSocket = WebSocket;
  }
});

test("an address without a host is that of the page", async () => {
  const server = new FakeServer();
  globalThis.location = { href: "https://ward.example/app/index.html" };
  try {
    const service = new WebSocketReconnectService({ WebSocket: server.Socket, getToken: () => "t" });
    await service.connect("/ws/connect", { userId: "dr1" });
    assert.equal(server.socket.url, "wss://ward.example/ws/connect");
    service.disconnect();
  } finally {
    delete globalThis.location;
  }
});

test("sockets that throw on a late close code, or have no error handler of their own, do no harm", async () => {
  const server = new FakeServer();
  class Picky extends server.Socket {
    close(code) {
      if (code !== undefined) throw new Error("no codes here");
      super.close();
      assert.equal(typeof this.onerror, "function");
      this.onerror(new Error("closed before it was open"));
    }
  }
  const service = new WebSocketReconnectService({ WebSocket: Picky, getToken: () => "t" });
  await service.connect(URL_OF_TESTS, { userId: "dr1" });
  service.disconnect();
  assert.equal(server.socket.readyState, 3);
});
