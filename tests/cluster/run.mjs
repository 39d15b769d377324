// scripts/cluster: trials by name, one after the other, and a table of them.

import { FAULTS } from './faults.mjs';
import { report, reportScenarios, lacking } from './report.mjs';
import { SCENARIOS, play } from './scenarios/index.mjs';
import { trial } from './trial.mjs';

const names = process.argv.slice(2);
const all = { ...FAULTS, ...SCENARIOS };
if (names.includes('list')) {
  for (const [name, { does, findings }] of Object.entries(all)) console.log(`${name.padEnd(28)} ${does}${findings?.length ? ` (${findings.join(', ')})` : ''}`);
  process.exit(0);
}
const unknown = names.filter((name) => !all[name]);
if (unknown.length) {
  console.error(`scripts/cluster: no trial is called ${unknown.join(', ')}; there are: ${Object.keys(all).join(', ')}`);
  process.exit(2);
}

let broken = 0;
const rows = [];
const played = [];
for (const name of names.length ? names : Object.keys(all)) {
  const lacks = lacking(all[name]);
  process.stderr.write(`${name}: ${lacks ?? all[name].does}\n`);
  if (SCENARIOS[name]) {
    const outcome = lacks ? { name, skipped: lacks } : await play(name);
    broken += outcome.broken ? 1 : 0;
    played.push(outcome);
    if (outcome.broken) console.log(outcome.broken.replaceAll(/^/gm, `  ${name}: `));
    process.stderr.write(`${reportScenarios([outcome]).split('\n')[1]}\n`);
    continue;
  }
  if (lacks) {
    rows.push({ name, skipped: lacks });
    continue;
  }
  const judged = await trial(name);
  broken += judged.violations.length;
  for (const { rule, at, app, session, begin, why } of judged.violations.slice(0, 20)) {
    console.log(`  ${name}: ${rule}: ${why} (${[at, app, session, begin && `at ${Math.round(begin)} ms`].filter(Boolean).join(', ')})`);
  }
  if (judged.violations.length) console.log(`  ${name}: seed ${judged.seed}; ${JSON.stringify(judged.counts)}`);
  rows.push(judged);
  process.stderr.write(`${report([judged]).split('\n')[1]}\n`);
}
if (rows.length) console.log(report(rows));
if (played.length) console.log(reportScenarios(played));
process.exit(broken ? 1 : 0);
