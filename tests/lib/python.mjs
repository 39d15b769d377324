// A Python of a test's own, with packages that are nobody else's.

import path from 'node:path';

import { must } from './process.mjs';

/** Answers the folder of its programs. */
export async function pythonWith(dir, ...packages) {
  const venv = path.join(dir, 'venv');
  const programs = path.join(venv, 'bin');
  await must('python3', ['-m', 'venv', venv]);
  await must(path.join(programs, 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]);
  return programs;
}
