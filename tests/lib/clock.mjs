// Clocks that a test sets. The wall clock alone, or with it the one that counts from the start of the machine.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { must } from './process.mjs';

/** Answers `set`, as in `set('+3600')`, and the environment of the programs that it is for. The boot clock stays true. */
export async function wallClock(dir, name = 'clock') {
  const file = path.join(dir, name);
  // Nobody reads half of it.
  const set = (offset) => {
    fs.writeFileSync(`${file}.new`, offset);
    fs.renameSync(`${file}.new`, file);
  };
  set('+0');
  // `faketime` knows where its library is.
  const output = await must('faketime', ['-f', '+0', 'sh', '-c', 'echo $LD_PRELOAD']);
  const library = output.trim().replace('libfaketime.so', 'libfaketimeMT.so');
  return { set, env: { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', DONT_FAKE_MONOTONIC: '1' } };
}

/**
 * Both clocks: whoever has its environment sleeps through the time by which it is set on, as a machine that is suspended. `bare` is the
 * environment of a program that does not start with libfaketime.
 */
export async function bothClocks(dir, name = 'clocks') {
  const { set, env } = await wallClock(dir, name);
  const library = await vdsoClock(dir);
  const { FAKETIME_TIMESTAMP_FILE } = env;
  return { set, env: { ...env, LD_PRELOAD: `${env.LD_PRELOAD}:${library}` }, bare: { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE, MOVE_WALL_CLOCK: '1' } };
}

/** The boot clock alone: set back by as long as a process stood still, it is that of a machine that its hypervisor paused. */
export async function onlyBootClock(dir, name = 'boot-clock') {
  const { set, env } = await wallClock(dir, name);
  return { set, env: { LD_PRELOAD: await vdsoClock(dir), FAKETIME_TIMESTAMP_FILE: env.FAKETIME_TIMESTAMP_FILE } };
}

async function vdsoClock(dir) {
  const library = path.join(dir, 'vdso-clock.so');
  const source = fileURLToPath(new URL('vdso-clock.c', import.meta.url));
  if (!fs.existsSync(library)) await must('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-o', library, source]);
  return library;
}
