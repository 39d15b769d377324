// The disk under the program's log is full while PostgreSQL, which is elsewhere, goes away and comes back.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { Postgres } from '../cluster/stores.mjs';
import { Cloakroom, folder } from '../lib/cloakroom.mjs';
import { smallDisk } from '../lib/disk.mjs';
import { until, wait } from '../lib/process.mjs';

const MAY_MOUNT = process.getuid() === 0 ? false : 'only root may mount a small disk';

/** R25: what cannot be logged changes no answer, kills no task, and all goes on by itself once there is room. */
test('a full disk under the log changes no answer and kills no background task', { skip: MAY_MOUNT }, async (t) => {
  const dir = folder();
  const disk = await smallDisk(path.join(dir, 'disk'), 'size=1m,mode=700');
  let server;
  let postgres;
  t.after(async () => {
    await server?.stop('SIGKILL');
    await postgres?.stop('SIGQUIT');
    await disk.remove();
    fs.rmSync(dir, { recursive: true });
  });
  fs.chmodSync(dir, 0o755);
  postgres = await Postgres.start(dir);
  const log = path.join(disk.dir, 'log');
  // One writer of the log, as with a service manager that appends to a file.
  const prefix = ['sh', '-c', `exec "$@" 2>>${log}`, 'sh'];
  const top = `store.accounts = "${postgres.url}"\nstore.sessions = "${postgres.url}"\n`;
  server = await Cloakroom.start(undefined, { dir, dataDir: path.join(dir, 'data'), top, prefix, env: { CLOAKROOM_SECRET: randomBytes(32).toString('base64') } });
  await server.register('ada');
  await server.signIn('ada');
  // The page of the log's own file has room yet.
  disk.fill();
  const file = fs.openSync(log, 'a');
  assert.throws(() => { for (;;) fs.writeSync(file, '.'.repeat(63) + '\n'); }, { code: 'ENOSPC' });
  fs.closeSync(file);
  const full = fs.statSync(log).size;

  await postgres.stop('SIGQUIT');
  for (let n = 0; n < 6; n += 1) {
    const answer = await server.login('ada');
    assert.deepEqual([answer.status, answer.json.code], [503, 'store_unavailable'], answer.text);
    const ready = await server.ask('GET', '/readyz');
    assert.equal(ready.status, 200, 'another server would be no better off');
    assert.match(ready.text, /^ready\nshared: store both: /);
    await wait(500);
  }
  await postgres.start();
  await until('it serves again', async () => (await server.login('ada')).status === 200);
  assert.ok(fs.statSync(log).size <= full, 'nothing could be logged');

  disk.free();
  const metrics = async (name) => {
    const { text } = await server.ask('GET', '/metrics');
    const lines = text.split('\n').filter((line) => line.startsWith(name));
    return lines.map((line) => Number(line.slice(line.lastIndexOf(' '))));
  };
  const signIns = async () => JSON.parse((await server.command('audit', 'list', '--kind', 'signed_in', '--json')).output).events.length;
  const before = await signIns();
  await server.signIn('ada');
  await until('the audit log is written', async () => (await signIns()) > before);
  // Nobody asks for it: the task that follows the log of what has ended does its work.
  await wait(1000);
  assert.ok((await metrics('cloakroom_lease_age_seconds'))[0] < 2);
  const deaths = await metrics('cloakroom_task_deaths_total');
  assert.ok(deaths.length > 5 && deaths.every((times) => times === 0), `${deaths}`);
  assert.ok((await metrics('cloakroom_log_lines_lost_total'))[0] > 0);
  assert.deepEqual((await server.ask('GET', '/readyz')).text, 'ready\n');
  // The next line says what is missing.
  assert.equal((await server.login('nobody')).status, 401);
  await until('the log says what it lacks', () => /lines of this log could not be written/.test(fs.readFileSync(log, 'utf8')));
  assert.equal((await server.stop()).code, 0);
});
