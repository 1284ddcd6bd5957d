/**
 * So many real clients in one process, each a user of its own, for test_return_spread.py.
 *
 * Arguments: client's index.js, address, how many, secret, options as JSON. Tells `in` when all are in, and when all
 * are back a JSON object: `waits` (milliseconds before each one's first attempt), `advised` (how many were the server's),
 * `slots` (what the server told each), `more` (attempts after the first).
 */
import { createHmac } from "node:crypto";

const [, , source, address, many, secret, options] = process.argv;
const { WebSocketReconnectService } = await import(source);

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function token(user) {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: user, role: "doctor", exp, patients: ["123"] })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

const told = { waits: [], advised: 0, slots: [], more: 0 };
let back = 0;

async function enter(number) {
  const user = `u${number}`;
  const service = new WebSocketReconnectService({
    getToken: () => token(user),
    connectionTimeout: 60_000,
    heartbeatInterval: 0,
    ...JSON.parse(options),
  });
  service.on("reconnecting", ({ attempt, delay, advised }) => {
    if (attempt > 1) told.more += 1;
    else told.waits.push(delay);
    if (advised) told.advised += 1;
  });
  service.on("server_shutdown", ({ reconnectInMs }) => told.slots.push(reconnectInMs));
  service.on("reconnected", () => {
    back += 1;
    if (back === Number(many)) {
      console.log(JSON.stringify(told));
      process.exit(0);
    }
  });
  await service.connect(address, { userId: user, subscriptions: ["patient:123"] });
}

// Not all at once: this is not what is looked at.
for (let begun = 0; begun < Number(many); begun += 50) {
  await Promise.all(Array.from({ length: 50 }, (_, n) => enter(begun + n)));
}
console.log("in");
