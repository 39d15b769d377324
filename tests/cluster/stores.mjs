// The stores that the servers share, real ones in a folder of their own: PostgreSQL, alone or with a standby, Redis, Redis watched by a
// Sentinel, and a Redis cluster.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

import { Program, freePort, listens, must, run, until } from '../lib/process.mjs';

/** A PostgreSQL with one database. */
export class Postgres {
  /** `env`: of its processes, such as that of a clock; `settings`: of its own. */
  static async start(dir, { name = 'postgres', env, settings } = {}) {
    const postgres = Object.assign(await Postgres.empty(dir, name), { env, more: settings });
    await postgres.make('initdb', ['-U', 'postgres', '-E', 'UTF8', '--locale=C', '--auth=trust', '--wal-segsize=1']);
    await postgres.start();
    return postgres;
  }

  static async empty(dir, name) {
    const postgres = new Postgres();
    const bin = process.env.TEST_POSTGRES_BIN ?? fs.globSync?.('/usr/lib/postgresql/*/bin')?.at(-1) ?? newest('/usr/lib/postgresql');
    // It refuses to be run by root.
    const owner = process.getuid() === 0 ? user('postgres', 'nobody') : {};
    const data = path.join(dir, name);
    fs.mkdirSync(data, { mode: 0o700 });
    if (owner.uid !== undefined) fs.chownSync(data, owner.uid, owner.gid);
    const port = await freePort();
    return Object.assign(postgres, { bin, owner, data, port, url: `postgres://postgres@127.0.0.1:${port}/postgres` });
  }

  async make(program, args) {
    await must(path.join(this.bin, program), [...args, '-D', this.data], { ...this.owner, cwd: '/' });
  }

  /** Another one that follows it. */
  async follower(dir) {
    const follower = await Postgres.empty(dir, 'standby');
    const from = ['-h', '127.0.0.1', '-p', this.port, '-U', 'postgres'];
    await follower.make('pg_basebackup', [...from, '-R', '-X', 'stream', '-c', 'fast']);
    await follower.start();
    return follower;
  }

  async sql(statement) {
    const args = ['-h', '127.0.0.1', '-p', this.port, '-U', 'postgres', '-d', 'postgres', '-Atqc', statement];
    return (await must(path.join(this.bin, 'psql'), args, { cwd: '/' })).trim();
  }

  async start() {
    const settings = { listen_addresses: '127.0.0.1', port: this.port, unix_socket_directories: '', max_connections: 200, ...this.more };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    this.program = new Program(path.join(this.bin, 'postgres'), ['-D', this.data, ...args], { ...this.owner, cwd: '/', env: { ...process.env, ...this.env } });
    const probe = ['-h', '127.0.0.1', '-p', this.port, '-U', 'postgres', '-q'];
    const ready = async () => (await run(path.join(this.bin, 'pg_isready'), probe, { cwd: '/' })).code === 0;
    await this.program.ready('PostgreSQL', ready);
  }

  /** It and its connections stand still (SIGSTOP), or go on (SIGCONT). */
  signal(name) {
    const { pid } = this.program.child;
    for (const each of [pid, ...children(pid).map((child) => child.pid)]) signal(each, name);
  }

  /** As whoever supervises it does, where it has given up. */
  async revive() {
    const { child } = this.program;
    if (child.exitCode !== null || child.signalCode !== null) await this.start();
  }

  /** SIGINT ends every connection and writes what there is; SIGQUIT writes nothing. */
  async stop(signal = 'SIGQUIT') {
    await this.program.stop(signal);
  }
}

