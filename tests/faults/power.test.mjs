// Power can fail at any moment: what an answer promises must be on the disk before the answer leaves. A trace of the server's
// system calls shows in which order the two happen.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { Cloakroom, PASSWORD, folder } from '../lib/cloakroom.mjs';
import { wait } from '../lib/process.mjs';

const APP = '[[app]]\nid = "api"\nmethod = "jwt"\nrefresh_grace = "1s"\n';
/** -D: what is started is the server itself; -y: names of files instead of numbers. */
const STRACE = ['strace', '-D', '-f', '-y', '-s', '64', '-e', 'trace=read,recvfrom,write,writev,sendto,sendmsg,fsync,fdatasync'];

/** Whether the database's log was synced, and had answered, between a request and its answer. */
function synced(trace, request) {
  const lines = fs.readFileSync(trace, 'utf8').split('\n');
  const begin = lines.findLastIndex((line) => line.includes(`"${request}`));
  assert.ok(begin >= 0, `no ${request} in the trace`);
  const length = lines.slice(begin).findIndex((line) => /(write|writev|sendto|sendmsg)\(.*"HTTP\/1\.1 20/.test(line));
  assert.ok(length > 0, `no answer to ${request} in the trace`);
  const between = lines.slice(begin, begin + length);
  const asked = new Set();
  for (const line of between) {
    const thread = line.split(' ')[0];
    if (/f(data)?sync\(\d+<[^>]*cloakroom\.db(-wal)?>\)? *= 0/.test(line)) return true;
    if (/f(data)?sync\(\d+<[^>]*cloakroom\.db(-wal)?> <unfinished/.test(line)) asked.add(thread);
    if (asked.has(thread) && /<\.\.\. f(data)?sync resumed>.*= 0/.test(line)) return true;
  }
  return false;
}

test('an answer leaves after the sync to the disk', async (t) => {
  const dir = folder(t);
  const trace = path.join(dir, 'trace');
  const server = await Cloakroom.start(t, { dir, apps: APP, prefix: [...STRACE, '-o', trace] });
  const post = async (at, body, token) => {
    const response = await fetch(`http://localhost:${server.port}${at}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${at}: ${response.status} ${text}`);
    // The tracer writes what it saw a moment later.
    await wait(300);
    return text && JSON.parse(text);
  };
  const email = 'ada@example.com';
  await post('/v1/accounts', { email, password: PASSWORD });
  assert.ok(synced(trace, 'POST /v1/accounts'), 'a registration');
  const login = await post('/v1/login', { email, password: PASSWORD });
  assert.ok(synced(trace, 'POST /v1/login'), 'a login');
  // Past the grace period of its birth, the token is rotated.
  await wait(1200);
  const renewed = await post('/v1/refresh', { refresh_token: login.refresh_token });
  assert.notEqual(renewed.refresh_token, login.refresh_token);
  assert.ok(synced(trace, 'POST /v1/refresh'), 'a rotation');
  // What writes nothing waits for no disk: so the trace tells the two apart.
  await post('/v1/verify', {}, renewed.access_token);
  assert.ok(!synced(trace, 'POST /v1/verify'), 'a verification');
  await post('/v1/logout', {}, renewed.access_token);
  assert.ok(synced(trace, 'POST /v1/logout'), 'an end');
});
