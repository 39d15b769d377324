// One trial: a cluster under load, a fault, and the judgement of what was answered.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { wallClock } from '../lib/clock.mjs';
import { smallDisk } from '../lib/disk.mjs';
import { wait } from '../lib/process.mjs';
import { Cluster, LAG, ON_FEED_LOSS } from './cluster.mjs';
import { FAULTS, during } from './faults.mjs';
import { judge } from './history.mjs';
import { Load } from './load.mjs';

/** Before the fault, and after it is undone. */
const QUIET = [3000, 5000];
const EXP_LEEWAY = 5000;
/** On a machine that is busy with other things a lease is late now and then, and whoever asked is told to try again. */
const ERRORS = 0.01;

/** Answers what the history checker says of a trial, with its figures; throws where there could be none. */
export async function trial(name, { seed = Date.now(), quiet = QUIET } = {}) {
  const fault = FAULTS[name];
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'cloakroom-cluster-'));
  fs.chmodSync(dir, 0o755);
  const clock = fault.clock ? await wallClock(dir) : undefined;
  const disk = fault.disk ? await smallDisk(path.join(dir, 'disk'), 'size=120m,mode=755') : undefined;
  let cluster;
  try {
    cluster = await Cluster.start(dir, { stores: fault.stores, env: clock?.env, postgresDir: disk?.dir });
    const load = await Load.start(cluster, seed);
    const spells = [];
    await wait(quiet[0]);
    await fault.inject({ cluster, load, clock, disk, during: during(spells, () => load.now()) });
    await wait(quiet[1]);
    await load.stop();
    const healed = await load.healed();
    await load.sweep();
    const reads = await warmReads(cluster, load);
    load.close();
    const judged = judge(load.events, { lag: LAG, leeway: EXP_LEEWAY, apps: ON_FEED_LOSS, crowds: ['nginx'], errors: ERRORS, healed, spells });
    for (const why of load.strange) judged.violations.push({ rule: 'strange answer', why });
    return { name, seed, ...judged, reads, events: load.events };
  } finally {
    await cluster?.stop();
    await disk?.remove();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** What 20 rounds of everybody's sessions cost the stores, when all is well again. */
async function warmReads(cluster, load) {
  const living = load.sessions.filter(({ state, cookie }) => state === 'alive' && cookie).slice(0, 20);
  const servers = load.places.slice(0, 3);
  const round = () => Promise.all(living.flatMap((session) => servers.map((place) => load.verify(place, session))));
  await round();
  const before = await cluster.reads();
  for (let at = 0; at < 20; at += 1) await round();
  const after = await cluster.reads();
  const sum = (from) => after.reduce((sum, counts, at) => sum + counts[from] - before[at][from], 0);
  return { cache: sum('cache'), source: sum('source') };
}
