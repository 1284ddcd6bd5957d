import assert from "node:assert/strict";
import { test } from "node:test";

import { isFrame } from "../../wsserver/client/js/frame-shape.js";
import { Stage, settle } from "./stage.js";

const META = { id: "m_1", topic: "patient:1", log: "k1d", seq: 7, ts: "2026-01-01T00:00:00.000Z" };
const CONNECTED = {
  type: "connected",
  connection_id: "c_1",
  session_id: "secret",
  user_id: "dr1",
  role: "doctor",
  protocol: "wsserver.v1.json",
  cursor: { k1d: 3 },
  subscriptions: [{ subscription_id: "s_1", subscription_type: "patient", target_id: "1", filters: {} }],
  errors: [{ code: 1011, name: "permission_denied", message: "Not allowed.", topic: "patient:2" }],
};
const GAP = { type: "gap", log: "k1d", topic: "patient:1", from: 1, to: 3, count: 2, reason: "slow" };

/** What a server may say, by what it is. */
const RIGHT = {
  message: { _meta: META, type: "pong", cursor: "a publisher's own" },
  "message at 2^53": { _meta: { ...META, seq: 2 ** 53 } },
  connected: CONNECTED,
  "connected again": { ...CONNECTED, session: { resumed: true, replayed: 3, gaps: [GAP] } },
  pong: { type: "pong", t: 1, cursor: { k1d: 4 } },
  "pong of no log": { type: "pong" },
  gap: GAP,
  "gap without a range": { type: "gap", log: "k1d", topic: "patient:1", reason: "forbidden" },
  error: { type: "error", code: 1010, name: "n", message: "m", request_id: "c1", retry_after_ms: 5, details: {} },
  shutdown: { type: "system_shutdown", message: "m", reconnect_after_ms: 17.5 },
  token: { type: "token_expiring", expires_in: 59.8 },
  expired: { type: "subscription_expired", subscription_type: "patient", target_id: "1" },
  "of a later version": { type: "greeting", anything: [1] },
};

/** What no server says: what it is, and the member that is wrong. */
const WRONG = [
  [{}],
  [{ type: 3 }],
  [{ _meta: null }],
  [{ _meta: [] }],
  ...Object.keys(META)
    .filter((name) => name !== "ts")
    .map((name) => [{ _meta: { ...META, [name]: null } }, name]),
  ...["7", -1, 1.5, NaN, 2 ** 54].map((seq) => [{ _meta: { ...META, seq } }, `seq ${seq}`]),
  ...["__proto__", "constructor"].map((log) => [{ _meta: { ...META, log } }, `log ${log}`]),
  [{ ...CONNECTED, cursor: undefined }, "no cursor"],
  ...[null, [], "k", { k: "3" }, { k: -1 }, { k: null }, JSON.parse('{"__proto__":3}')].map((cursor) => [
    { ...CONNECTED, cursor },
    `cursor ${JSON.stringify(cursor)}`,
  ]),
  ...["connection_id", "session_id", "user_id", "role", "protocol"].map((name) => [{ ...CONNECTED, [name]: {} }, name]),
  ...[{}, [null], [{}], [{ subscription_id: 1, subscription_type: "a", target_id: "b" }]].map((subscriptions) => [
    { ...CONNECTED, subscriptions },
    `subscriptions ${JSON.stringify(subscriptions)}`,
  ]),
  ...[{}, [null], [{ code: 1, topic: 5 }], [{ code: 1, topic: ":1" }]].map((errors) => [
    { ...CONNECTED, errors },
    `errors ${JSON.stringify(errors)}`,
  ]),
  ...["x", { gaps: {} }, { gaps: [null] }, { replayed: "3" }, { replayed: -1 }, { resumed: "no" }].map((session) => [
    { ...CONNECTED, session },
    `session ${JSON.stringify(session)}`,
  ]),
  [{ type: "pong", cursor: { k: "4" } }],
  [{ type: "pong", request_id: ["c1"] }],
  [{ ...GAP, reason: undefined }],
  ...["from", "to", "count"].flatMap((name) => ["1", NaN, -1, {}].map((value) => [{ ...GAP, [name]: value }, name])),
  [{ ...GAP, log: 3 }],
  [{ ...GAP, topic: "" }, "a topic that is none"],
  [{ type: "error", message: "m" }, "no code"],
  [{ type: "error", code: 1010, message: "m", retry_after_ms: "soon" }],
  [{ type: "error", code: 1010, message: {} }],
  [{ type: "system_shutdown", reconnect_after_ms: "soon" }],
  [{ type: "token_expiring" }],
  [{ type: "subscription_expired", subscription_type: "", target_id: "1" }],
  [{ type: "subscription_confirmed", subscription_type: "patient", target_id: 1, subscription_id: "s" }],
];

test("frames of the protocol are known by their shape", () => {
  for (const [name, frame] of Object.entries(RIGHT)) assert.equal(isFrame(frame), true, name);
  for (const [frame, name] of WRONG) assert.equal(isFrame(frame), false, `${name} ${JSON.stringify(frame)}`);
});

test("whatever a server says, the client tells it, comes back, and goes on", async () => {
  // What is no number at all is null in JSON, which is as good as nothing there.
  for (const [frame, name] of WRONG.filter(([frame]) => !isFrame(JSON.parse(JSON.stringify(frame))))) {
    const stage = new Stage({ maxAttempts: 0 });
    await stage.connect({ subscriptions: ["patient:1"] });
    stage.server.publish("patient:1", { n: 1 });
    stage.server.socket.say(frame);
    assert.deepEqual(
      stage.of("error").map(({ code }) => code),
      ["bad_frame"],
      `${name} ${JSON.stringify(frame)}`,
    );
    assert.deepEqual(stage.server.sockets[0].closed, { code: 4000, reason: "a frame that is not understood" });
    stage.server.publish("patient:1", { n: 2 });
    await stage.clock.advance(1000);
    assert.equal(stage.service.state, "connected");
    stage.server.publish("patient:1", { n: 3 });
    assert.deepEqual(stage.messages, [1, 2, 3]);
    stage.service.disconnect();
  }
});

test("a connected of the wrong shape is an attempt that failed", async () => {
  const stage = new Stage({ maxAttempts: 2 });
  stage.server.answers.connect = () => ({ ...CONNECTED, session: { gaps: 3 } });
  await stage.begin();
  await stage.clock.advance(10_000);
  await settle();
  assert.equal(stage.service.state, "failed");
  assert.equal(stage.server.sockets.length, 3);
  assert.equal(stage.outcome.closeCode, 1006);
});
