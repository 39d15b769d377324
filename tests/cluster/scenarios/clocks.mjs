// Clocks that are set wrong while servers run: a server's, that of the store, that of a paused machine.

import assert from 'node:assert/strict';
import http from 'node:http';

import { wait } from '../../lib/process.mjs';
import { APPS, PAST_EVERY_HOLD, app, heard } from '../stage.mjs';

const STRICT = app('web', 'session') + app('api', 'jwt', { on_feed_loss: 'refuse' });
/** Longer than the pauses between two sweeps. */
const SWEPT = 33_000;

export const clocks = {
  'clock-month-ahead': {
    does: "a running server's wall clock leaps a month ahead for 33 s, then a server is started with such a clock",
    findings: ['R8', 'R22'],
    async play(stage) {
      const [postgres, clock] = [await stage.postgres(), await stage.wallClock()];
      const a = await stage.server({ accounts: postgres });
      const wrong = await stage.server({ accounts: postgres, clock });
      const world = await people(a);
      clock.set('+31d');
      await wait(SWEPT);
      await wrong.restart({ signal: 'SIGKILL' });
      await wait(SWEPT);
      await wrong.stop('SIGKILL');
      // Nothing is left to its cache.
      await a.restart();
      await stillAsItWas(world, [a]);
    },
  },

  'store-clock-month-ahead': {
    does: "the store's clock leaps a month ahead for 33 s",
    findings: ['R8', 'R22'],
    async play(stage) {
      const clock = await stage.wallClock();
      const postgres = await stage.postgres({ clock });
      const [a, b] = await stage.servers(2, { accounts: postgres });
      const world = await people(a);
      clock.set('+31d');
      await wait(SWEPT);
      clock.set('+0');
      await heard();
      await a.restart();
      await stillAsItWas(world, [a, b]);
    },
  },

  'store-clock-hour': {
    does: "the store's clock leaps an hour ahead, and an hour back, between an end and later starts",
    findings: ['R11', 'R19'],
    async play(stage) {
      const broken = [];
      for (const leap of ['+3600', '-3600']) {
        const clock = await stage.wallClock();
        const postgres = await stage.postgres({ clock });
        const [a, b] = await stage.servers(2, { accounts: postgres, apps: STRICT });
        const world = await people(a);
        await a.register('eve');
        const ended = await a.signIn('eve', 'api');
        assert.equal((await a.does.logout(ended)).status, 204);
        clock.set(leap);
        await heard();
        await b.restart();
        for (const server of [a, b]) if (await server.accepts(ended, 'api')) broken.push(`${leap}: an ended token is accepted`);
        clock.set('+0');
        await heard();
        for (const server of [a, b]) if (await server.accepts(ended, 'api')) broken.push(`${leap} and back: an ended token is accepted`);
        await stillAsItWas(world, [a, b]);
      }
      assert.deepEqual(broken, []);
    },
  },

  'clock-behind-ends': {
    does: 'sessions sign out at a server whose wall clock has been set 10 min back; another server, and a verifier, start later',
    findings: ['R19'],
    async play(stage) {
      const [postgres, clock] = [await stage.postgres(), await stage.wallClock()];
      const [b, c] = await stage.servers(2, { accounts: postgres, apps: STRICT });
      const a = await stage.server({ accounts: postgres, apps: STRICT, clock });
      await b.register('ada');
      await b.register('bob');
      const [one, two] = [await b.signIn('ada', 'api'), await b.signIn('bob', 'api')];
      clock.set('-600');
      await heard();
      assert.equal((await a.does.logout(one)).status, 204);
      assert.equal((await a.does.logoutBy(two.refresh_token, { everywhere: true })).status, 204);
      await heard();
      await c.restart();
      for (const server of [a, b, c]) assert.deepEqual([await server.accepts(one, 'api'), await server.accepts(two, 'api')], [false, false]);
      const names = await snapshot(stage, b);
      assert.ok(names.includes(one.session) && names.includes(two.account), 'a snapshot names what ended');
    },
  },

  'clock-ahead-snapshot': {
    does: 'a server starts with a wall clock that is a month ahead and set right 3 s later; another gives a snapshot while it is 10 min ahead',
    findings: ['R19'],
    async play(stage) {
      const [postgres, clock] = [await stage.postgres(), await stage.wallClock()];
      const a = await stage.server({ accounts: postgres, apps: APPS });
      await a.register('ada');
      const stateless = await a.signIn('ada', 'stateless');
      assert.equal((await a.does.logoutBy(stateless.refresh_token)).status, 204);
      clock.set('+31d');
      const b = await stage.server({ accounts: postgres, apps: APPS, clock });
      assert.equal(await b.renews(stateless), false);
      clock.set('+0');
      await wait(3000);
      assert.equal(await b.renews(stateless), false, 'a session that ended stays ended when the clock is right again');
      const token = await a.signIn('ada', 'api');
      assert.equal((await a.does.logout(token)).status, 204);
      clock.set('+600');
      await heard();
      assert.ok((await snapshot(stage, b)).includes(token.session), 'a snapshot names what ended a moment ago');
    },
  },

  'clock-skew-renewals': {
    does: 'tabs renew with the same token at servers whose wall clocks differ by a minute; and theft is found by a server that is ahead',
    findings: ['R24'],
    async play(stage) {
      const postgres = await stage.postgres();
      const apps = app('api', 'jwt', { refresh_grace: '3s' });
      const clock = await stage.wallClock();
      const a = await stage.server({ accounts: postgres, apps, clock });
      const b = await stage.server({ accounts: postgres, apps });
      await b.register('ada');
      const broken = [];
      for (const skew of ['-60', '+60']) {
        clock.set(skew);
        const [honest, stolen] = [[], []];
        for (let at = 0; at < 5; at += 1) honest.push(await b.signIn('ada', 'api'));
        for (let at = 0; at < 2; at += 1) stolen.push(await b.signIn('ada', 'api'));
        // Past the grace period of their birth: the next renewal rotates.
        await wait(3500);
        for (const [first, second] of [[a, b], [b, a]]) {
          for (const who of honest) {
            const copy = { ...who };
            await first.renew(who);
            const again = await second.does.refresh(copy.refresh_token);
            const same = again.status === 200 && again.json.refresh_token === who.refresh_token;
            if (!same) broken.push(`${skew}: a second tab: ${again.status} ${again.text.slice(0, 80)}`);
          }
          await wait(3500);
        }
        for (const who of stolen) {
          const copy = { ...who };
          await a.renew(who);
          await wait(3500);
          const { code } = (await b.does.refresh(copy.refresh_token)).json;
          if (code !== 'token_reused') broken.push(`${skew}: a token that was replaced 3.5 s ago: ${code ?? 'accepted'}`);
        }
      }
      assert.deepEqual(broken, []);
    },
  },

  'redis-clock-hour': {
    does: "Redis's clock is an hour ahead, is set right, and leaps an hour ahead once more, while tabs renew with the same token",
    findings: ['R24'],
    needs: 'boot clock',
    async play(stage) {
      const clock = await stage.bothClocks();
      clock.set('+3600');
      const [accounts, sessions] = [await stage.postgres(), await stage.redis({ clock })];
      const [a, b] = await stage.servers(2, { accounts, sessions, apps: app('web', 'session') + app('api', 'jwt', { refresh_grace: '3s' }) });
      const world = await people(a);
      for (const ahead of ['+3600', '+0', '+3600']) {
        clock.set(ahead);
        await wait(3500);
        for (const who of world.renewable) {
          const { refresh_token } = who;
          await a.renew(who);
          const again = await b.does.refresh(refresh_token);
          assert.equal(again.status, 200, `${ahead}: a second tab: ${again.text}`);
        }
        await stillAsItWas(world, [a, b]);
      }
    },
  },

  'machine-paused': {
    does: 'a machine is paused while a session ends elsewhere; its boot clock has not counted the time',
    findings: ['R11'],
    needs: 'boot clock',
    async play(stage) {
      const [postgres, boot] = [await stage.postgres(), await stage.bootClock()];
      const apps = app('web', 'session', { max_revocation_lag: '5m' }) + app('api', 'jwt', { on_feed_loss: 'refuse', access_token_lifetime: '1h' });
      const a = await stage.server({ accounts: postgres, apps });
      const b = await stage.server({ accounts: postgres, apps, clock: boot, options: '&listen=off' });
      await a.register('ada');
      const [web, api, living] = [await a.signIn('ada'), await a.signIn('ada', 'api'), await a.signIn('ada')];
      assert.deepEqual([await b.accepts(web), await b.accepts(api), await b.accepts(living)], [true, true, true]);
      const before = await readFromStore(b);
      await b.accepts(living);
      assert.equal(await readFromStore(b), before, 'it is in the near-cache');
      b.program.child.kill('SIGSTOP');
      assert.equal((await a.does.logout(web)).status, 204);
      assert.equal((await a.does.logout(api)).status, 204);
      await wait(10_000);
      boot.set('-10');
      b.program.child.kill('SIGCONT');
      // The first answer about the log shows the leap.
      await wait(1000);
      assert.deepEqual([await b.accepts(web), await b.accepts(api), await b.accepts(living)], [false, false, true]);
      assert.ok((await readFromStore(b)) > before, 'nothing is believed that was read before the pause');
    },
  },

  'hold-outlasts-configuration': {
    does: 'during a rolling restart that raises the lifetime of access tokens to an hour, a token of the new setting signs out at a server of the old one',
    findings: ['R15'],
    needs: 'boot clock',
    async play(stage) {
      const clock = await stage.bothClocks();
      const postgres = await stage.postgres({ clock });
      const strict = (life) => app('api', 'jwt', { on_feed_loss: 'refuse', access_token_lifetime: life });
      const a = await stage.server({ accounts: postgres, apps: strict('5m'), clock });
      const b = await stage.server({ accounts: postgres, apps: strict('1h'), clock });
      await b.register('ada');
      const [ended, living] = [await b.signIn('ada', 'api'), await b.signIn('ada', 'api')];
      assert.equal((await a.does.logoutBy(ended.refresh_token)).status, 204);
      await heard();
      await a.restart({ change: (text) => text.replace('"5m"', '"1h"') });
      for (const passed of ['+352', '+3000']) {
        clock.set(passed);
        await heard();
        const accepted = [await a.accepts(ended), await b.accepts(ended), await a.accepts(living), await b.accepts(living)];
        assert.deepEqual(accepted, [false, false, true, true], `${passed} s later; the last two have not ended`);
      }
      clock.set(PAST_EVERY_HOLD);
      await heard();
      assert.deepEqual([await a.accepts(ended), await b.accepts(ended)], [false, false], 'its life is over');
    },
  },
};

