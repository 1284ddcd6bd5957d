// Times the client's decoder beside JSON.parse: rows of {name, json, frames: {name: hex}} come in, microseconds go out.

import { readFileSync } from "node:fs";

import { decodeEnvelope } from "../../wsserver/client/js/envelope.js";

const ROUNDS = Number(process.argv[2] ?? 30);
const ROUND_MS = 5;

/** Microseconds a call, of the best round: the others were disturbed. */
function timed(call) {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    let calls = 0;
    let took = 0;
    while (took < ROUND_MS) {
      for (let n = 0; n < 20; n++) call();
      calls += 20;
      took = performance.now() - start;
    }
    best = Math.min(best, (took * 1000) / calls);
  }
  return best;
}

const rows = JSON.parse(readFileSync(0, "utf8")).map(({ name, json, frames }) => {
  const times = { "JSON.parse": timed(() => JSON.parse(json)) };
  for (const [form, hex] of Object.entries(frames)) {
    const { buffer } = Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
    times[form] = timed(() => decodeEnvelope(buffer));
  }
  return { name, times };
});
console.log(JSON.stringify({ node: process.version, rows }));
