// A disk that is full, a disk that may not be written, a row that is damaged.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { Cloakroom, credential, folder } from '../lib/cloakroom.mjs';
import { smallDisk } from '../lib/disk.mjs';
import { must, until } from '../lib/process.mjs';

const MAY_MOUNT = process.getuid() === 0 ? false : 'only root may mount a small disk';

/** A file system in memory of this size; unmounted, and its server ended, when the test is over. */
async function serveOnSmallDisk(t, size) {
  let server;
  const at = path.join(folder(), 'disk');
  t.after(async () => {
    await server?.stop('SIGKILL');
    await must('umount', [at]);
    fs.rmSync(path.dirname(at), { recursive: true });
  });
  const disk = await smallDisk(at, `size=${size},mode=700`);
  server = await Cloakroom.start(undefined, { dir: at, dataDir: path.join(at, 'data') });
  return { disk, server };
}

const acting = (server, who) => ({ headers: [...credential(who), ['Origin', `http://localhost:${server.port}`]] });

test('a full disk: what was acknowledged holds, what cannot be written is refused, and room heals it', { skip: MAY_MOUNT }, async (t) => {
  const { disk, server } = await serveOnSmallDisk(t, '3m');
  await server.register('ada');
  const web = await server.signIn('ada', 'web');
  const api = await server.signIn('ada', 'api');
  const held = [web, api];
  disk.fill();

  // The file that is there may have a little room left in it.
  let refused;
  for (let at = 0; at < 200 && !refused; at += 1) {
    const answer = await server.login('ada', 'web');
    if (answer.status === 200) held.push({ account: answer.json.account.id, session: answer.json.session.id, cookie: answer.cookies[0] });
    else refused = answer;
  }
  assert.equal(refused?.status, 503, refused?.text);
  assert.equal(refused.json.code, 'store_unavailable');
  assert.equal(refused.headers['set-cookie'], undefined, 'nothing is handed out that is not kept');
  const logout = await server.ask('POST', '/v1/logout', acting(server, web));
  assert.ok([204, 503].includes(logout.status), logout.text);
  if (logout.status === 204) held.shift();
  for (const who of held) assert.equal((await server.verify(who)).status, 200, 'reading goes on');
  assert.match(server.output, /disk|full|space/i, 'the operator is told');
  // R29: the store is this server's own, so that another one would be better off.
  const ready = await server.ask('GET', '/readyz');
  assert.deepEqual([ready.status, ready.text], [503, 'not ready\nown: disk both: nothing can be written to it: it is full, or may only be read\n']);

  disk.free();
  await until('room heals it', async () => (await server.login('ada', 'web')).status === 200);
  for (const who of held) assert.equal((await server.verify(who)).status, 200);
  await until('it is ready again', async () => (await server.ask('GET', '/readyz')).status === 200);
  await server.stop('SIGKILL');
  await server.start();
  for (const who of held) assert.equal((await server.verify(who)).status, 200, 'after a restart');
  await server.stop();
});

test('a start on a full disk either serves what is there or says that the disk is full', { skip: MAY_MOUNT }, async (t) => {
  const { disk, server } = await serveOnSmallDisk(t, '3m');
  await server.register('ada');
  const ada = await server.signIn('ada');
  await server.stop('SIGKILL');
  disk.fill();
  const program = server.launch();
  const live = until('live', async () => (await server.ask('GET', '/healthz').catch(() => ({}))).status === 200);
  const ended = await Promise.race([program.ended, live.then(() => undefined)]);
  if (ended) {
    assert.equal(ended.code, 1);
    assert.match(server.output, /full|space/i);
  } else {
    assert.equal((await server.verify(ada)).status, 200);
    await until('it says that the disk is full', async () => {
      const ready = await server.ask('GET', '/readyz');
      return ready.status === 503 && /own: disk both: .*full/.test(ready.text);
    });
    await server.stop('SIGKILL');
  }
  disk.free();
  await server.start();
  assert.equal((await server.verify(ada)).status, 200);
  await server.stop();
});

test('a data directory that may not be written is told at the start', { skip: MAY_MOUNT }, async (t) => {
  const { disk, server } = await serveOnSmallDisk(t, '3m');
  await server.register('ada');
  const ada = await server.signIn('ada');
  await server.stop();
  await must('mount', ['-o', 'remount,ro', disk.dir]);
  const { code } = await server.launch().ended;
  assert.equal(code, 1, server.output);
  assert.match(server.output, /read-only|written|writable/i);
  assert.ok(server.output.includes(server.dataDir), `it says which: ${server.output}`);
  await must('mount', ['-o', 'remount,rw', disk.dir]);
  await server.start();
  assert.equal((await server.verify(ada)).status, 200);
  await server.stop();
});

test('a damaged record counts as none, and harms nobody else', async (t) => {
  const server = await Cloakroom.start(t);
  await server.register('ada');
  const [ada, other] = [await server.signIn('ada'), await server.signIn('ada')];
  const api = await server.signIn('ada', 'api');
  await server.stop();
  const file = path.join(server.dataDir, 'cloakroom.db');
  const damage = async (session, record) => {
    const id = Buffer.from(session, 'base64url').toString('hex');
    const where = `WHERE hex(sid) = upper('${id}')`;
    const changed = await must('sqlite3', [file, `UPDATE sessions SET record = ${record} ${where}; SELECT changes();`]);
    assert.equal(changed.trim(), '1');
  };
  await damage(ada.session, `x'${'ff'.repeat(40)}'`);
  await damage(api.session, "x''");
  await server.start();
  const answer = await server.verify(ada);
  assert.deepEqual([answer.status, answer.json.code], [401, 'session_expired']);
  const refresh = await server.ask('POST', '/v1/refresh', { body: { refresh_token: api.refresh_token } });
  assert.deepEqual([refresh.status, refresh.json.code], [401, 'session_expired']);
  assert.ok(server.output.includes(ada.session), 'the log names it');
  assert.equal((await server.verify(other)).status, 200);
  assert.equal((await server.login('ada')).status, 200);
  const devices = await server.ask('GET', '/v1/sessions', { headers: credential(other) });
  assert.equal(devices.status, 200, devices.text);
  await server.stop();
});

test('a database that is none is told at the start', async (t) => {
  const server = await Cloakroom.start(t);
  await server.stop();
  const file = path.join(server.dataDir, 'cloakroom.db');
  fs.rmSync(`${file}-wal`, { force: true });
  fs.rmSync(`${file}-shm`, { force: true });
  fs.writeFileSync(file, Buffer.alloc(8192, 0x41));
  const { code } = await server.launch().ended;
  assert.equal(code, 1, server.output);
  assert.match(server.output, /cloakroom\.db is not a sound SQLite database/);
});
