// What keeps a server from starting is said with its remedy; what ends it loses nothing.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';

import { Cloakroom, credential } from '../lib/cloakroom.mjs';
import { wait } from '../lib/process.mjs';

const secretOf = (server) => path.join(server.dataDir, 'master.secret');

test("a master secret that others can read is refused, with its remedy", async (t) => {
  const server = await Cloakroom.start(t);
  await server.stop();
  for (const mode of [0o644, 0o640, 0o666, 0o604]) {
    fs.chmodSync(secretOf(server), mode);
    const { code } = await server.launch().ended;
    assert.equal(code, 2, server.output);
    assert.ok(server.output.includes(`chmod 600 ${secretOf(server)}`), server.output);
  }
  fs.chmodSync(secretOf(server), 0o600);
  await server.start();
  await server.stop();
});

test('a second server on the same data directory is refused, and the first one goes on', async (t) => {
  const first = await Cloakroom.start(t);
  await first.register('ada');
  const ada = await first.signIn('ada');
  const second = await Cloakroom.prepare(t, { dataDir: first.dataDir });
  const { code } = await second.launch().ended;
  assert.equal(code, 1, second.output);
  assert.match(second.output, /is in use by another server/);
  assert.ok(second.output.includes(first.dataDir), second.output);
  assert.ok(second.output.includes(String(first.program.child.pid)), 'it says by which process');
  assert.equal((await first.verify(ada)).status, 200);
  await first.stop();
  await second.start();
  assert.equal((await second.verify(ada)).status, 200, 'one after the other is fine');
});

test('a wrong master secret is recognised at the start', async (t) => {
  const server = await Cloakroom.start(t);
  await server.register('ada');
  const ada = await server.signIn('ada');
  await server.stop();
  const right = fs.readFileSync(secretOf(server));
  fs.writeFileSync(secretOf(server), randomBytes(32).toString('base64'));
  const { code } = await server.launch().ended;
  assert.equal(code, 1, server.output);
  assert.match(server.output, /master secret/);
  assert.ok(!server.output.includes(right.toString().trim()));
  fs.rmSync(secretOf(server));
  assert.equal((await server.launch().ended).code, 1, 'a lost one is not made anew over keys that it cannot open');
  assert.match(server.output, /master secret/);
  fs.writeFileSync(secretOf(server), right, { mode: 0o600 });
  await server.start();
  assert.equal((await server.verify(ada)).status, 200);
});

test('SIGTERM: what is in flight is answered, and what waits is written', async (t) => {
  const apps = '[[app]]\nid = "web"\nmethod = "session"\nidle_timeout = "32s"\n';
  const server = await Cloakroom.start(t, { apps, memory: 14_336 });
  await server.register('ada');
  const ada = await server.signIn('ada');
  await wait(2200);
  assert.equal((await server.verify(ada)).status, 200, 'its use waits to be written');
  // Two logins on connections that the server knows already, at the middle of their hashing.
  const agents = [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  t.after(() => agents.forEach((agent) => agent.destroy()));
  const logins = () => Promise.all(agents.map((agent) => server.login('ada', 'web', { agent })));
  const began = Date.now();
  await logins();
  const length = Date.now() - began;
  const inFlight = logins();
  await wait(length / 2);
  const ended = await server.stop('SIGTERM');
  assert.deepEqual(ended, { code: 0, signal: null }, server.output);
  const answers = await inFlight;
  for (const answer of answers) assert.equal(answer.status, 200, answer.text);
  await assert.rejects(server.verify(ada), 'nobody serves any more');
  await server.start();
  for (const answer of answers) {
    assert.equal((await server.verify({ cookie: answer.cookies[0] })).status, 200);
  }
  const headers = [...credential({ cookie: answers[0].cookies[0] }), ['X-Cloakroom-Passive', '1']];
  const { sessions } = (await server.ask('GET', '/v1/sessions', { headers })).json;
  const { created_at, last_active_at } = sessions.find((session) => session.id === ada.session);
  assert.ok(Date.parse(last_active_at) - Date.parse(created_at) >= 1000, `${created_at} ${last_active_at}`);
});
