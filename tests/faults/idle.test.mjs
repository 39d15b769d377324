// Ten thousand connections that rest, on a server that was started under a limit of 1,024 open files.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import test from 'node:test';

import { Cloakroom } from '../lib/cloakroom.mjs';

const COUNT = 10_000;
const AT_ONCE = 250;
const QUESTION = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** Asks on a connection that stays open. */
async function ask(socket) {
  socket.write(QUESTION);
  const [answer] = await once(socket, 'data');
  assert.match(String(answer), /^HTTP\/1\.1 200 /);
}

async function open(port) {
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  await ask(socket);
  return socket;
}

test('F133: ten thousand idle connections hold nobody up, whatever limit the server was started under', async (t) => {
  const hard = Number(/Max open files +\S+ +(\S+)/.exec(fs.readFileSync('/proc/self/limits', 'utf8'))[1].replace('unlimited', '1e9'));
  assert.ok(hard >= COUNT + 500, `this test needs ${COUNT + 500} open files a process (ulimit -Hn); here are ${hard}`);
  const server = await Cloakroom.start(t, { prefix: ['sh', '-c', 'ulimit -Sn 1024 && exec "$@"', 'sh'] });
  await server.register('ada');

  const idle = [];
  t.after(() => idle.forEach((socket) => socket.destroy()));
  while (idle.length < COUNT) {
    idle.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => open(server.port)))));
  }
  const ada = await server.signIn('ada');
  for (let n = 0; n < 20; n++) assert.equal((await server.verify(ada)).status, 200);
  // Those that rested are still there.
  for (const socket of idle.filter((_, n) => n % 500 === 0)) await ask(socket);
  assert.equal(idle.length, COUNT);
});
