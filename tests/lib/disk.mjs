// A small file system in memory that can be filled. Only root may mount one.

import fs from 'node:fs';
import path from 'node:path';

import { must } from './process.mjs';

/** `options`: those of a tmpfs. */
export async function smallDisk(at, options) {
  fs.mkdirSync(at, { mode: 0o700 });
  await must('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', at]);
  const filler = path.join(at, 'filler');
  return {
    dir: at,
    /** Takes all the room that is left. */
    fill() {
      const file = fs.openSync(filler, 'a');
      const block = Buffer.alloc(4096);
      try {
        for (;;) fs.writeSync(file, block);
      } catch (error) {
        if (error.code !== 'ENOSPC') throw error;
      } finally {
        fs.closeSync(file);
      }
    },
    free: () => fs.rmSync(filler),
    remove: () => must('umount', [at]),
  };
}
