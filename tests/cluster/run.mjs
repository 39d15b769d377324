// scripts/cluster: trials by name, one after the other, and a table of them.

import { FAULTS } from './faults.mjs';
import { report, lacking } from './report.mjs';
import { trial } from './trial.mjs';

const names = process.argv.slice(2);
if (names.includes('list')) {
  for (const [name, { does }] of Object.entries(FAULTS)) console.log(`${name.padEnd(18)} ${does}`);
  process.exit(0);
}
const unknown = names.filter((name) => !FAULTS[name]);
if (unknown.length) {
  console.error(`scripts/cluster: no fault is called ${unknown.join(', ')}; there are: ${Object.keys(FAULTS).join(', ')}`);
  process.exit(2);
}

let broken = 0;
const rows = [];
for (const name of names.length ? names : Object.keys(FAULTS)) {
  const lacks = lacking(FAULTS[name]);
  if (lacks) {
    rows.push({ name, skipped: lacks });
    continue;
  }
  process.stderr.write(`${name}: ${FAULTS[name].does}\n`);
  const judged = await trial(name);
  broken += judged.violations.length;
  for (const { rule, at, app, session, begin, why } of judged.violations.slice(0, 20)) {
    console.log(`  ${name}: ${rule}: ${why} (${[at, app, session, begin && `at ${Math.round(begin)} ms`].filter(Boolean).join(', ')})`);
  }
  if (judged.violations.length) console.log(`  ${name}: seed ${judged.seed}; ${JSON.stringify(judged.counts)}`);
  rows.push(judged);
  process.stderr.write(`${report([judged]).split('\n')[1]}\n`);
}
console.log(report(rows));
process.exit(broken ? 1 : 0);
