import assert from "node:assert/strict";
import { test } from "node:test";

import { BINARY_PROTOCOL, JSON_PROTOCOL, loadCodec } from "../../wsserver/client/js/codec.js";
import { frame, hex } from "./frames.js";
import { vectorsOf } from "./golden-vectors.js";
import { Stage, settle } from "./stage.js";

const SAMPLES = vectorsOf("envelopes.json").find(
  ({ envelope }) => envelope?.kind === 2 && envelope.samples.type === "int16",
);

/** A binary stage whose server says `connected` as text, which a binary socket may carry too. */
async function binary(config) {
  const stage = new Stage({ codec: "binary", ...config });
  stage.server.onDial = (socket) => socket.open(BINARY_PROTOCOL);
  await stage.begin({ subscriptions: ["patient:123"] });
  return stage;
}

test("json offers json; binary and auto offer binary first", async () => {
  assert.deepEqual((await loadCodec("json")).protocols, [JSON_PROTOCOL]);
  for (const name of ["binary", "auto"])
    assert.deepEqual((await loadCodec(name)).protocols, [BINARY_PROTOCOL, JSON_PROTOCOL]);
});

test("a binary socket is asked for array buffers, and commands go as text", async () => {
  const stage = await binary();
  assert.equal(stage.outcome, "connected");
  assert.deepEqual(stage.server.socket.protocols, [BINARY_PROTOCOL, JSON_PROTOCOL]);
  assert.equal(stage.server.socket.binaryType, "arraybuffer");
  assert.equal(stage.server.hello.type, "connect");
});

test("messages have the same names in both encodings", async () => {
  const stage = await binary();
  stage.server.socket.say(frame());
  const { data, seq, log, topic, id } = stage.last("message");
  assert.deepEqual({ seq, log, topic, id }, { seq: 42, log: "k", topic: "patient:123", id: "m_1" });
  assert.deepEqual(data, {
    _meta: { id: "m_1", topic: "patient:123", log: "k", seq: 42, ts: "2026-01-01T00:00:00.123Z" },
    n: 1,
  });
  stage.server.socket.say(frame());
  assert.equal(stage.service.getMetrics().duplicates, 1);
});

test("samples come as a typed array", async () => {
  const stage = await binary();
  stage.server.socket.say(hex(SAMPLES.hex).buffer);
  const { data } = stage.last("message");
  assert.ok(Object.values(data).some((value) => value instanceof Int16Array));
});

test("control frames come in binary too", async () => {
  const stage = await binary();
  const { socket } = stage.server;
  // {"type": "pong", "t": 5, "cursor": {"k1d": 9}}
  const body = hex("83 a4 74797065 a4 706f6e67 a1 74 05 a6 637572736f72 81 a3 6b3164 09");
  socket.say(frame({ kind: 3, body }));
  socket.hangUp(1006);
  await stage.clock.advance(1000);
  assert.deepEqual(stage.server.hello.session.cursor, { k1d: 9 });
});

test("a frame that is not what it says is told, and the connection given up", async () => {
  for (const data of [frame({ magic: 0 }), new ArrayBuffer(3), frame({ kind: 9 })]) {
    const stage = await binary();
    stage.server.socket.say(data);
    assert.deepEqual(
      stage.of("error").map(({ code }) => code),
      ["bad_frame"],
    );
    assert.equal(stage.service.state, "reconnecting");
  }
});

test("where the server has no binary frames it is JSON", async () => {
  const stage = new Stage({ codec: "auto" });
  const socket = await stage.connect({ subscriptions: ["patient:1"] });
  assert.equal(socket.protocol, JSON_PROTOCOL);
  stage.server.publish("patient:1", { n: 1 });
  await settle();
  assert.deepEqual(stage.messages, [1]);
});
