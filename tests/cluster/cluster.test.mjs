// A few of the trials of scripts/cluster; it does all of them.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { ROOT } from '../lib/cloakroom.mjs';
import { FAULTS } from './faults.mjs';
import { lacking, report } from './report.mjs';
import { SCENARIOS, play } from './scenarios/index.mjs';
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

for (const name of ['others-at-once', 'password-at-once', 'cut-sign-out', 'exchange-beside-end-others', 'hold-outlasts-configuration', 'key-kill']) {
  test(`several servers: ${name}: ${SCENARIOS[name].does}`, { skip: lacking(SCENARIOS[name]) }, async () => {
    const { broken } = await play(name);
    assert.equal(broken, undefined);
  });
}

test('every scenario is named where its findings are, and nothing else is', () => {
  const text = fs.readFileSync(path.join(ROOT, 'docs/security/findings.md'), 'utf8');
  const rows = text.matchAll(/^\| (R\d+) \|.*\| (.*) \|$/gm);
  const named = [...rows].flatMap(([, finding, tests]) => [...tests.matchAll(/`([a-z0-9]+(?:-[a-z0-9]+)+)`/g)].map(([, name]) => `${finding} ${name}`));
  const declared = Object.entries(SCENARIOS).flatMap(([name, { findings }]) => findings.map((finding) => `${finding} ${name}`));
  assert.deepEqual(named.filter((line) => !FAULTS[line.split(' ')[1]]).sort(), declared.sort());
});
