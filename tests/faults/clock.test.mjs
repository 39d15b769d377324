// A wall clock that jumps by an hour, under a server that runs and over a restart.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Cloakroom, folder } from '../lib/cloakroom.mjs';
import { wallClock } from '../lib/clock.mjs';
import { wait } from '../lib/process.mjs';

/** A server whose wall clock the test sets; the clock that counts from the start of the machine stays true. */
async function start(t) {
  const { set: jump, env } = await wallClock(folder(t));
  const server = await Cloakroom.start(t, { env });
  return { server, jump };
}

/** The server's wall clock differs from the true one by these seconds. */
async function assertAhead(server, seconds) {
  const now = Date.parse((await server.login('ada')).json.session.created_at);
  assert.ok(Math.abs(now - Date.now() - seconds * 1000) < 60_000, `the server believes that it is ${new Date(now).toISOString()}`);
}

async function signInEverywhere(server) {
  const everybody = {};
  for (const app of ['web', 'api', 'edge', 'stateless']) everybody[app] = await server.signIn('ada', app);
  return everybody;
}

/** By ticket it works at once; by token after the renewal that its client does at a refusal. */
async function assertAllLive(server, everybody, what) {
  for (const [app, who] of Object.entries(everybody)) {
    let answer = await server.verify(who);
    if (answer.status === 401 && who.refresh_token) {
      const renewed = await server.ask('POST', '/v1/refresh', { body: { refresh_token: who.refresh_token } });
      assert.equal(renewed.status, 200, `${what}: ${app}: ${renewed.text}`);
      const { access_token, refresh_token } = renewed.json;
      Object.assign(who, { access_token, refresh_token });
      answer = await server.verify(who);
    }
    assert.equal(answer.status, 200, `${what}: ${app}: ${answer.text}`);
    assert.equal(answer.json.session, who.session, `${what}: ${app}`);
  }
}

for (const [name, offset] of [
  ['forward', '+3600'],
  ['back', '-3600'],
]) {
  test(`the clock jumps ${name} by an hour while the server runs: nobody is signed out`, async (t) => {
    const { server, jump } = await start(t);
    await server.register('ada');
    const before = await signInEverywhere(server);
    const ended = await server.signIn('ada');
    const headers = [['Cookie', ended.cookie], ['Origin', `http://localhost:${server.port}`]];
    assert.equal((await server.ask('POST', '/v1/logout', { headers })).status, 204);
    jump(offset);
    await wait(2500);
    assert.equal((await server.ask('GET', '/readyz')).status, 200);
    await assertAhead(server, Number(offset));
    await assertAllLive(server, before, 'after the jump');
    const after = await signInEverywhere(server);
    await assertAllLive(server, after, 'begun after the jump');
    assert.equal((await server.verify(ended)).status, 401, 'what ended stays ended');
    jump('+0');
    await wait(2500);
    await assertAllLive(server, before, 'when it is right again');
    await assertAllLive(server, after, 'begun meanwhile');
    assert.equal((await server.verify(ended)).status, 401);
    await server.stop();
  });

  test(`the clock jumps ${name} by an hour over a restart: nobody is signed out`, async (t) => {
    const { server, jump } = await start(t);
    await server.register('ada');
    const before = await signInEverywhere(server);
    const ended = await server.signIn('ada');
    const headers = [['Cookie', ended.cookie], ['Origin', `http://localhost:${server.port}`]];
    assert.equal((await server.ask('POST', '/v1/logout', { headers })).status, 204);
    await server.stop('SIGKILL');
    jump(offset);
    await server.start();
    await assertAhead(server, Number(offset));
    await assertAllLive(server, before, 'after the restart');
    await assertAllLive(server, await signInEverywhere(server), 'begun after it');
    assert.equal((await server.verify(ended)).status, 401);
    await server.stop();
    jump('+0');
    await server.start();
    await assertAllLive(server, before, 'when it is right again');
    assert.equal((await server.verify(ended)).status, 401);
    await server.stop();
  });
}
