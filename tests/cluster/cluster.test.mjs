// Three trials of scripts/cluster; it does all of them.

import assert from 'node:assert/strict';
import test from 'node:test';

import { report } from './report.mjs';
import { trial } from './trial.mjs';

for (const name of ['server-kill', 'feed-cut', 'redis-failover']) {
  test(`many servers under load: ${name}`, async (t) => {
    const judged = await trial(name, { quiet: [1500, 2500] });
    t.diagnostic(report([judged]));
    assert.deepEqual(judged.violations, [], `seed ${judged.seed}`);
    for (const kind of ['login', 'refresh', 'end', 'verify']) {
      assert.ok(judged.counts[kind]?.yes >= 5, `too few of ${kind} to show anything: ${JSON.stringify(judged.counts)}`);
    }
  });
}
