// Ten kills; scripts/crash does 200.

import assert from 'node:assert/strict';
import test from 'node:test';

import { crash } from './crash.mjs';

test('whatever was acknowledged holds after kill -9 under load', async (t) => {
  const sum = await crash(t, 10);
  t.diagnostic(JSON.stringify(sum));
  assert.equal(sum.kills, 10);
  for (const kind of ['logins', 'refreshes', 'logouts']) {
    assert.ok(sum[kind] >= 5, `too few ${kind} to show anything: ${sum[kind]}`);
  }
});
