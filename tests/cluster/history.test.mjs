// The history checker itself: each kind of broken promise, planted, is found; what a correct cluster does never is.
//
// The histories come from a small model of a cluster: ends stand in a log, verifiers hear of them late, some are cut off for a
// while, and a store fails over. Each of its rules can be left out.

import assert from 'node:assert/strict';
import test from 'node:test';

import { generator } from '../lib/generator.mjs';
import { judge } from './history.mjs';

const LAG = 2000;
const CUT = { from: 6000, to: 12_000, at: ['v1'] };
/** What was missed is heard so long after the line is whole. */
const SETTLING = 200;
const HEALED = CUT.to + 300;
const FAILOVER = 15_000;
const END = 25_000;
const VERIFIERS = ['s1', 's2', 's3', 'v1', 'v2'];
const APPS = { web: 'refuse', api: 'until_expiry' };

/** A promise that fits the model: who is cut off says nothing, or goes on by tokens. */
const promise = (more = {}) => ({
  lag: LAG,
  leeway: 5000,
  apps: APPS,
  spells: [{ ...CUT, to: CUT.to + SETTLING, errors: 1 }],
  healed: HEALED,
  ...more,
});

/** What 20 people do with 60 sessions in 25 s, as the model answers it. */
function history(seed, { lease = true, feed = true, reassertion = true, keepsLogins = true, keepsEnds = true } = {}) {
  const random = generator(seed);
  const between = (low, high) => low + random() * (high - low);
  const events = [];
  for (let at = 0; at < 60; at += 1) {
    const session = { id: `session-${at}`, account: `account-${at % 20}`, app: at % 2 ? 'api' : 'web' };
    const named = { session: session.id, account: session.account, app: session.app };
    const born = between(0, 3000);
    const login = { kind: 'login', at: 's1', begin: born, end: born + between(5, 50), answer: 'yes', ...named };
    events.push(login);
    const dies = random() < 0.6 ? between(4000, 20_000) : undefined;
    const logged = dies === undefined ? Infinity : dies + between(1, 20);
    if (dies !== undefined) {
      const answer = random() < 0.1 ? 'lost' : 'yes';
      events.push({ kind: 'end', at: 's2', begin: dies, end: logged + between(1, 30), answer, ...named });
    }
    const dropped = !feed && at === 3;
    const forgotten = !keepsLogins && at === 4;
    for (const verifier of VERIFIERS) {
      let heard = logged + between(0, 200);
      const cut = CUT.at.includes(verifier);
      if (cut && heard > CUT.from && heard < CUT.to) heard = CUT.to + between(0, SETTLING);
      for (let now = login.end + between(1, 400); now < END; now += between(100, 900)) {
        let answer = now >= heard ? 'ended' : 'yes';
        const leaseLost = cut && now > CUT.from + LAG && now < CUT.to + SETTLING;
        if (leaseLost && lease && APPS[session.app] === 'refuse') answer = 'unavailable';
        if (dropped && verifier === 'v2') answer = 'yes';
        if (!reassertion && now > FAILOVER && logged < FAILOVER) answer = 'yes';
        if (forgotten && now > FAILOVER) answer = 'no';
        if (!keepsEnds && now > logged + LAG) answer = 'yes';
        events.push({ kind: 'verify', at: verifier, begin: now, end: now + between(1, 40), answer, ...named });
      }
    }
  }
  return events;
}

/** The rules that were broken. */
function broken(events, more) {
  return new Set(judge(events, promise(more)).violations.map(({ rule }) => rule));
}

test('whatever a correct cluster answers is found correct', () => {
  for (let seed = 0; seed < 60; seed += 1) {
    const { violations, ends } = judge(history(seed), promise());
    assert.deepEqual(violations, [], `seed ${seed}`);
    assert.ok(Math.max(...ends.refuse) > 0 && Math.max(...ends.refuse) <= LAG, `seed ${seed}`);
  }
});

