// scripts/image-check: the image runs by itself, as the compose file has it and as the Kubernetes manifest has it. Its
// arguments are how podman is called. This network belongs to it alone; all containers share it.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { ask } from '../lib/ask.mjs';
import { PASSWORD, ROOT, credential, signedIn } from '../lib/cloakroom.mjs';
import { Program, listens, must, until } from '../lib/process.mjs';

const [program, ...always] = process.argv.slice(2);
const podman = (...args) => must(program, [...always, ...args]).then((output) => output.trim());
const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');

/** Whom the image runs as; what a file belongs to must be told by number. */
const NOBODY = 65532;
const files = String(execFileSync('sh', ['-c', 'ulimit -Hn'])).trim();
const LEAST = [
  ...['--read-only', '--read-only-tmpfs=false', '--cap-drop=all', '--security-opt=no-new-privileges', '--network=host'],
  ...['--cgroups=disabled', '--log-driver=k8s-file', `--ulimit=nofile=${files}:${files}`, '--ulimit=nproc=4096:4096'],
];

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'cloakroom-image-'));
fs.chmodSync(work, 0o755);
const psql = path.join(process.env.TEST_POSTGRES_BIN, 'psql');
function database() {
  const name = `cloakroom_image_${randomBytes(6).toString('hex')}`;
  execFileSync(psql, [process.env.TEST_POSTGRES, '-X', '-q', '-c', `CREATE DATABASE ${name}`]);
  return process.env.TEST_POSTGRES.replace(/\/[^/]*$/, `/${name}`);
}
const secret = () => randomBytes(32).toString('base64');

/** A container that serves. */
class Container {
  constructor(name, { port = 8080, ready = port, host = 'localhost:8080' } = {}) {
    Object.assign(this, { name, port, ready, host });
  }

  async run(options = [], args = []) {
    await podman('run', '--detach', '--name', this.name, ...LEAST, ...options, 'localhost/cloakroom', ...args);
    await this.serves();
  }

  async serves() {
    await until(`${this.name} serves`, async () => {
      assert.equal(await this.inspect('.State.Running'), 'true', await podman('logs', this.name));
      const answer = await ask({ port: this.ready, path: '/readyz', timeout: 1000 }).catch(() => undefined);
      return answer?.status === 200;
    });
  }

  inspect(what) {
    return podman('inspect', '--format', `{{${what}}}`, this.name);
  }

  async ask(status, method, where, { port = this.port, ...more }) {
    const answer = await ask({ port, host: this.host, method, path: where, ...more });
    assert.equal(answer.status, status, `${where}: ${answer.text}`);
    return answer;
  }

  /** Registers and signs in, at another port where a balancer is there. */
  async signIn(port) {
    const ada = { email: 'ada@example.com', password: PASSWORD };
    await this.ask(201, 'POST', '/v1/accounts', { port, body: ada });
    const who = signedIn(await this.ask(200, 'POST', '/v1/login', { port, body: ada }));
    await this.knows(who, port);
    return who;
  }

  knows(who, port) {
    return this.ask(200, 'GET', '/v1/verify', { port, headers: credential(who) });
  }

  /** It is nobody, can become nobody else, and can write its data and nothing else. */
  async confined() {
    const pid = await this.inspect('.State.Pid');
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
    const line = (name) => status.match(new RegExp(`^${name}:\\s*(.*)$`, 'm'))[1].split('\t');
    assert.deepEqual(new Set([...line('Uid'), ...line('Gid')]), new Set([String(NOBODY)]));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.equal(BigInt(`0x${line(set)[0]}`), 0n, set);
    assert.deepEqual([line('NoNewPrivs'), line('Seccomp')], [['1'], ['2']]);

    const root = `/proc/${pid}/root`;
    const kernel = ['proc', 'sys', 'dev'].flatMap((name) => ['-o', '-path', `${root}/${name}`]).slice(1);
    const find = ['find', `${root}/`, '(', ...kernel, ')', '-prune', '-o', '-writable', '!', '-type', 'l', '-print'];
    const nobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'];
    // It fails where there are folders that nobody may look into.
    const found = spawnSync('setpriv', [...nobody, ...find], { encoding: 'utf8' }).stdout;
    const places = found.trim().split('\n').map((place) => place.slice(root.length));
    assert.ok(places.includes('/data'), found);
    assert.deepEqual(places.filter((place) => place !== '/data' && !place.startsWith('/data/')), []);
  }

  async stops() {
    await podman('stop', '--time', '45', this.name);
    assert.equal(await this.inspect('.State.ExitCode'), '0', await podman('logs', this.name));
  }
}

