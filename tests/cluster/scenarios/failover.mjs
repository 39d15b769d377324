// Stores that fail over, and stores that come back older than they were.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { until, wait } from '../../lib/process.mjs';
import { heard } from '../stage.mjs';

const THREE_DAYS = '+259200';
/** Longer than the pauses between two of the rounds in which a server gives the store of sessions what has ended. */
const ROUND = 33_000;

export const failover = {
  'failover-sync': {
    does: "PostgreSQL's synchronous standby stalls, people sign out until that is acknowledged, and the standby takes over",
    findings: ['R13'],
    async play(stage) {
      const postgres = await stage.followed();
      const [a, b] = await stage.servers(2, { accounts: postgres });
      await a.register('ada');
      const [web, stateless] = [await a.signIn('ada'), await a.signIn('ada', 'stateless')];
      assert.equal(await b.accepts(web), true);
      postgres.stall();
      const signedOut = async (request) => {
        for (let tries = 0; tries < 4; tries += 1) {
          if ((await a.send(request)).status === 204) return true;
          await wait(1000);
        }
        return false;
      };
      const acknowledged = [await signedOut(a.requests.logout(web)), await signedOut(a.requests.logoutBy(stateless.refresh_token))];
      await postgres.failOver();
      await ready([a, b]);
      const lives = [await b.accepts(web), await b.renews(stateless)];
      assert.deepEqual(lives.map((each, at) => each && acknowledged[at]), [false, false], 'an acknowledged sign-out was lost');
    },
  },

  'failover-epoch': {
    does: 'an asynchronous standby takes over that lacks a raise of an epoch; then its account signs out everywhere',
    findings: ['R14'],
    async play(stage) {
      const [postgres, redis] = [await stage.followed({ synchronous: false }), await stage.redis()];
      const [a, b] = await stage.servers(2, { accounts: postgres, sessions: redis });
      await a.register('ada');
      const owner = await a.signIn('ada');
      const followers = 'SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()';
      await until('the standby has all', async () => (await postgres.primary.sql(followers)) === '1');
      postgres.stall();
      assert.equal((await a.does.endOthers(owner)).status, 303);
      const [web, stateless] = [await a.signIn('ada'), await a.signIn('ada', 'stateless')];
      await postgres.failOver();
      await ready([a, b]);
      await a.does.logout(await a.signIn('ada'), { everywhere: true });
      await heard();
      const lives = [];
      for (const server of [a, b]) lives.push(await server.accepts(web), await server.renews(stateless));
      assert.deepEqual(lives, [false, false, false, false], 'sign out everywhere ends what was born with an epoch that was lost');
    },
  },

  'redis-old-copy': {
    does: 'Redis comes back under running servers as it was three days ago, then at a start, then after PostgreSQL has become another incarnation',
    findings: ['R20'],
    needs: 'boot clock',
    async play(stage) {
      const clock = await stage.bothClocks();
      const postgres = await stage.postgres({ clock });
      const redis = await stage.redis({ clock, more: ['--appendonly', 'no'] });
      const [a, b] = await stage.servers(2, { accounts: postgres, sessions: redis, clock });
      await a.register('ada');
      const ended = [await a.signIn('ada'), await a.signIn('ada'), await a.signIn('ada')];
      await wait(ROUND);
      await redis.tell('SAVE');
      const copy = path.join(stage.dir, 'old.rdb');
      fs.copyFileSync(path.join(redis.data, 'dump.rdb'), copy);
      for (const who of ended) assert.equal((await a.does.logout(who)).status, 204);
      clock.set(THREE_DAYS);
      await until('the log has forgotten', async () => (await postgres.sql('SELECT count(*) FROM cloakroom_log')) === '0', 120_000);
      const putBack = async () => {
        await redis.stop('SIGKILL');
        fs.copyFileSync(copy, path.join(redis.data, 'dump.rdb'));
        await redis.start();
      };
      const refused = async (when, servers) => {
        for (const [at, server] of servers.entries()) {
          for (const who of ended) assert.notEqual((await server.verify(who)).status, 200, `${when}: server ${at + 1} takes what ended three days ago`);
        }
      };
      await putBack();
      // It is looked at when it is reached anew.
      await Promise.all([a, b].map((server) => server.verify(ended[0])));
      await heard();
      await refused('when it is back', [a, b]);
      await wait(ROUND);
      await refused('a while later', [a, b]);
      await b.stop('SIGTERM');
      await startIfItMay(b);
      await refused('after a start', [b].filter(running));
      for (const server of [a, b]) await server.stop('SIGKILL');
      await putBack();
      await postgres.sql('UPDATE cloakroom_log_head SET incarnation = incarnation + 1');
      await startIfItMay(a);
      await refused('in another incarnation', [a].filter(running));
    },
  },
};

const ready = async (servers) => {
  for (const server of servers) await until('it serves', async () => (await server.login('ada')).status === 200);
  await heard();
};

/** A server may refuse to start with such a store. */
const startIfItMay = (server) => server.start().catch(() => {});
const running = ({ program: { child } }) => child.exitCode === null && child.signalCode === null;