/** A PostgreSQL whose commits wait for its standby, if that is synchronous; the standby goes on in its place. */
export class Followed {
  static async start(dir, { synchronous = true } = {}) {
    const followed = new Followed();
    const primary = await Postgres.start(dir);
    const standby = await primary.follower(dir);
    const url = `postgres://postgres@127.0.0.1:${primary.port},127.0.0.1:${standby.port}/postgres`;
    Object.assign(followed, { primary, standby, url, port: primary.port, stalled: [] });
    if (!synchronous) return followed;
    await primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
    await primary.sql('SELECT pg_reload_conf()');
    await until('commits wait for the standby', async () => (await primary.sql('SELECT sync_state FROM pg_stat_replication')) === 'sync');
    return followed;
  }

  /** From now on the standby receives nothing. */
  stall() {
    this.stalled = children(this.standby.program.child.pid).filter(({ command }) => command.includes('walreceiver'));
    if (!this.stalled.length) throw new Error('the standby does not receive');
    this.signal('SIGSTOP');
  }

  /** The primary is killed, and the standby goes on with what it had received. */
  async failOver() {
    await this.primary.stop('SIGKILL');
    this.signal('SIGKILL');
    const promoted = () => this.standby.sql('SELECT pg_promote(true, 30)').then((done) => done === 't', () => false);
    await until('the standby is the primary', promoted);
  }

  signal(name) {
    for (const { pid } of this.stalled) signal(pid, name);
  }

  async stop() {
    this.signal('SIGKILL');
    for (const part of [this.standby, this.primary]) await part.stop('SIGKILL');
  }
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch {
    // It has gone.
  }
}

/** The processes that one has started, each with its command line. */
function children(parent) {
  const read = (pid, name) => {
    try {
      return fs.readFileSync(`/proc/${pid}/${name}`, 'utf8');
    } catch {
      return '';
    }
  };
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const own = pids.filter((pid) => read(pid, 'stat').split(') ').at(-1).split(' ')[1] === String(parent));
  return own.map((pid) => ({ pid: Number(pid), command: read(pid, 'cmdline') }));
}

function newest(root) {
  const versions = fs.existsSync(root) ? fs.readdirSync(root).sort((one, other) => one - other) : [];
  if (!versions.length) throw new Error('there is no PostgreSQL; install the Debian package postgresql');
  return path.join(root, versions.at(-1), 'bin');
}

function user(...names) {
  for (const name of names) {
    try {
      const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, name], { stdio: 'pipe' })));
      return { uid, gid };
    } catch {
      // The next one then.
    }
  }
  throw new Error('there is no user to run PostgreSQL as');
}

/** A Redis that writes each change to the disk before it answers, so that a kill loses nothing. */
export class Redis {
  static async start(dir, name = 'redis', more = [], env = undefined) {
    const redis = new Redis();
    const data = path.join(dir, name);
    fs.mkdirSync(data);
    Object.assign(redis, { data, more, env, port: await freePort() });
    redis.url = `redis://127.0.0.1:${redis.port}`;
    await redis.start();
    return redis;
  }

  async start() {
    const keeps = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
    const args = ['--bind', '127.0.0.1', '--port', this.port, '--dir', this.data, '--maxmemory-policy', 'noeviction', ...keeps, ...this.more];
    this.program = new Program('redis-server', args, { env: { ...process.env, ...this.env } });
    // It listens before it has read what it has.
    await this.program.ready('Redis', async () => (await listens(this.port)) && /PONG/.test(await this.tell('PING')));
  }

  /** A command in words; answers what came, as it came. */
  tell(...words) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.port, '127.0.0.1', () => {
        socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
      });
      socket.on('data', (answer) => resolve(String(answer)) || socket.destroy());
      socket.on('error', reject);
    });
  }

  async stop(signal = 'SIGKILL') {
    await this.program.stop(signal);
  }
}

