// The ws package of Node.js, with the broadcast of its documentation: send() of the same buffer to every client.
// It is told what to send by lines on its standard input, as the peers in Python are; see control.py.

import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { setImmediate } from 'node:timers/promises';

// The package lies where it was installed: the first argument names that directory.
const { WebSocket, WebSocketServer } = createRequire(`${process.argv[2]}/`)('ws');

const options = { host: '127.0.0.1', port: 0, backlog: 4096, perMessageDeflate: false };
const server = new WebSocketServer(options, () => console.log(server.address().port));
const subscribers = new Set();

server.on('connection', (client) => {
  client.on('error', () => {});
  client.on('close', () => subscribers.delete(client));
  client.on('message', () => {
    subscribers.add(client);
    client.send('{"type":"subscription_confirmed"}');
  });
  client.send('{"type":"connected"}');
});

function broadcast(text) {
  const data = Buffer.from(text);
  for (const client of subscribers) {
    if (client.readyState === WebSocket.OPEN) {
      client.send(data, { binary: false });
    }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [, first, count, joined, text] = /^(\d+) (\d+) (\d+) (.*)$/.exec(line);
  const end = Number(first) + Number(count);
  const before = process.cpuUsage();
  for (let number = Number(first); number < end; number += Number(joined)) {
    for (let each = number; each < Math.min(number + Number(joined), end); each++) {
      broadcast(text.replace('%d', each));
    }
    await setImmediate();
  }
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / 1e6);
}
process.exit();
