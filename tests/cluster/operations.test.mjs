// The model of the operations: that what two serial orders allow is taken, and what neither allows is seen.

import assert from 'node:assert/strict';
import test from 'node:test';

import { OPERATIONS, beginning, isSeen } from './operations.mjs';

const ALL = ['one.web', 'one.api', 'one.moved', 'two.web', 'third.web'];
const asker = (session, more = {}) => ({ session, who: session.split('.')[0], tag: 'x', ...more });
const step = (state, operation, who) => OPERATIONS[operation].model(state, who);
const sessions = Object.fromEntries([...ALL, 'new.x', 'successor.one'].map((name) => [name, {}]));
const sees = (state, alive, works = ['first']) => isSeen(state, { alive: new Set(alive), works }, sessions);

test('who ends the others stays, and nobody else does', () => {
  const [{ ok, state }] = step(beginning(ALL), 'end others', asker('one.web'));
  assert.ok(ok && sees(state, ['one.web']));
  assert.ok(!sees(state, ['one.web', 'two.web']), 'one that came back is seen');
  assert.ok(!sees(state, []), 'one that was lost is seen');
});

test('who has ended acts no more', () => {
  const [{ state }] = step(beginning(ALL), 'end everything', asker('one.web'));
  for (const operation of ['end others', 'change password', 'delete account', 'exchange', 'end one', 'end everything']) {
    assert.deepEqual(step(state, operation, asker('one.moved', { target: 'two.web' })).map(({ ok }) => ok), [false], operation);
  }
});

test('of two changes of a password the second is refused, and the first one works', () => {
  const [{ state }] = step(beginning(ALL), 'change password', asker('one.web'));
  assert.equal(step(state, 'change password', asker('two.web', { tag: 'y' }))[0].ok, false);
  assert.ok(sees(state, ['new.x'], ['changed.x']));
  assert.ok(!sees(state, ['new.x'], ['changed.y']), 'the password of who lost is seen');
  assert.ok(!sees(state, ['new.x', 'one.web'], ['changed.x']), 'a session from before is seen');
});

test('an end of what was exchanged ends what took its place', () => {
  const [{ state }] = step(beginning(ALL), 'exchange', asker('one.moved'));
  assert.ok(state.alive.has('successor.one') && !state.alive.has('one.moved'));
  const [ended] = step(state, 'end own', asker('one.moved'));
  assert.ok(ended.ok && !ended.state.alive.has('successor.one'));
});

test('what nobody was handed cannot be looked for', () => {
  const [{ state }] = step(beginning(ALL), 'sign in', { tag: 'y' });
  assert.ok(sees(state, ALL));
});
