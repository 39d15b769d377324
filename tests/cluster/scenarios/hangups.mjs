// Clients that leave in the middle of an operation. Afterwards it is done or it is not, and the server is well.

import assert from 'node:assert/strict';

import { until, wait } from '../../lib/process.mjs';
import { OPERATIONS, apps, beginning, crowd, describe, does, isSeen, person, seen } from '../operations.mjs';
import { LAG } from '../stage.mjs';

/** Clients leave at so many moments between the request and about when its answer comes. */
const MOMENTS = 12;
const GUESS = { password: 'no password of hers 1' };

const sweep = (leave) =>
  async function hangUps(stage) {
    const accounts = await stage.postgres();
    // Whoever lost the answer of a renewal shows the old token until the end.
    const { before: old, after } = apps('5m');
    const before = await stage.server({ accounts, apps: old });
    const [a, b] = await stage.servers(2, { accounts, apps: after });
    const rounds = [];
    // What an operator asks has no client that could leave.
    for (const [operation, { request, by = ['web'] }] of Object.entries(OPERATIONS).filter(([, { request }]) => request)) {
      const usual = await duration(stage, { before, a }, operation, by[0]);
      const moments = Array.from({ length: MOMENTS }, (_, at) => ({ operation, request, usual, by: by[at % by.length], after: (1.1 * usual * at) / (MOMENTS - 1) }));
      await crowd(moments, async (round) => Object.assign(round, await person(stage, { before, a }, [operation])));
      for (const round of moments) {
        const session = `one.${round.by}`;
        round.asker = { ...round, who: 'one', tag: 'x', session, held: round.sessions[session], target: 'two.web' };
        await a.hangUp(leave, request(a, round.asker), round.after);
      }
      rounds.push(...moments);
    }
    await wait(2 * LAG);
    const broken = [];
    await crowd(rounds, async ({ operation, asker, usual, after, ...round }) => {
      const begun = beginning(Object.keys(round.sessions));
      const allowed = [begun, ...OPERATIONS[operation].model(begun, asker).map(({ state }) => state)];
      const found = await seen(round, [a, b]);
      const what = `${operation} by ${asker.session}, left after ${after.toFixed(1)} of ${usual.toFixed(1)} ms`;
      if (!allowed.some((state) => isSeen(state, found, round.sessions))) broken.push(`${what}: ${describe(found)}`);
      broken.push(...found.strange.map((each) => `${what}: ${each}`));
    });
    broken.push(...(await guesses([a, b], leave)), ...(await places(a, leave)));
    assert.deepEqual(broken, []);
  };

const scenario = (leave) => ({
  does: `clients leave in the middle of each operation, of guesses and of sign-ins (${leave})`,
  findings: ['R4', 'R5', 'R27'],
  play: sweep(leave),
});

export const hangUps = {
  'hang-ups-http1': scenario('HTTP/1.1, reset'),
  'hang-ups-http2-stream': scenario('HTTP/2, stream reset'),
  'hang-ups-http2-connection': scenario('HTTP/2, connection lost'),
};

/** How long the operation takes when nobody leaves: the middle one of three. */
async function duration(stage, servers, operation, kind) {
  const took = [];
  for (let at = 0; at < 3; at += 1) {
    const round = await person(stage, servers, [operation]);
    const asker = { ...round, who: 'one', tag: 'x', by: kind, session: `one.${kind}`, held: round.sessions[`one.${kind}`], target: 'two.web', clashes: [] };
    const began = performance.now();
    const { ok, answer } = await does(servers.a, operation, asker);
    assert.ok(ok, `${operation}: ${answer.status} ${answer.text}`);
    took.push(performance.now() - began);
  }
  return took.sort((one, other) => one - other)[1];
}

/** Guesses count, though nobody waits for what comes of them. */
async function guesses([a, b], leave) {
  await a.register('guessed');
  for (let at = 0; at < 30; at += 1) await a.hangUp(leave, a.requests.login('guessed', 'web', GUESS), 8);
  await wait(1000);
  const answers = [await a.does.login('guessed', 'web', GUESS), await b.does.login('guessed', 'web', GUESS)];
  return answers.filter(({ status }) => status !== 429).map(({ status }) => `after 30 guesses whose clients left, the next one: ${status}`);
}

/** No place stays taken by somebody who has left. */
async function places(server, leave) {
  for (const name of ['here', 'there']) await server.register(name);
  for (let at = 0; at < 200; at += 1) await server.hangUp(leave, server.requests.login('here'), at % 20);
  await until('the sign-ins are over', async () => (await server.login('there')).status === 200, 30_000);
  const { status } = await server.ask('GET', '/readyz');
  return status === 200 ? [] : [`after 200 sign-ins whose clients left, /readyz: ${status}`];
}
