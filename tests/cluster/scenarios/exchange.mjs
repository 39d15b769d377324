// What becomes of a session that is exchanged for one of another method, while and after others end it.

import assert from 'node:assert/strict';

import { signedIn } from '../../lib/cloakroom.mjs';
import { wait } from '../../lib/process.mjs';
import { acknowledged, app, bytea, given, heard } from '../stage.mjs';

const OLD = app('web', 'jwt');
const NEW = app('web', 'session', { migrate_from: ['jwt'] });
const SLOW_ROWS = `
  CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END';
  CREATE TRIGGER slow BEFORE INSERT ON cloakroom_sessions FOR EACH ROW EXECUTE FUNCTION slow()`;

export const exchange = {
  'exchange-beside-end': {
    does: 'a session is exchanged at one server while another ends it, by each kind of end, which comes first in the queue for the log',
    findings: ['R7', 'R16', 'R30'],
    async play(stage) {
      const postgres = await stage.postgres();
      const [before, a, b] = await migrating(stage, postgres, { refresh_grace: '1s' });
      const rounds = [];
      for (const [name, end] of Object.entries(ENDS)) {
        const person = stage.name('ada');
        await before.register(person);
        const [old, other] = [await before.signIn(person, 'web'), await before.signIn(person, 'web')];
        rounds.push({ name, end, old, other, stale: old.refresh_token });
      }
      await wait(1500);
      for (const { old } of rounds) await before.renew(old);
      await wait(1500);
      for (const round of rounds) {
        const held = postgres.sql('BEGIN; SELECT 1 FROM cloakroom_log_head FOR UPDATE; SELECT pg_sleep(1.2); COMMIT');
        await wait(300);
        const ending = round.end(b, round);
        await wait(300);
        round.answers = await Promise.all([ending, a.does.exchange(round.old, 'web'), held]);
      }
      await heard();
      const broken = [];
      for (const { name, answers } of rounds) {
        const successor = given(answers[1]);
        if (acknowledged(answers[0]) && successor && (await b.accepts(successor, 'web'))) broken.push(`${name}: the successor lives`);
      }
      assert.deepEqual(broken, []);
    },
  },

  'exchange-slow-rows': {
    does: 'a session is exchanged at one server while it signs out at another, where a new row takes 0.1 s, and where it takes no time',
    findings: ['R16', 'R30'],
    async play(stage) {
      const postgres = await stage.postgres();
      const [before, a, b] = await migrating(stage, postgres);
      for (let at = 0; at < 10; at += 1) await before.register(`ada${at}`);
      const races = async (count, gap) => {
        const both = [];
        for (let at = 0; at < count; at += 1) {
          const old = await before.signIn(`ada${at % 10}`, 'web');
          const exchanging = a.does.exchange(old, 'web');
          await wait(gap(at));
          both.push(await Promise.all([exchanging, b.does.logoutBy(old.refresh_token)]));
        }
        await heard();
        const alive = await Promise.all(both.map(async ([one, end]) => acknowledged(end) && one.status === 200 && b.accepts(signedIn(one), 'web')));
        return alive.filter(Boolean).length;
      };
      await postgres.sql(SLOW_ROWS);
      const slow = await races(20, () => 30);
      await postgres.sql('DROP TRIGGER slow ON cloakroom_sessions');
      const plain = await races(150, (at) => at % 4);
      assert.deepEqual({ slow, plain }, { slow: 0, plain: 0 }, 'successors that outlive a sign-out that was acknowledged');
    },
  },

  'exchange-then-end': {
    does: 'what was exchanged signs out later by any of its old credentials',
    findings: ['R16'],
    async play(stage) {
      const postgres = await stage.postgres();
      const [before, a, b] = await migrating(stage, postgres);
      await before.register('ada');
      const broken = [];
      for (const [name, by] of Object.entries({
        'the old access token': (old) => b.does.logout(old),
        'the old refresh token': (old) => b.does.logoutBy(old.refresh_token),
        "the old session's id": (old) => b.command('session', 'revoke', old.session),
      })) {
        const old = await before.signIn('ada', 'web');
        const successor = signedIn(await a.does.exchange(old, 'web'));
        const ended = await by(old);
        await heard();
        if (acknowledged(ended) && (await b.accepts(successor, 'web'))) broken.push(name);
      }
      // A successor without a record, once the grace period is over and the old record was swept.
      const cookies = await stage.server({ accounts: postgres, apps: app('web', 'session') });
      const after = await stage.server({ accounts: postgres, apps: app('web', 'jwt-stateless', { migrate_from: ['session'], refresh_grace: '1s' }) });
      const old = await cookies.signIn('ada');
      const { refresh_token } = (await after.does.exchange(old, 'web')).json;
      await wait(35_000);
      const ended = await after.does.logout(old);
      await heard();
      if (acknowledged(ended) && (await after.renews({ refresh_token }))) broken.push('the old cookie of a successor without a record');
      assert.deepEqual(broken, [], 'ended by these, and alive all the same');
    },
  },

  'exchange-cut': {
    does: 'clients hang up in an exchange and repeat it: at once at another server, which is restarted then, or after the grace period',
    findings: ['R16'],
    async play(stage) {
      const postgres = await stage.postgres();
      const [before, a, b] = await migrating(stage, postgres, { refresh_grace: '10s' });
      const people = [];
      for (let at = 0; at < 150; at += 1) {
        await before.register(`ada${at}`);
        people.push(await before.signIn(`ada${at}`, 'web'));
      }
      for (const [at, old] of people.entries()) {
        await a.hangUp('HTTP/1.1, reset', a.requests.exchange(old, 'web'), 0.5 + 0.1 * (at % 40));
      }
      const cut = Date.now();
      const broken = [];
      // Some within the grace period.
      const early = [];
      for (const old of people.slice(0, 50)) {
        const again = given(await b.does.exchange(old, 'web'));
        if (again) early.push([old, again]);
        else broken.push('within the grace period: refused');
      }
      await b.restart();
      await wait(Math.max(0, cut + 11_500 - Date.now()));
      for (const [old, successor] of early) {
        const lives = [await a.renews(old), await a.accepts(successor, 'web')];
        if (lives[0] || !lives[1]) broken.push(`repeated, and alive: the old one ${lives[0]}, its successor ${lives[1]}`);
      }
      for (const old of people.slice(50)) {
        // It was exchanged, and the client lost the answer; or it was not, and can be.
        const [again, lives] = [given(await b.does.exchange(old, 'web')), await a.renews(old)];
        const sessions = Number(await postgres.sql(`SELECT count(*) FROM cloakroom_sessions WHERE account = ${bytea(old.account)}`));
        if (!again && lives) broken.push('after the grace period: refused, and the old one lives');
        if (again && lives) broken.push('after the grace period: both live');
        if (!again && sessions > 1) broken.push(`after the grace period: ${sessions} records`);
      }
      assert.deepEqual(broken, []);
    },
  },

  'exchange-while-moving': {
    does: 'two tabs exchange one session at two servers that are a step apart in moving the sessions to another store, and whose clocks differ',
    findings: ['R26'],
    async play(stage) {
      const [postgres, redis] = [await stage.postgres(), await stage.redis()];
      const before = await stage.server({ accounts: postgres, apps: OLD });
      const clocks = [await stage.wallClock(), await stage.wallClock()];
      const one = await stage.server({ accounts: postgres, others: redis, apps: NEW, clock: clocks[0] });
      const two = await stage.server({ accounts: postgres, sessions: redis, others: postgres, apps: NEW, clock: clocks[1] });
      await before.register('ada');
      const pairs = [];
      const both = async (count, gap) => {
        for (let at = 0; at < count; at += 1) {
          const old = await before.signIn('ada', 'web');
          const first = one.does.exchange(old, 'web');
          await wait(gap(at));
          pairs.push(await Promise.all([first, two.does.exchange(old, 'web')]));
        }
      };
      await postgres.sql(SLOW_ROWS);
      // Each of them is a second behind for a while.
      for (const clock of clocks) {
        clock.set('-1');
        await both(12, (at) => 20 * (at % 4));
        clock.set('+0');
      }
      await postgres.sql('DROP TRIGGER slow ON cloakroom_sessions');
      await both(60, (at) => at % 3);
      await heard();
      const broken = [];
      for (const [first, second] of pairs) {
        const [x, y] = [given(first), given(second)];
        const alive = async (who) => who && (await one.accepts(who, 'web')) && two.accepts(who, 'web');
        if (!(await alive(x)) || !(await alive(y)) || x.session !== y.session) broken.push(`${first.status} and ${second.status} ${second.text.slice(0, 60)}`);
      }
      assert.deepEqual(broken, [], 'every exchange is answered with the one successor, which lives');
    },
  },

  'exchange-beside-end-others': {
    does: 'a session ends all others at one server while it is exchanged at another: one of it lives on',
    findings: ['R27', 'R16'],
    async play(stage) {
      const postgres = await stage.postgres();
      const before = await stage.server({ accounts: postgres, apps: app('web', 'session') });
      const [a, b] = await stage.servers(2, { accounts: postgres, apps: app('web', 'jwt', { migrate_from: ['session'] }) });
      const rounds = [];
      for (let at = 0; at < 24; at += 1) {
        await before.register(`ada${at}`);
        const old = await before.signIn(`ada${at}`);
        const ending = a.does.endOthers(old);
        await wait(at % 6);
        rounds.push([old, await Promise.all([ending, b.does.exchange(old, 'web')])]);
      }
      await heard();
      const lost = [];
      for (const [old, [ended, exchanged]] of rounds) {
        const successor = given(exchanged);
        const lives = [await b.accepts(old, 'web'), Boolean(successor) && (await b.renews(successor))];
        if (lives.filter(Boolean).length !== 1) lost.push(`end others ${ended.status}, exchange ${exchanged.status}: alive ${lives}`);
      }
      assert.deepEqual(lost, []);
    },
  },

  'app-end-beside-sign-in': {
    does: "an app's sessions are ended while a password is checked: the session that comes of it is one of those",
    findings: ['R7'],
    async play(stage) {
      const postgres = await stage.postgres();
      const [a, b] = await stage.servers(2, { accounts: postgres });
      // Hashing is made slow enough to be met.
      await b.restart({ change: (text) => text.replace('memory_kib = 7168', 'memory_kib = 262144').replace('passes = 5', 'passes = 8') });
      await b.register('ada');
      let answered = false;
      const signingIn = b.login('ada').finally(() => (answered = true));
      await wait(300);
      const ending = await a.command('session', 'revoke', '--app', 'web');
      assert.ok(acknowledged(ending) && !answered, 'the end came while the password was checked');
      const born = given(await signingIn);
      await heard();
      assert.ok(!born || !(await a.accepts(born, 'web')), 'a session that was admitted before its app was ended lives on');
    },
  },
};

/** By what a session can end; `stale` is its refresh token from before the last renewal, which is theft by now. */
const ENDS = {
  'another device': (server, { old, other }) => server.does.endOne(other, old.session),
  'an operator': (server, { old }) => server.command('session', 'revoke', old.session),
  'its refresh token': (server, { old }) => server.does.logoutBy(old.refresh_token),
  'its access token': (server, { old }) => server.does.logout(old),
  'everywhere, by another': (server, { other }) => server.does.logoutBy(other.refresh_token, { everywhere: true }),
  theft: async (server, { stale }) => ({ status: (await server.does.refresh(stale)).json.code === 'token_reused' ? 204 : 0 }),
  // Of everybody: so it comes last.
  'its method': (server) => server.command('session', 'revoke', '--app', 'web', '--method', 'jwt'),
};

/** A server with the old method, and two with the new one. */
async function migrating(stage, postgres, more = {}) {
  const before = await stage.server({ accounts: postgres, apps: app('web', 'jwt', more) });
  const after = await stage.servers(2, { accounts: postgres, apps: app('web', 'session', { migrate_from: ['jwt'], ...more }) });
  return [before, ...after];
}