/** F062 */
test('a verifier that needs no lease is found out', () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const rules = broken(history(seed, { lease: false }));
    assert.ok(rules.has('late') && !rules.has('lost login'), `seed ${seed}: ${[...rules]}`);
  }
});

test('a feed that drops one message is found out', () => {
  const found = Array.from({ length: 20 }, (_, seed) => broken(history(seed, { feed: false })));
  // Where nobody ends that session there is nothing to find.
  const dies = (seed) => history(seed).some(({ kind, session }) => kind === 'end' && session === 'session-3');
  found.forEach((rules, seed) => assert.equal(rules.has('late') || rules.has('lost end'), dies(seed), `seed ${seed}: ${[...rules]}`));
  assert.ok(found.filter((rules) => rules.size).length > 5);
});

test('a failover after which the ends are not given again is found out', () => {
  for (let seed = 0; seed < 20; seed += 1) {
    assert.ok(broken(history(seed, { reassertion: false })).has('resurrected'), `seed ${seed}`);
  }
});

test('an end that was answered and is not kept is found out', () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const rules = broken(history(seed, { keepsEnds: false }));
    assert.ok(rules.has('lost end') || rules.has('resurrected'), `seed ${seed}: ${[...rules]}`);
  }
});

test('a login that was answered and is not kept is found out, unless the store may lose it', () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const events = history(seed, { keepsLogins: false });
    const mayLose = { from: 0, to: FAILOVER, loses: true };
    assert.deepEqual([...broken(events, { spells: [...promise().spells, mayLose] })], [], `seed ${seed}`);
    const ended = events.some(({ kind, session, begin }) => kind === 'end' && session === 'session-4' && begin < FAILOVER);
    assert.equal(broken(events).has('lost login'), !ended, `seed ${seed}`);
  }
});

// --- One rule at a time ---

const named = { session: 'a', account: 'ada', app: 'web' };
const event = (kind, begin, answer = 'yes', more = {}) => ({ kind, at: 's1', begin, end: begin + 10, answer, ...named, ...more });
const rules = (events, more) => [...broken(events, more)];

test('accepted within the lag is as promised, a moment later is not', () => {
  const events = [event('login', 0), event('end', 100), event('verify', 110 + LAG)];
  assert.deepEqual(rules(events), []);
  assert.deepEqual(rules([...events, event('verify', 111 + LAG)]), ['lost end']);
  assert.deepEqual(rules([...events, event('verify', 111 + LAG), event('verify', 3000, 'ended')]), ['late']);
});

test('who has refused it once never accepts it again; others have their lag', () => {
  const events = [event('login', 0), event('end', 100, 'lost'), event('verify', 200, 'ended')];
  assert.deepEqual(rules([...events, event('verify', 300, 'yes', { at: 'v1' })]), []);
  assert.deepEqual(rules([...events, event('verify', 300)]), ['resurrected']);
  assert.deepEqual(rules([...events, event('verify', 300)], { crowds: ['s1'] }), []);
  assert.deepEqual(rules([...events, event('verify', 2300, 'yes', { at: 'v1' })]), ['lost end']);
});

test('an end of everything covers the sessions before it, and none after it', () => {
  const everywhere = { ...event('end', 100), session: undefined };
  assert.deepEqual(rules([event('login', 0), everywhere, event('verify', 5000)]), ['lost end']);
  assert.deepEqual(rules([event('login', 95), everywhere, event('verify', 5000)]), [], 'beside it either is right');
  assert.deepEqual(rules([event('login', 95), everywhere, event('verify', 5000, 'ended')]), []);
  assert.deepEqual(rules([event('login', 200), everywhere, event('verify', 5000)]), []);
  assert.deepEqual(rules([event('login', 200), everywhere, event('verify', 5000, 'ended')]), ['lost login']);
});

