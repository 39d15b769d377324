// Ends that race with what they end, that are cut, or that are many; and changes of a password.

import assert from 'node:assert/strict';

import { PASSWORD, signedIn } from '../../lib/cloakroom.mjs';
import { wait } from '../../lib/process.mjs';
import { PAST_EVERY_HOLD, acknowledged, bytea, heard } from '../stage.mjs';

const FRESH = 'quite another passphrase 7';
const OTHER = 'yet a different sentence 9';

export const ends = {
  'others-within-lag': {
    does: 'a stolen session asks another server to end all others after its own end was acknowledged, and before that server has heard of it',
    findings: ['R2', 'R17'],
    async play(stage) {
      const postgres = await stage.postgres();
      const redis = await stage.redis();
      const broken = [];
      for (const sessions of [undefined, redis]) {
        // Where news of ends cannot be pushed, a server hears by asking.
        const [a, b] = await stage.servers(2, { accounts: postgres, sessions, options: '&listen=off' });
        const remedies = {
          everywhere: (owner) => a.does.logout(owner, { everywhere: true }),
          'a new password': (owner) => a.does.changePassword(owner, PASSWORD, FRESH),
          'account disable': (owner, name) => a.command('account', 'disable', `${name}@example.com`),
          'session revoke': (owner, name) => a.command('session', 'revoke', '--account', `${name}@example.com`),
        };
        const thieves = [];
        for (const [what, remedy] of Object.entries(remedies)) {
          for (let at = 0; at < 3; at += 1) {
            const name = stage.name('ada');
            await a.register(name);
            const [owner, thief] = [await a.signIn(name), await b.signIn(name)];
            assert.ok((await a.accepts(thief)) && (await b.accepts(thief)));
            assert.ok(acknowledged(await remedy(owner, name)));
            await b.does.endOthers(thief);
            thieves.push({ what: sessions ? `${what}, sessions in Redis` : what, name, thief });
          }
        }
        await heard();
        for (const { what, name, thief } of thieves) {
          if (what.startsWith('account disable')) await a.must('account', 'enable', `${name}@example.com`);
          if ((await a.accepts(thief)) || (await b.accepts(thief))) broken.push(what);
        }
      }
      assert.deepEqual(broken, [], 'ended by these, and alive all the same');
    },
  },

  'others-at-once': {
    does: 'an owner signs out everywhere while a stolen session ends all others at another server',
    findings: ['R2', 'R17'],
    async play(stage) {
      const [a, b] = await stage.servers(2, { accounts: await stage.postgres() });
      const thieves = [];
      for (let at = 0; at < 30; at += 1) {
        const name = stage.name('ada');
        await a.register(name);
        const [owner, thief] = [await a.signIn(name), await b.signIn(name)];
        await b.accepts(thief);
        const ending = b.does.endOthers(thief);
        await wait(at % 5);
        if (acknowledged(await a.does.logout(owner, { everywhere: true }))) thieves.push(thief);
        await ending;
      }
      await heard();
      const alive = await Promise.all(thieves.map(async (thief) => (await a.accepts(thief)) || b.accepts(thief)));
      assert.equal(alive.filter(Boolean).length, 0, `of ${thieves.length} that were ended, so many live`);
    },
  },

  'password-at-once': {
    does: 'an owner and a thief change the password by the old one at two servers at once',
    findings: ['R3'],
    async play(stage) {
      const [a, b] = await stage.servers(2, { accounts: await stage.postgres() });
      const rounds = [];
      for (let at = 0; at < 12; at += 1) {
        const name = stage.name('ada');
        await a.register(name);
        const [owner, thief] = [await a.signIn(name), await b.signIn(name)];
        const changes = [a.does.changePassword(owner, PASSWORD, FRESH)];
        await wait(2 * (at % 6));
        changes.push(b.does.changePassword(thief, PASSWORD, OTHER));
        rounds.push({ name, answers: await Promise.all(changes) });
      }
      await heard();
      const broken = [];
      for (const { name, answers } of rounds) {
        const done = answers.map(({ status }) => status === 200);
        const works = await Promise.all([FRESH, OTHER].map(async (password) => (await a.does.login(name, 'web', { password })).status === 200));
        const lives = await Promise.all(answers.map(async (answer) => answer.status === 200 && b.accepts(signedIn(answer))));
        if (done.filter(Boolean).length !== 1 || String(works) !== String(done) || String(lives) !== String(done)) {
          broken.push(`changed: ${done}; works: ${works}; lives: ${lives}`);
        }
      }
      assert.deepEqual(broken, [], 'one of two changes is done, and its password and its session are the ones that work');
    },
  },

  'password-copied-refresh': {
    does: 'the password is changed by a session whose refresh token was copied before',
    findings: ['R6'],
    async play(stage) {
      const [a, b] = await stage.servers(2, { accounts: await stage.postgres() });
      await a.register('ada');
      const who = await a.signIn('ada', 'api');
      const changed = await a.does.changePassword(who, PASSWORD, FRESH);
      assert.equal(changed.status, 200, changed.text);
      await heard();
      assert.equal(await b.renews(who), false, 'the copy is refused');
      assert.equal(await b.accepts(who), false);
    },
  },

  'cut-sign-out': {
    does: 'sessions of a server\'s own store are signed out by clients who hang up, and by another server; then 65 minutes pass for all clocks',
    findings: ['R4', 'R21'],
    needs: 'boot clock',
    async play(stage) {
      const clock = await stage.bothClocks();
      const postgres = await stage.postgres({ clock });
      const broken = [];
      const own = await Promise.all(['sqlite', 'memory'].map(async (sessions) => [sessions, await stage.prepare({ accounts: postgres, sessions, clock })]));
      for (const [, server] of own) await server.start();
      const other = await stage.server({ accounts: postgres, sessions: 'sqlite', clock });
      const { header } = await stage.service(other);
      const ended = [];
      for (const [sessions, server] of own) {
        const name = stage.name('ada');
        await server.register(name);
        const cut = [];
        for (let at = 0; at < 40; at += 1) cut.push(await server.signIn(name));
        for (const [at, who] of cut.entries()) {
          await server.hangUp('HTTP/1.1, reset', server.requests.logout(who), 0.4 + 0.1 * (at % 30));
        }
        const [one, two, three] = [await server.signIn(name), await server.signIn(name), await server.signIn(name)];
        const acts = [
          await other.command('session', 'revoke', one.session),
          await other.does.logout(two),
          await other.ask('POST', '/oauth/revoke', { headers: [header], body: new URLSearchParams({ token: three.cookie.split('=')[1] }) }),
        ];
        for (const act of acts) if (!acknowledged(act)) broken.push(`${sessions}: an end was not acknowledged: ${JSON.stringify(act)}`);
        await heard();
        // Those whose request came too late to begin live on, as they should.
        for (const who of cut) if (!(await server.accepts(who))) ended.push([server, who, `${sessions}: a sign-out that was cut`]);
        for (const who of [one, two, three]) ended.push([server, who, `${sessions}: an end by another server`]);
      }
      assert.ok(ended.length >= 10, `so few ended: ${ended.length}`);
      for (const [server, who, what] of ended) if (await server.accepts(who)) broken.push(`${what} is not heard`);
      clock.set(PAST_EVERY_HOLD);
      await heard();
      for (const [server, who, what] of ended) if (await server.accepts(who)) broken.push(`${what} is forgotten`);
      assert.deepEqual(broken, []);
    },
  },

  'cut-guesses': {
    does: 'sixty guesses at a password, each of whose clients hangs up',
    findings: ['R5'],
    async play(stage) {
      const postgres = await stage.postgres();
      // Any network may guess here, so that it is the account's limit which counts.
      const [a, b] = await stage.servers(2, { accounts: postgres });
      await a.register('ada');
      const guess = { password: 'no password of hers 1' };
      for (let at = 0; at < 60; at += 1) {
        const server = at % 2 ? a : b;
        await server.hangUp('HTTP/1.1, reset', server.requests.login('ada', 'web', guess), 8);
      }
      await wait(1000);
      const answers = [await a.does.login('ada', 'web', guess), await b.does.login('ada', 'web', guess)];
      assert.deepEqual(answers.map(({ status }) => status), [429, 429]);
      const lines = Number(await postgres.sql("SELECT count(*) FROM cloakroom_audit"));
      assert.ok(lines >= 10, `guesses stand in the audit log, and there are ${lines} lines`);
    },
  },

  'more-ends-than-room': {
    does: 'more sessions end than a verifier may hold, and others go on, at servers and at an app',
    findings: ['R1'],
    async play(stage) {
      const postgres = await stage.postgres();
      const top = ['revocation.capacity = 1000'];
      const [a, b] = await stage.servers(2, { accounts: postgres, top });
      await a.register('bob');
      const bystander = { web: await a.signIn('bob'), api: await a.signIn('bob', 'api') };
      const ended = [];
      const person = async (name) => {
        await a.register(name);
        for (let at = 0; at < 80; at += 1) {
          const who = await a.signIn(name);
          await a.does.logout(who);
          ended.push(who);
        }
        // As often as one session can: the first signs out all others and stays.
        const who = await a.signIn(name);
        for (let at = 0; at < 3; at += 1) await a.does.endOthers(who);
      };
      await Promise.all(Array.from({ length: 15 }, (_, at) => person(`ada${at}`)));
      await heard();
      for (const server of [a, b]) {
        assert.equal((await server.ask('GET', '/readyz')).status, 200);
        assert.deepEqual([await server.accepts(bystander.web), await server.accepts(bystander.api)], [true, true]);
        await server.renew(bystander.api);
      }
      for (const who of [ended[0], ended.at(-1)]) assert.deepEqual([await a.accepts(who), await b.accepts(who)], [false, false]);
      // Nor does one session fill it by asking again and again, as quickly as it can.
      const loud = await a.signIn('bob');
      const until = performance.now() + 3000;
      const ask = async () => {
        while (performance.now() < until) await a.does.endOthers(loud);
      };
      await Promise.all(Array.from({ length: 8 }, ask));
      await heard();
      const lines = Number(await postgres.sql(`SELECT count(*) FROM cloakroom_log WHERE subject = ${bytea(loud.account)}`));
      assert.ok(lines <= 10, `${lines} lines of one account in 3 s`);
    },
  },
};
