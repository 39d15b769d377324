// Stores and servers that stand still for longer than the grace period of a refresh token, with renewals on their way.

import assert from 'node:assert/strict';
import net from 'node:net';

import { wait } from '../../lib/process.mjs';
import { app } from '../stage.mjs';

const GRACE = 3000;
const STILL = 12_000;
const APPS = app('api', 'jwt', { refresh_grace: `${GRACE}ms` });

export const standstill = {
  'postgres-stands-still': {
    does: 'PostgreSQL stands still for 12 s with renewals on their way, which are repeated when it goes on',
    findings: ['R24'],
    async play(stage) {
      const postgres = await stage.postgres({ settings: { track_commit_timestamp: 'on' } });
      // Whose token had been replaced for good before, and whose answer was lost for longer than the grace period, is taken for a victim
      // of theft without any standstill.
      const replaced = async (still) => {
        const rows = await postgres.sql(`SELECT encode(sid, 'hex') FROM cloakroom_sessions WHERE pg_xact_commit_timestamp(xmin) < to_timestamp(${still / 1000})`);
        return new Set(rows.split('\n').map((hex) => Buffer.from(hex, 'hex').toString('base64url')));
      };
      await stall(await stage.servers(2, { accounts: postgres, apps: APPS }), (signal) => postgres.signal(signal), replaced);
    },
  },

  'redis-stands-still': {
    does: 'Redis stands still for 12 s with renewals on their way, which are repeated when it goes on',
    findings: ['R24'],
    async play(stage) {
      const [accounts, redis] = [await stage.postgres(), await stage.redis()];
      await stall(await stage.servers(2, { accounts, sessions: redis, apps: APPS }), (signal) => redis.program.child.kill(signal), () => new Set());
    },
  },

  'server-stands-still': {
    does: 'a server stands still for 12 s with the request of one tab in it, whose client may have gone, while another tab renews elsewhere',
    findings: ['R24'],
    async play(stage) {
      const [a, b] = await stage.servers(2, { accounts: await stage.postgres(), apps: APPS });
      await a.register('ada');
      const [waiting, gone] = [await grown(a, 4), await grown(a, 4)];
      await wait(GRACE + 500);
      a.program.child.kill('SIGSTOP');
      const first = waiting.map((who) => a.does.refresh(who.refresh_token));
      // As nginx and browsers do: they close properly when they give up.
      const sockets = gone.map((who) => {
        const body = JSON.stringify({ refresh_token: who.refresh_token });
        const socket = net.connect(a.port, '127.0.0.1');
        socket.write(`POST /v1/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        return socket;
      });
      await wait(1000);
      for (const socket of sockets) socket.end();
      for (const who of [...waiting, ...gone]) await b.renew(who);
      await wait(STILL);
      a.program.child.kill('SIGCONT');
      await Promise.all(first);
      await wait(1000);
      const after = await Promise.all([...waiting, ...gone].map(async (who) => (await b.does.refresh(who.refresh_token)).status));
      assert.deepEqual(after, after.map(() => 200), 'sessions that ended as stolen; the first four clients waited');
    },
  },
};

async function grown(server, count) {
  const people = [];
  for (let at = 0; at < count; at += 1) people.push(await server.signIn('ada', 'api'));
  return people;
}

/** Renews at the first server until it stands still in the middle of that, and repeats at the second one what was not answered. */
async function stall([a, b], signal, replaced) {
  await a.register('ada');
  const people = await grown(a, 90);
  await wait(GRACE + 500);
  const unanswered = [];
  const left = [...people];
  let answered = 0;
  let still;
  const work = async () => {
    for (let who = left.pop(); who; who = left.pop()) {
      const { status } = await a.does.refresh(who.refresh_token);
      if (status !== 200) return unanswered.push(who);
      answered += 1;
      if (answered !== 20) continue;
      signal('SIGSTOP');
      still = Date.now();
    }
    return undefined;
  };
  await Promise.all(Array.from({ length: 12 }, work));
  await wait(STILL - (Date.now() - still));
  signal('SIGCONT');
  await wait(1500);
  assert.ok(unanswered.length > 3, `${unanswered.length} were on their way`);
  const before = await replaced(still);
  const refused = [];
  for (const who of unanswered) {
    const { status, text } = await b.does.refresh(who.refresh_token);
    if (status !== 200 && !before.has(who.session)) refused.push(`${status} ${/"code":"(\w+)"/.exec(text)?.[1]}`);
  }
  assert.deepEqual(refused, [], `of ${unanswered.length} people`);
}
