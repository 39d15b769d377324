// A wall clock that a test sets; the clocks that count from the start of the machine stay true.

import fs from 'node:fs';
import path from 'node:path';

import { must } from './process.mjs';

/** Answers `set`, as in `set('+3600')`, and the environment of the programs that it is for. */
export async function wallClock(dir) {
  const file = path.join(dir, 'clock');
  const set = (offset) => fs.writeFileSync(file, offset);
  set('+0');
  // `faketime` knows where its library is.
  const output = await must('faketime', ['-f', '+0', 'sh', '-c', 'echo $LD_PRELOAD']);
  const library = output.trim().replace('libfaketime.so', 'libfaketimeMT.so');
  return { set, env: { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', DONT_FAKE_MONOTONIC: '1' } };
}