test('an end without an answer binds nobody', () => {
  const events = [event('login', 0), event('end', 100, 'lost')];
  assert.deepEqual(rules([...events, event('verify', 9000)]), []);
  assert.deepEqual(rules([...events, event('verify', 9000, 'ended')]), []);
});

test('a token without a feed goes on until it expires, and no longer', () => {
  const token = { app: 'api', at: 'v1', expires: 9000 };
  const events = [event('login', 0, 'yes', token), event('end', 5000, 'yes', token)];
  const healed = (moment) => ({ healed: moment, spells: [] });
  assert.deepEqual(rules([...events, event('verify', 8000, 'yes', token)], healed(20_000)), []);
  assert.deepEqual(rules([...events, event('verify', 8000, 'yes', token)], healed(7500)), ['lost end']);
  assert.deepEqual(rules([...events, event('verify', 8000, 'yes', { ...token, app: 'web' })], healed(20_000)), ['lost end']);
  assert.deepEqual(rules([...events, event('verify', 14_001, 'yes', token)], healed(20_000)), ['beyond its life']);
  assert.deepEqual(rules([...events, event('refresh', 8000, 'yes', token)], healed(20_000)), ['lost end'], 'nobody renews it');
  const refused = event('verify', 6000, 'ended', token);
  assert.deepEqual(rules([...events, refused, event('verify', 8000, 'yes', token)], healed(20_000)), ['resurrected']);
});

test('after a rotation without an answer a refusal proves nothing', () => {
  const events = [event('login', 0), event('refresh', 100, 'lost')];
  assert.deepEqual(rules([...events, event('refresh', 9000, 'no')]), []);
  assert.deepEqual(rules([event('login', 0), event('refresh', 9000, 'no')]), ['lost login']);
});

test('verifications without an answer are counted against what is allowed then and there', () => {
  const events = [event('login', 0), ...Array.from({ length: 10 }, (_, at) => event('verify', 100 * at, at < 3 ? 'unavailable' : 'yes'))];
  assert.deepEqual(rules(events, { spells: [] }), ['errors']);
  assert.deepEqual(rules(events, { spells: [{ from: 0, to: 990, errors: 0.3 }] }), []);
  assert.deepEqual(rules(events, { spells: [{ from: 0, to: 990, errors: 0.2 }] }), ['errors']);
  assert.deepEqual(rules(events, { spells: [{ from: 0, to: 990, errors: 1, at: ['s2'] }] }), ['errors']);
});

test('what goes on without a feed is counted apart from what does not', () => {
  const token = { session: 'b', app: 'api' };
  const many = (answer, more) => Array.from({ length: 10 }, (_, at) => event('verify', 100 * at, answer, more));
  const spells = [{ name: 'cut off', from: 0, to: 990, errors: { refuse: 1, until_expiry: 0.1 } }];
  const events = [event('login', 0), event('login', 0, 'yes', token), ...many('unavailable'), ...many('yes', token)];
  assert.deepEqual(rules(events, { spells }), []);
  assert.deepEqual(rules([...events, event('verify', 50, 'lost', token)], { spells }), [], '1 of 11');
  assert.deepEqual(rules([...events, ...many('unavailable', token)], { spells }), ['errors']);
  const counted = judge(events, promise({ spells })).spells.map(({ name, unanswered }) => [name, unanswered]);
  assert.deepEqual(counted, [['cut off, refuse', 10], ['cut off, until_expiry', 0], ['otherwise', 0]]);
});

test('where nobody may be refused, anything without an answer is found out', () => {
  const events = [event('login', 0), event('login', 100, 'unavailable', { session: undefined }), event('end', 5000, 'lost')];
  const unrefused = (from) => ({ spells: [{ from, to: 9000, unrefused: ['s1'] }] });
  assert.deepEqual(rules(events, unrefused(6000)), []);
  assert.deepEqual(rules(events, unrefused(200)), ['refused request']);
  assert.equal(judge(events, promise(unrefused(50))).violations.length, 2);
});