/** Two Redis servers, and a Sentinel that makes the second one the primary when the first is gone. */
export class Watched {
  static async start(dir) {
    const watched = new Watched();
    const primary = await Redis.start(dir, 'primary');
    // The replica has a user of its own, so that it alone can be shut out.
    await primary.tell('ACL', 'SETUSER', 'replica', 'on', '>replica', '+psync', '+replconf', '+ping');
    const follows = ['--replicaof', `127.0.0.1 ${primary.port}`, '--masteruser', 'replica', '--masterauth', 'replica'];
    const replica = await Redis.start(dir, 'replica', [...follows, '--repl-diskless-sync-delay', '0']);
    const port = await freePort();
    const file = path.join(dir, 'sentinel.conf');
    const lines = [
      'bind 127.0.0.1',
      `port ${port}`,
      `dir ${dir}`,
      `sentinel monitor cloakroom 127.0.0.1 ${primary.port} 1`,
      'sentinel down-after-milliseconds cloakroom 1000',
      'sentinel failover-timeout cloakroom 10000',
    ];
    fs.writeFileSync(file, `${lines.join('\n')}\n`);
    const program = new Program('redis-server', [file, '--sentinel']);
    Object.assign(watched, { primary, replica, program, port, url: `redis+sentinel://127.0.0.1:${port}/cloakroom` });
    await until('the replica has everything', async () => /master_link_status:up/.test(await replica.tell('INFO', 'replication')));
    // The Sentinel asks the primary every ten seconds who follows it.
    await until('the Sentinel knows both', async () => /slaves=1/.test(await watched.sentinel('INFO', 'sentinel')));
    return watched;
  }

  sentinel(...words) {
    return Redis.prototype.tell.call(this, ...words).catch(() => '');
  }

  /** From now on the replica hears nothing, so that what follows is lost with the primary. */
  async shutReplicaOut() {
    await this.primary.tell('ACL', 'SETUSER', 'replica', 'off');
    await this.primary.tell('CLIENT', 'KILL', 'TYPE', 'replica');
  }

  /** The primary is killed, and the replica takes its place. */
  async failOver() {
    await this.primary.stop();
    await until('the replica is the primary', async () => /role:master/.test(await this.replica.tell('INFO', 'replication')));
  }

  async stop() {
    for (const part of [this.program, this.primary, this.replica]) await part.stop('SIGKILL');
  }
}

/** Three Redis servers that share the keys by their slots. */
export class Sharded {
  static async start(dir) {
    const sharded = new Sharded();
    const nodes = [];
    for (let at = 0; at < 3; at += 1) {
      const bus = await freePort();
      const more = ['--cluster-enabled', 'yes', '--cluster-port', bus, '--cluster-node-timeout', '1000', '--cluster-require-full-coverage', 'no'];
      nodes.push(Object.assign(await Redis.start(dir, `node${at}`, more), { bus }));
    }
    Object.assign(sharded, { nodes, url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}` });
    for (const [at, node] of nodes.entries()) {
      await node.tell('CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1));
      await node.tell('CLUSTER', 'ADDSLOTSRANGE', String(Math.ceil((at * 16384) / 3)), String(Math.ceil(((at + 1) * 16384) / 3) - 1));
      if (at > 0) await nodes[0].tell('CLUSTER', 'MEET', '127.0.0.1', String(node.port), String(node.bus));
    }
    const whole = async ({ port }) => (await run('redis-cli', ['-p', port, '--cluster', 'check', `127.0.0.1:${port}`])).output.includes('All 16384 slots covered');
    for (const node of nodes) await until('the nodes are a cluster', () => whole(node));
    return sharded;
  }

  /** So many slots, with what is in them, go from the first node to the second one. */
  async move(slots) {
    const [from, to] = await Promise.all(this.nodes.slice(0, 2).map(async (node) => (await node.tell('CLUSTER', 'MYID')).split('\r\n')[1]));
    const how = ['--cluster-from', from, '--cluster-to', to, '--cluster-slots', slots, '--cluster-yes'];
    await must('redis-cli', ['--cluster', 'reshard', `127.0.0.1:${this.nodes[0].port}`, ...how]);
  }

  async stop() {
    for (const node of this.nodes) await node.stop('SIGKILL');
  }
}
