// All pairs of operations on one account, at two servers at once. What can be seen afterwards must be what one of the two orders allows.

import assert from 'node:assert/strict';

import { generator } from '../../lib/generator.mjs';
import { wait } from '../../lib/process.mjs';
import { KINDS, OPERATIONS, apps, beginning, crowd, describe, does, isSeen, person, seen } from '../operations.mjs';
import { LAG, kidOf } from '../stage.mjs';

/** The longest that one begins before the other, in milliseconds. */
const APART = 25;

/** `rounds`: of each pair, by one device and by two. */
const play = ({ withRedis, rounds }) =>
  async function pairs(stage) {
    const { a, b, before, clock } = await cast(stage, withRedis);
    const seed = Number(process.env.SEED ?? Date.now() % 2 ** 32);
    const random = generator(seed);
    const names = Object.keys(OPERATIONS);
    const only = process.env.ONLY;
    const table = names.flatMap((x, at) => names.slice(at).map((y) => [x, y])).filter((pair) => !only || pair.includes(only));
    const all = table.flatMap((pair) => ['one', 'two'].flatMap((second) => Array.from({ length: rounds }, () => ({ pair, second }))));
    const broken = [];
    let minutes = 0;
    while (all.length) {
      const batch = all.splice(0, 48);
      await crowd(batch, async (round) => Object.assign(round, await person(stage, { before, a }, round.pair), { clashes: [] }));
      // All tokens have been used for longer than a grace period: a renewal rotates.
      minutes += 1;
      clock.set(`+${60 * minutes}`);
      await wait(LAG);
      await crowd(batch, (round) => race(round, random() < 0.5 ? [a, b] : [b, a], random));
      await wait(2 * LAG);
      await crowd(batch, async (round) => broken.push(...(await judge(round, [a, b]))));
    }
    assert.deepEqual(broken, [], `seed ${seed}`);
  };

export const pairs = {
  'pairs-postgres': {
    does: `each pair of ${Object.keys(OPERATIONS).length} operations on an account at two servers at once, with everything in PostgreSQL`,
    findings: ['R2', 'R3', 'R16', 'R17', 'R27', 'R30'],
    needs: 'boot clock',
    play: play({ withRedis: false, rounds: 2 }),
  },
  'pairs-redis': {
    does: 'the same with sessions in Redis',
    findings: ['R2', 'R3', 'R16', 'R17', 'R27', 'R30'],
    needs: 'boot clock',
    play: play({ withRedis: true, rounds: 1 }),
  },
  'pairs-key-kill': {
    does: 'each operation at one server while the signing key is killed at another',
    findings: ['R18'],
    needs: 'boot clock',
    async play(stage) {
      const { a, b, before } = await cast(stage, false);
      const random = generator(Date.now());
      const broken = [];
      for (const operation of Object.keys(OPERATIONS)) {
        const round = { pair: [operation], second: 'one', clashes: [], ...(await person(stage, { before, a }, [operation])) };
        const killed = kidOf(round.sessions['one.api'].access_token);
        const tokens = ['one.api', 'two.api'].map((which) => ({ access_token: round.sessions[which].access_token }));
        const killing = wait(random() * APART).then(() => a.must('key', 'kill', killed));
        await Promise.all([killing, race(round, [b], random)]);
        await wait(2 * LAG);
        broken.push(...(await judge(round, [a, b])));
        for (const server of [a, b]) {
          for (const token of tokens) if (await server.accepts(token)) broken.push(`${operation}: a token of the killed key is accepted`);
          if ((await server.publishedKeys()).includes(killed)) broken.push(`${operation}: the killed key is published`);
        }
      }
      assert.deepEqual(broken, []);
    },
  },
};

async function cast(stage, withRedis) {
  const clock = await stage.bothClocks();
  const accounts = await stage.postgres({ clock });
  const sessions = withRedis ? await stage.redis({ clock }) : undefined;
  const { before: old, after } = apps('30s');
  const before = await stage.server({ accounts, sessions, clock, apps: old });
  const [a, b] = await stage.servers(2, { accounts, sessions, clock, apps: after });
  return { clock, before, a, b };
}

/** Both at once, each at a server of its own. */
async function race(round, servers, random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const askers = round.pair.map((operation, at) => {
    const who = at === 0 ? 'one' : round.second;
    const by = pick(OPERATIONS[operation].by ?? KINDS);
    return { ...round, who, tag: 'xy'[at], by, session: `${who}.${by}`, held: round.sessions[`${who}.${by}`] };
  });
  for (const [at, asker] of askers.entries()) {
    const others = Object.keys(round.sessions).filter((which) => which !== asker.session);
    const rival = askers[1 - at]?.session;
    // Most of the time it is the session with which the other one asks.
    asker.target = rival && rival !== asker.session && random() < 0.7 ? rival : pick(others);
  }
  const delays = askers.map(() => random() * APART);
  const outcomes = askers.map(async (asker, at) => {
    await wait(delays[at]);
    return does(servers[at], round.pair[at], asker);
  });
  Object.assign(round, { askers, delays, outcomes: await Promise.all(outcomes) });
}

/** What is broken, in words. */
async function judge(round, servers) {
  const { pair, askers, outcomes, sessions, clashes } = round;
  const found = await seen(round, servers);
  const steps = pair.map((operation, at) => ({ ...OPERATIONS[operation], asker: askers[at], ok: outcomes[at].ok }));
  const orders = steps.length > 1 ? [steps, [...steps].reverse()] : [steps];
  const allowed = orders.flatMap((order) => after(order, beginning(STARTING)));
  const broken = [...clashes, ...found.strange];
  if (!allowed.some((state) => isSeen(state, found, sessions))) {
    const either = allowed.map((state) => describe({ alive: state.alive, works: [state.account, state.password] }));
    broken.push(`${describe(found)}; allowed: ${either.join(' | ') || 'no such answers'}`);
  }
  // What a disabled account had does not come back with it.
  if (allowed.some(({ account }) => account === 'disabled') && (await servers[0].command('account', 'enable', round.email)).code === 0) {
    await wait(LAG);
    const { alive } = await seen({ ...round, passwords: {} }, servers);
    if (alive.size) broken.push(`enabled again, ${[...alive].join(' ')} lives`);
  }
  const told = steps.map(({ asker, ok }, at) => {
    const { status, code, text } = outcomes[at].answer;
    const why = status >= 400 ? ` ${/"code":"(\w+)"/.exec(text)?.[1]}` : '';
    const what = pair[at] === 'end one' ? `end ${asker.target}` : pair[at];
    return `${what} by ${asker.session} after ${Math.round(round.delays[at])} ms: ${ok} (${status ?? `exit ${code}`}${why})`;
  });
  return broken.map((what) => `${told.join('; ')}: ${what}`);
}

const STARTING = [...['one', 'two'].flatMap((who) => KINDS.map((kind) => `${who}.${kind}`)), 'third.web'];

/** The states after these steps in this order, with the answers that there were. */
function after(steps, state) {
  if (!steps.length) return [state];
  const [{ model, asker, ok, mayBeDropped }, ...rest] = steps;
  const outcomes = model(state, asker).filter((outcome) => ok === undefined || outcome.ok === undefined || outcome.ok === ok);
  // Of what was not answered nobody knows whether it was done.
  const dropped = ok === undefined || (mayBeDropped && ok === false) ? [{ state }] : [];
  return [...outcomes, ...dropped].flatMap((outcome) => after(rest, outcome.state));
}
