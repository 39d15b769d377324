// scripts/rolling-migration: a server of an older commit and one of this tree beside each other on one PostgreSQL. The older
// one makes the tables, the newer one changes them under it; then each goes on with what the other has written.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';

import { BIN, Cloakroom, credential, folder } from '../lib/cloakroom.mjs';
import { freePort, until } from '../lib/process.mjs';

const [old] = process.argv.slice(2);
const bin = path.join(process.env.TEST_POSTGRES_BIN, 'psql');
const psql = (url, statement) => execFileSync(bin, [url, '-X', '-A', '-t', '-c', statement], { encoding: 'utf8' }).trim();

const name = `cloakroom_rolling_${randomBytes(6).toString('hex')}`;
const server = process.env.TEST_POSTGRES;
const url = server.replace(/\/[^/]*$/, `/${name}`);
psql(server, `CREATE DATABASE ${name}`);
const version = () => psql(url, "SELECT version || ' (readable from ' || min_reader || ')' FROM cloakroom_schema");

const endings = [() => psql(server, `DROP DATABASE ${name} WITH (FORCE)`)];
const test = { after: (ending) => endings.push(ending) };
const env = { CLOAKROOM_STORE__ACCOUNTS: url, CLOAKROOM_SECRET: randomBytes(32).toString('base64') };
const one = await freePort();
const prepare = (port, more) => {
  const made = new Cloakroom(folder(test), port, { env, top: `public_url = "http://localhost:${one}"\n`, ...more });
  test.after(() => made.stop('SIGKILL'));
  return made;
};
const steps = [];
const step = async (what, work) => {
  await work();
  steps.push(what);
  console.log(`ok  ${what}`);
};

let status = 0;
try {
  const older = prepare(one, { bin: old });
  const newer = prepare(await freePort(), { bin: BIN });
  await older.start();
  await older.register('ada');
  const before = [await older.signIn('ada', 'web'), await older.signIn('ada', 'api')];
  const tables = version();
  await newer.start();
  console.log(`tables: ${tables} of the older commit, then ${version()}`);
  const known = async (at, who) => assert.equal((await at.verify(who)).status, 200);
  const refused = (at, who) => until('an end is heard', async () => (await at.verify(who)).status === 401, 10_000);
  const refresh = async (at, { refresh_token }) => {
    const answer = await at.ask('POST', '/v1/refresh', { body: { refresh_token } });
    assert.equal(answer.status, 200, answer.text);
  };
  await step('the newer server knows what the older one has written', async () => {
    for (const who of before) await known(newer, who);
    await refresh(newer, before[1]);
  });
  await step('the older server goes on beside it: it registers, signs in and renews', async () => {
    await older.register('bob');
    await known(newer, await older.signIn('bob', 'web'));
    await refresh(older, before[1]);
  });
  await step('the older server knows what the newer one has written', async () => {
    await newer.register('eve');
    await known(older, await newer.signIn('eve', 'web'));
  });
  await step('each hears of the ends of the other', async () => {
    const [here, there] = [await older.signIn('ada', 'web'), await newer.signIn('ada', 'web')];
    for (const [at, who, other] of [[older, here, newer], [newer, there, older]]) {
      await known(other, who);
      const headers = [...credential(who), ['Origin', `http://localhost:${one}`]];
      assert.equal((await at.ask('POST', '/v1/logout', { headers, body: {} })).status, 204);
      await refused(other, who);
    }
  });
  await step('the older server starts again on the newer tables', async () => {
    await older.stop();
    await older.start();
    for (const who of before) await known(older, who);
  });
  await step('the newer server goes on alone', async () => {
    await older.stop();
    for (const who of before) await known(newer, who);
    await refresh(newer, before[1]);
  });
  console.log(`${steps.length} of 6 held`);
} catch (error) {
  console.error(error.message);
  status = 1;
}
for (const ending of endings.reverse()) await ending();
process.exit(status);
