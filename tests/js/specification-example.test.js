/** The class ECGMonitorService of the specification, run as it stands there. */
import assert from "node:assert/strict";
import { registerHooks } from "node:module";
import { test } from "node:test";

import { FakeServer } from "./fake-server.js";
import { settle } from "./hand-clock.js";

const EXAMPLE = new URL("typed/specification-example.ts", import.meta.url).href;
const SERVICE = new URL("../../wsserver/client/js/websocket-reconnect.service.js", import.meta.url).href;

registerHooks({
  // What bundlers do: a name without an ending.
  resolve: (specifier, context, next) =>
    specifier === "./websocket-reconnect.service" ? { url: SERVICE, shortCircuit: true } : next(specifier, context),
  // The example does not export its class.
  load(url, context, next) {
    const loaded = next(url, context);
    return url === EXAMPLE ? { ...loaded, source: `${loaded.source}\nexport { ECGMonitorService };` } : loaded;
  },
});

const { ECGMonitorService } = await import(EXAMPLE);
const { WebSocketReconnectService } = await import(SERVICE);

test("it connects, subscribes, shows what arrives as text, and disconnects", async (t) => {
  const server = new FakeServer();
  const lines = [];
  const alerts = [];
  WebSocketReconnectService.defaults = { WebSocket: server.Socket, getToken: () => "token of the sign-in" };
  globalThis.document = {
    getElementById: () => ({ appendChild: (element) => alerts.push(element) }),
    createElement: () => ({}),
  };
  t.after(() => {
    WebSocketReconnectService.defaults = {};
    delete globalThis.document;
  });
  t.mock.method(console, "log", (...line) => lines.push(line));

  const monitor = new ECGMonitorService();
  const socket = await monitor.connect("user123", "doctor", 123);
  assert.equal(socket.readyState, 1);
  assert.deepEqual(server.hello, {
    type: "connect",
    token: "token of the sign-in",
    user_id: "user123",
    role: "doctor",
    patient_id: "123",
    subscriptions: ["patient:123", "type:ecg", "type:alerts"],
  });
  assert.deepEqual(
    server.socket.said("subscribe").map(({ topic, filters }) => [topic, filters]),
    [["patient:123", { data_type: "ecg", severity: ["normal", "warning", "critical"] }]],
  );

  server.publish("patient:123", { type: "ecg_data", data: [1, 2] });
  server.publish("*", { type: "system_alert", severity: "warning", message: "<img src=x>" });
  assert.deepEqual(alerts, [{ className: "alert alert-warning", textContent: "<img src=x>" }]);
  assert.ok(!lines.some(([text]) => text.startsWith("Unknown")), "control frames are no messages");
  assert.ok(lines.some(([text]) => text === "WebSocket connected:"));
  assert.equal(monitor.getMetrics().state, "connected");

  monitor.disconnect();
  await settle();
  assert.equal(server.socket.closed.code, 1000);
  assert.ok(lines.some(([text]) => text === "WebSocket disconnected:"));
});

test("it tells the caller when the connection is refused", async (t) => {
  const server = new FakeServer();
  WebSocketReconnectService.defaults = { WebSocket: server.Socket, getToken: () => "token" };
  t.after(() => (WebSocketReconnectService.defaults = {}));
  const errors = t.mock.method(console, "error", () => {});
  t.mock.method(console, "log", () => {});
  server.answers.connect = (socket) => void socket.hangUp(4511, { code: 1001, name: "authentication_failed" });
  await assert.rejects(new ECGMonitorService().connect("user123", "doctor"), { code: 1001, closeCode: 4511 });
  assert.equal(errors.mock.callCount(), 1);
});
