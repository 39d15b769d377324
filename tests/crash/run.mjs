// scripts/crash: the suite's crash test, as often as is asked for.

import { crash } from './crash.mjs';

const times = Number(process.argv[2] ?? 200);
const seed = process.argv[3] === undefined ? Date.now() : Number(process.argv[3]);
if (!Number.isSafeInteger(times) || times < 1 || !Number.isSafeInteger(seed)) {
  console.error('usage: scripts/crash [TIMES [SEED]]');
  process.exit(2);
}

const endings = [];
const test = { after: (ending) => endings.push(ending) };
let status = 0;
try {
  const sum = await crash(test, times, {
    seed,
    progress: (sum) => process.stderr.write(`\rkill ${sum.kills} of ${times}`),
  });
  process.stderr.write('\n');
  const done = `${sum.logins} logins, ${sum.refreshes} rotations, ${sum.logouts} sign-outs, ${sum.everywhere} of everything, and ${sum.thefts} ends by a spent token`;
  console.log(`${sum.kills} kills: ${done} were acknowledged, and held. Longest start: ${sum.longestStart} ms. Seed ${seed}.`);
} catch (error) {
  process.stderr.write('\n');
  console.error(error.message);
  status = 1;
}
for (const ending of endings.reverse()) await ending();
process.exit(status);
