// All scenarios, by name: what each does, the findings of docs/security/findings.md that it stands for, and how it is played.

import { Stage } from '../stage.mjs';
import { clocks } from './clocks.mjs';
import { compose } from './compose.mjs';
import { ends } from './ends.mjs';
import { exchange } from './exchange.mjs';
import { failover } from './failover.mjs';
import { hangUps } from './hangups.mjs';
import { keys } from './keys.mjs';
import { pairs } from './pairs.mjs';
import { standstill } from './standstill.mjs';

export const SCENARIOS = { ...ends, ...exchange, ...keys, ...clocks, ...standstill, ...failover, ...pairs, ...hangUps, ...compose };

/** Plays one; `broken`: what did not hold. */
export async function play(name) {
  const { findings, play } = SCENARIOS[name];
  const stage = Stage.set();
  const began = performance.now();
  // A request that nobody waits for yet may fail first.
  let stray;
  const failed = (error) => (stray ??= error);
  process.on('unhandledRejection', failed);
  let broken;
  try {
    await play(stage);
    if (stray) throw stray;
  } catch (error) {
    broken = error.code === 'ERR_ASSERTION' ? error.message : error.stack;
  } finally {
    await stage.clear();
    process.off('unhandledRejection', failed);
  }
  return { name, findings, broken, seconds: (performance.now() - began) / 1000 };
}