/** Five people, one of whom has tokens too, and a session without a record that has ended, where there is an app for that. */
async function people(server) {
  const living = [];
  for (let at = 0; at < 5; at += 1) {
    await server.register(`ada${at}`);
    living.push(await server.signIn(`ada${at}`));
  }
  const renewable = [await server.signIn('ada0', 'api')];
  const { status, json } = await server.login('ada0', 'stateless');
  if (status !== 200) return { living, renewable };
  assert.equal((await server.does.logoutBy(json.refresh_token)).status, 204);
  return { living, renewable, ended: json };
}

async function stillAsItWas({ living, renewable, ended }, servers) {
  for (const [at, server] of servers.entries()) {
    const lives = await Promise.all(living.map((who) => server.accepts(who)));
    assert.ok(lives.every(Boolean), `server ${at + 1}: ${lives.filter(Boolean).length} of ${lives.length} sessions live`);
    for (const who of renewable) await server.renew(who);
    if (ended) assert.equal(await server.renews(ended), false, `server ${at + 1}: an ended session without a record renews`);
  }
}

/** How many verifications have read the store. */
async function readFromStore(server) {
  const { text } = await server.ask('GET', '/metrics');
  return Number(/^cloakroom_verifications_total\{from="source"\} (\d+)/m.exec(text)?.[1] ?? 0);
}

/** What a verifier is told that starts now, as text. */
async function snapshot(stage, server) {
  const { header } = await stage.service(server);
  return new Promise((resolve, reject) => {
    const headers = ['Host', server.publicUrl.slice(7), ...header];
    const request = http.get({ host: '127.0.0.1', port: server.port, path: '/v1/revocations', headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
        if (text.includes('\n\n')) resolve(text) || request.destroy();
      });
    });
    request.on('error', reject);
  });
}