/** The compose file's nginx, which knows the servers by name. */
async function balance(servers) {
  const text = read('deploy/compose/nginx.conf').replace(/server (one|two):8080/g, (_, name) => `server 127.0.0.1:${servers[name].port}`);
  const config = path.join(work, 'nginx.conf');
  fs.writeFileSync(config, `daemon off; pid ${work}/nginx.pid; error_log stderr;\n${text}`);
  const nginx = new Program('nginx', ['-c', config, '-p', work]);
  endings.push(() => nginx.stop());
  await nginx.ready('nginx', () => listens(8080));
}

const endings = [];
const steps = {
  'there is no shell': async () => {
    const tree = await podman('create', 'localhost/cloakroom').then((id) => podman('mount', id));
    const shells = ['sh', 'bash', 'dash', 'busybox', 'perl', 'apt-get', 'dpkg'];
    const found = execFileSync('find', [tree, '-type', 'f', '-printf', '%P\\n'], { encoding: 'utf8' }).trim().split('\n');
    assert.ok(found.includes('cloakroom'), found.join());
    assert.deepEqual(found.filter((name) => shells.includes(path.basename(name))), []);
  },
  'by itself it signs in, stops in order, and knows everybody when it starts again': async () => {
    const alone = new Container('alone');
    await alone.run();
    const ada = await alone.signIn();
    await alone.confined();
    await alone.stops();
    await podman('start', alone.name);
    await alone.serves();
    await alone.knows(ada);
    await alone.stops();
  },
  'as the compose file has it: two behind its nginx, one of which may go': async () => {
    const compose = read('deploy/compose/compose.yaml');
    const given = { CLOAKROOM_SECRET: secret(), CLOAKROOM_STORE__ACCOUNTS: database(), CLOAKROOM_TRUSTED_PROXIES: '127.0.0.1' };
    const names = [...compose.matchAll(/^ {6}(CLOAKROOM_\w+): (.*)$/gm)];
    assert.ok(names.length > 3);
    const env = names.flatMap(([, name, value]) => ['--env', `${name}=${given[name] ?? value}`]);
    // podman takes no owner of a tmpfs, as docker does.
    const [, options] = compose.match(/tmpfs:\n +- \/data:(.*)$/m);
    const [one, two] = [new Container('one', { port: 8081 }), new Container('two', { port: 8082 })];
    for (const server of [one, two]) {
      const data = path.join(work, server.name);
      fs.mkdirSync(data);
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', data]);
      endings.push(() => execFileSync('umount', [data]));
      await server.run(['--volume', `${data}:/data`, ...env, '--env', `CLOAKROOM_LISTEN=0.0.0.0:${server.port}`]);
    }
    await balance({ one, two });
    const ada = await one.signIn(8080);
    for (const server of [one, two]) {
      await server.knows(ada);
      await server.confined();
    }
    await one.stops();
    for (let again = 0; again < 4; again += 1) await two.knows(ada, 8080);
    await two.stops();
  },
  'as the Kubernetes manifest has it': async () => {
    const manifest = read('deploy/kubernetes/cloakroom.yaml');
    const [, text] = manifest.match(/^ {2}cloakroom\.toml: \|\n((?: {4}.*\n|\n)+)/m);
    const config = path.join(work, 'cloakroom.toml');
    fs.writeFileSync(config, text.replace(/^ {4}/gm, ''), { mode: 0o644 });
    const args = JSON.parse(manifest.match(/args: (\[.*\])/)[1]);
    // What an emptyDir is with an fsGroup.
    const data = path.join(work, 'data');
    fs.mkdirSync(data);
    fs.chownSync(data, 0, NOBODY);
    fs.chmodSync(data, 0o2777);
    const volumes = ['--volume', `${config}:/etc/cloakroom/cloakroom.toml:ro`, '--volume', `${data}:/data`];
    const env = ['--env', `CLOAKROOM_SECRET=${secret()}`, '--env', `CLOAKROOM_STORE__ACCOUNTS=${database()}`];
    const pod = new Container('kubernetes', { ready: 9090, host: 'login.example' });
    await pod.run(['--user', `${NOBODY}:${NOBODY}`, ...volumes, ...env], args);
    await pod.signIn();
    await pod.confined();
    await pod.stops();
  },
};

let held = 0;
for (const [what, step] of Object.entries(steps)) {
  const problem = await step().then(
    () => undefined,
    (error) => error.message,
  );
  await podman('rm', '--all', '--force', '--time', '0');
  for (const ending of endings.splice(0).reverse()) await ending();
  held += problem === undefined ? 1 : 0;
  console.log(problem === undefined ? `ok  ${what}` : `NOT ${what}: ${problem}`);
}
fs.rmSync(work, { recursive: true, force: true });
console.log(`${held} of ${Object.keys(steps).length} held`);
process.exitCode = held === Object.keys(steps).length ? 0 : 1;
