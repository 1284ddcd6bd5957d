/** A thousand clients lose their server in one moment. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { WebSocketReconnectService } from "../../wsserver/client/js/index.js";
import { Dice } from "./dice.js";
import { FakeServer } from "./fake-server.js";
import { HandClock, settle } from "./hand-clock.js";
import { URL_OF_TESTS } from "./stage.js";

const CLIENTS = 1000;

/** When each of them dials first, in milliseconds after a restart, in order. */
async function returns(config) {
  const server = new FakeServer();
  const clock = new HandClock();
  const dice = new Dice(11);
  const random = () => dice.below(2 ** 32) / 2 ** 32;
  const services = Array.from({ length: CLIENTS }, () => {
    const { timers, now } = clock;
    return new WebSocketReconnectService({ WebSocket: server.Socket, timers, now, random, getToken: () => "t", ...config });
  });
  await Promise.all(services.map((service) => service.connect(URL_OF_TESTS, { userId: "dr1" })));
  const dialled = [];
  server.onDial = (socket) => {
    dialled.push(clock.now() - cut);
    socket.open();
  };
  const cut = clock.now();
  for (const socket of [...server.sockets]) socket.hangUp(1006);
  server.restart();
  await clock.advance(2000);
  assert.ok(services.every((service) => service.state === "connected"));
  for (const service of services) service.disconnect();
  await settle();
  return dialled;
}

/** The most that come within any window of so many milliseconds. */
function densest(times, width) {
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + width).length));
}

for (const [config, from, to] of [
  [{}, 900, 1100],
  [{ jitterMode: "full" }, 500, 1500],
])
  test(`a thousand clients spread their first retries (${JSON.stringify(config)})`, async () => {
    const times = await returns(config);
    assert.equal(times.length, CLIENTS);
    assert.ok(times[0] >= from && times.at(-1) <= to, `${times[0]} to ${times.at(-1)}`);
    // Spread evenly a tenth of the time has a tenth of them: 100, give or take 30 of chance.
    const tenth = (to - from) / 10;
    assert.ok(densest(times, tenth) < 150, `${densest(times, tenth)} in ${tenth} ms`);
    for (let at = from; at < to; at += tenth) assert.ok(times.some((time) => time >= at && time < at + tenth));
  });
