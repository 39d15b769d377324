// What can go wrong, by name: with which stores, how it is done and undone, and what the promise says meanwhile.
//
// `during` tells the history checker of a spell: what it says holds from its beginning until `settling` after its end.

import { run, until, wait } from '../lib/process.mjs';

/** How long what was away needs at most to be heard again: back-off, a new connection, a lease. */
const SETTLING = 4000;
const VERIFIERS = ['v1', 'v2'];
/**
 * Who hears nothing of the log goes on for the lag, and then refuses what is under `refuse`, until it hears again; tokens under
 * `until_expiry` go on all the time. The share follows from how long that is of a spell.
 */
const DEAF = { refuse: 0.3, until_expiry: 0.01 };

export const FAULTS = {
  healthy: { does: 'nothing', stores: 'redis', inject: () => wait(6000) },

  'server-kill': {
    does: 'kill -9 of a server, which comes back after 2 s',
    stores: 'redis',
    async inject({ cluster, during }) {
      const [, server] = cluster.servers;
      await during({ name: 's2 is away', at: ['s2'], errors: 0.6 }, async () => {
        await server.stop('SIGKILL');
        await wait(2000);
        await server.start();
      });
    },
  },

  'redis-kill': {
    does: 'kill -9 of Redis, which comes back after 2 s',
    stores: 'redis',
    async inject({ cluster, during }) {
      await during({ name: 'Redis is away', errors: 0.05 }, async () => {
        await cluster.redis.stop('SIGKILL');
        await wait(2000);
        await cluster.redis.start();
      });
    },
  },

  'redis-failover': {
    does: 'the replica is shut out for 1.5 s, then takes the place of its primary',
    stores: 'sentinel',
    async inject({ cluster, during }) {
      await during({ name: 'what the replica lacks', loses: true }, async () => {
        await cluster.watched.shutReplicaOut();
        await wait(1500);
        await during({ name: 'no primary', errors: 0.05 }, () => cluster.watched.failOver());
      });
    },
  },

  'redis-cluster': {
    does: 'slots move between two nodes of a Redis cluster; then one of them is killed (kill -9), and comes back after 2 s',
    stores: 'sharded',
    async inject({ cluster, during }) {
      await during({ name: 'slots move', errors: 0.02 }, () => cluster.sharded.move(1500));
      await during({ name: 'a node is away', errors: 0.05 }, async () => {
        const [, node] = cluster.sharded.nodes;
        await node.stop('SIGKILL');
        await wait(2000);
        await node.start();
      });
    },
  },

  'postgres-restart': {
    does: 'PostgreSQL is stopped without a shutdown, and comes back after 3 s',
    stores: 'postgres',
    async inject({ cluster, during }) {
      await during({ name: 'PostgreSQL is away', errors: DEAF }, async () => {
        await cluster.postgres.stop('SIGQUIT');
        await wait(3000);
        await cluster.postgres.start();
      });
    },
  },

  'standby-stalls': {
    does: "PostgreSQL's synchronous standby stands still for 6 s, then takes the place of its primary",
    stores: 'standby',
    async inject({ cluster, during }) {
      const { postgres } = cluster;
      // What is read goes on, though nothing can be written.
      await during({ name: 'the standby stands still', errors: 0.05, settling: 0 }, async () => {
        postgres.stall();
        await wait(6000);
      });
      await during({ name: 'no primary', errors: DEAF }, () => postgres.failOver());
    },
  },

  'feed-cut': {
    does: 'the line between the verifiers and the servers is cut for 5 s',
    stores: 'redis',
    async inject({ cluster, during }) {
      await during({ name: 'the verifiers are cut off', at: VERIFIERS, errors: DEAF }, async () => {
        cluster.verifierWire.cut();
        await wait(5000);
        cluster.verifierWire.mend();
      });
    },
  },

  partition: {
    does: 'a server that people still reach is cut off from both stores for 6 s',
    stores: 'redis',
    async inject({ cluster, during }) {
      const wires = [cluster.postgresWire, cluster.redisWire];
      await during({ name: 's2 is cut off', at: ['s2'], errors: DEAF }, async () => {
        for (const wire of wires) wire.cut();
        await wait(6000);
        for (const wire of wires) wire.mend();
      });
    },
  },

  'clock-ahead': { does: "a server's wall clock is 10 min ahead for 5 s", stores: 'redis', clock: true, inject: (parts) => jump(parts, '+600') },
  'clock-behind': { does: "a server's wall clock is 10 min behind for 5 s", stores: 'redis', clock: true, inject: (parts) => jump(parts, '-600') },

  sigstop: {
    does: 'a server stands still for 10 s (SIGSTOP)',
    stores: 'redis',
    async inject({ cluster, during }) {
      const [, server] = cluster.servers;
      await during({ name: 's2 stands still', at: ['s2'], errors: 0.3 }, async () => {
        server.program.child.kill('SIGSTOP');
        await wait(10_000);
        server.program.child.kill('SIGCONT');
      });
    },
  },

  'rolling-restart': {
    does: 'each server in turn is told to stop (SIGTERM), and comes back',
    stores: 'redis',
    inject: (parts) => roll(parts, () => {}),
  },

  'rolling-change': {
    does: 'each server in turn comes back with another method for an app',
    stores: 'redis',
    inject: (parts) => roll(parts, (server) => parts.cluster.switchMethod(server)),
  },

  'disk-full': {
    does: 'the disk of PostgreSQL is full until something cannot be kept, and 3 s more',
    stores: 'postgres',
    needs: 'root',
    disk: true,
    async inject({ cluster, load, disk, during }) {
      await during({ name: 'the disk is full', errors: DEAF }, async () => {
        const refused = () => load.events.filter(({ kind, answer }) => kind !== 'verify' && answer === 'unavailable').length;
        const before = refused();
        await until('something cannot be kept', () => {
          // What PostgreSQL gives back is taken too.
          disk.fill();
          return refused() > before;
        });
        await wait(3000);
        disk.free();
        await cluster.postgres.revive();
      });
    },
  },

  'packet-loss': {
    does: '5 % of all packets are lost for 8 s',
    stores: 'redis',
    needs: 'network',
    async inject({ during }) {
      await during({ name: 'packets are lost', errors: 0.02 }, async () => {
        const lose = 'add table inet lossy; add chain inet lossy in { type filter hook input priority 0; }; add rule inet lossy in numgen random mod 100 < 5 drop';
        const begun = await run('nft', [lose]);
        if (begun.code !== 0) throw new Error(`nft: ${begun.output}`);
        await wait(8000);
        await run('nft', ['delete table inet lossy']);
      });
    },
  },
};

/** Nobody who comes through the load balancer is refused, whatever they ask. */
async function roll({ cluster, during }, change) {
  await during({ name: 'servers are replaced', unrefused: ['nginx'] }, async () => {
    for (const [at, server] of cluster.servers.entries()) {
      await during({ name: `s${at + 1} is replaced`, at: [`s${at + 1}`], errors: 1, settling: 0 }, async () => {
        await server.stop('SIGTERM');
        change(server);
        await server.start();
      });
      await wait(1500);
    }
  });
}

async function jump({ clock, during }, offset) {
  // All go by the database's clock: nobody is refused, at the right ones or at the wrong one.
  await during({ name: 'a clock is wrong' }, async () => {
    clock.set(offset);
    await wait(5000);
    clock.set('+0');
  });
}

/** Begins a spell when `inject` does, and ends it `settling` after. */
export function during(spells, now) {
  return async ({ settling = SETTLING, ...spell }, inject) => {
    const begun = { ...spell, from: now(), to: Infinity };
    spells.push(begun);
    await inject();
    begun.to = now() + settling;
  };
}
