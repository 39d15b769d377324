// Keys that are killed, made and wrapped anew at one server while another serves.

import assert from 'node:assert/strict';

import { freePort, until, wait } from '../../lib/process.mjs';
import { APPS, PAST_EVERY_HOLD, app, heard, kidOf, newSecret } from '../stage.mjs';

/** How long before a key is due the next one is made, and a few seconds more. */
const SHORTLY_BEFORE_THE_NEXT = 86_400 - 900 - 20;

export const keys = {
  'key-kill': {
    does: 'a signing key is killed at one server, a second after a stranger has shown another one a token of no key; a verifier follows that one',
    findings: ['R10', 'R18'],
    needs: 'boot clock',
    async play(stage) {
      const clock = await stage.bothClocks();
      const postgres = await stage.postgres({ clock });
      const port = await freePort();
      stage.publicUrl = `http://localhost:${port}`;
      const apps = app('api', 'jwt', { on_feed_loss: 'refuse' });
      const b = await stage.server({ accounts: postgres, apps, clock, port });
      const a = await stage.server({ accounts: postgres, apps, clock });
      const remote = await stage.verifier(b, ['api'], { clock });
      await a.register('ada');
      const before = await a.signIn('ada', 'api');
      const killed = kidOf(before.access_token);
      await until('the verifier accepts', async () => (await remote.verify(before, 'api')).status === 200);
      const head = Buffer.from(JSON.stringify({ alg: 'EdDSA', typ: 'at+jwt', kid: 'zzzzz' })).toString('base64url');
      const garbage = [head, ...before.access_token.split('.').slice(1)].join('.');
      assert.equal(await b.accepts({ access_token: garbage }), false);
      await a.must('key', 'kill', killed);
      await heard();
      for (const passed of ['+0', '+400', PAST_EVERY_HOLD]) {
        clock.set(passed);
        await heard();
        for (const [name, server] of Object.entries({ a, b })) {
          assert.ok(!(await server.publishedKeys()).includes(killed), `${passed} s: ${name} publishes the killed key`);
          const who = await server.signIn('ada', 'api');
          assert.notEqual(kidOf(who.access_token), killed, `${passed} s: ${name} signs with the killed key`);
          for (const other of [a, b]) assert.ok(await other.accepts(who), `${passed} s: what ${name} signs is accepted`);
          assert.equal((await remote.verify(who, 'api')).status, 200, `${passed} s: what ${name} signs is accepted by the verifier`);
        }
        assert.notEqual((await remote.verify(before, 'api')).status, 200, `${passed} s: the verifier takes what the killed key signed`);
        assert.equal(await b.accepts(before), false);
      }
    },
  },

  'key-kill-replaces': {
    does: 'the key of all tickets is killed at one server, several times, and people sign in at another at once',
    findings: ['R18'],
    async play(stage) {
      const postgres = await stage.postgres();
      const [a, b] = await stage.servers(2, { accounts: postgres });
      await a.register('ada');
      const broken = [];
      for (let at = 0; at < 8; at += 1) {
        const kid = await postgres.sql("SELECT kid FROM cloakroom_keys WHERE purpose = 'mac' AND killed IS NULL ORDER BY ordinal DESC LIMIT 1");
        await wait(1200);
        const killing = a.must('key', 'kill', kid);
        while (true) {
          const answer = await b.login('ada');
          if (answer.status >= 500) broken.push(`while it is killed: ${answer.status} ${answer.json.code}`);
          if (await Promise.race([killing.then(() => true), wait(1).then(() => false)])) break;
        }
        await heard();
        const answer = await b.login('ada');
        if (answer.status !== 200 || !(await a.accepts({ cookie: answer.cookies[0] }))) broken.push(`after the kill: ${answer.status}`);
      }
      assert.deepEqual(broken, [], 'refused sign-ins');
    },
  },

  'key-rotate': {
    does: 'the next key is made at one server, and published by the other before it is used',
    findings: ['R18'],
    async play(stage) {
      const [a, b] = await stage.servers(2, { accounts: await stage.postgres() });
      const { made } = JSON.parse(await a.must('key', 'rotate', '--json'));
      assert.ok(made.length > 0);
      await heard();
      assert.deepEqual(await b.publishedKeys(), await a.publishedKeys());
    },
  },

  'rewrap-left-out': {
    does: 'the master secret is changed while a server that was left out serves on; keys are killed, made and due meanwhile',
    findings: ['R9', 'R23'],
    async play(stage) {
      const clock = await stage.wallClock();
      const postgres = await stage.postgres({ clock });
      const options = { accounts: postgres, apps: APPS, top: ['keys.rotation = "1d"'], clock };
      const [a, b] = await stage.servers(2, options);
      await a.register('ada');
      const before = await a.signIn('ada', 'api');
      for (const server of [a, b]) await server.stop('SIGKILL');
      clock.set(`+${SHORTLY_BEFORE_THE_NEXT}`);
      for (const server of [a, b]) await server.start();
      const secret = newSecret();
      Object.assign(a.env, { CLOAKROOM_SECRET: secret, CLOAKROOM_SECRET_OLD: stage.secret });
      await a.must('key', 'rewrap');
      await a.stop('SIGTERM');
      delete a.env.CLOAKROOM_SECRET_OLD;
      // The next keys are due: the server with the old secret makes none, or none that would shut the others out.
      await wait(65_000);
      await a.start();
      await a.renew(before);
      const killed = kidOf(before.access_token);
      await a.must('key', 'kill', killed);
      await heard();
      assert.ok(!(await b.publishedKeys()).includes(killed), 'the server that was left out publishes a killed key');
      const made = await a.signIn('ada', 'api');
      assert.notEqual((await b.verify(made)).status, 401, 'it calls invalid what it cannot read');
      const late = await b.login('ada', 'api');
      if (late.status === 200) assert.notEqual(kidOf(late.json.access_token), killed, 'it signs with a killed key');
      assert.equal((await b.ask('GET', '/readyz')).status, 503, 'another server would be better off');
      await stage.server({ ...options, secret });
    },
  },
};
