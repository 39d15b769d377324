// A real server for tests: the binary that CLOAKROOM_BIN names, a folder of its own, the weakest password hashing that a
// configuration allows.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { ask } from './ask.mjs';
import { Program, freePort, run } from './process.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const BIN = process.env.CLOAKROOM_BIN ?? path.join(ROOT, 'target/debug/cloakroom');
const { CLOAKROOM_BIN: _, ...environment } = process.env;
/** The tests' own variable is none of the binary's. */
export const ENVIRONMENT = environment;
export const PASSWORD = 'correct horse battery staple';
/** As a server without a file has them. */
export const APPS = [
  ['web', 'session'],
  ['api', 'jwt'],
  ['edge', 'phantom'],
  ['stateless', 'jwt-stateless'],
]
  .map(([id, method]) => `[[app]]\nid = "${id}"\nmethod = "${method}"\n`)
  .join('');

/** A folder that is gone when the test is over. */
export function folder(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'cloakroom-test-'));
  t?.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A server, stopped or running; its folder and its port stay the same. */
export class Cloakroom {
  /** `top`: keys above the first section; `prefix`: a command and its arguments to start it by; `bin`: another binary. */
  constructor(dir, port, { top = '', apps = APPS, memory = 7168, passes = 5, env = {}, prefix = [], bin = BIN, dataDir = path.join(dir, 'data') } = {}) {
    Object.assign(this, { dir, port, env, prefix, bin, dataDir, base: '' });
    this.file = path.join(dir, 'cloakroom.toml');
    const publicUrl = /^public_url/m.test(top) ? '' : `public_url = "http://localhost:${port}"\n`;
    this.base = /^base_path = "(.*)"/m.exec(top)?.[1] ?? '';
    const head = `listen = "127.0.0.1:${port}"\ndata_dir = "${dataDir}"\n${publicUrl}`;
    fs.writeFileSync(this.file, `${head}${top}\n[password]\nmemory_kib = ${memory}\npasses = ${passes}\nthreads = 2\n${apps}`);
  }

  /** A new one, ready to serve; it and its folder are gone when the test is over. */
  static async start(t, options = {}) {
    const server = await Cloakroom.prepare(t, options);
    await server.start();
    return server;
  }

  static async prepare(t, options = {}) {
    const server = new Cloakroom(options.dir ?? folder(t), await freePort(), options);
    t?.after(() => server.stop('SIGKILL'));
    return server;
  }

  launch() {
    const [command, ...args] = [...this.prefix, this.bin, 'serve', '--config', this.file];
    this.program = new Program(command, args, { env: this.environment });
    return this.program;
  }

  get environment() {
    return { ...ENVIRONMENT, ...this.env };
  }

  async start() {
    const program = this.launch();
    await program.ready('cloakroom serve', () =>
      ask({ port: this.port, path: `${this.base}/readyz`, timeout: 1000 }).then(
        (answer) => answer.status === 200,
        () => false,
      ),
    );
    return this;
  }

  async stop(signal) {
    return this.program?.stop(signal);
  }

  get output() {
    return this.program?.output ?? '';
  }

  /** A command of the binary beside the server. */
  command(...args) {
    return run(this.bin, [...args, '--config', this.file], { env: this.environment });
  }

  ask(method, where, { headers = [], body, ...more } = {}) {
    return ask({ port: this.port, method, path: this.base + where, headers, body, host: `localhost:${this.port}`, ...more });
  }

  async register(name, more) {
    const answer = await this.ask('POST', '/v1/accounts', { body: { email: `${name}@example.com`, password: PASSWORD }, ...more });
    if (answer.status !== 201) throw new Error(`register: ${answer.status} ${answer.text}`);
    return answer.json.account.id;
  }

  login(name, app = 'web', more = {}) {
    return this.ask('POST', '/v1/login', { body: { email: `${name}@example.com`, password: PASSWORD, app }, ...more });
  }

  /** Signs in; answers { account, session, cookie, access_token, refresh_token }. */
  async signIn(name, app = 'web', more = {}) {
    const answer = await this.login(name, app, more);
    if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.text}`);
    return signedIn(answer);
  }

  verify(who, query = '', more = {}) {
    return this.ask('GET', `/v1/verify${query}`, { headers: credential(who), ...more });
  }
}

/** What an answer to a login hands out. */
export function signedIn(answer) {
  const { account, session, access_token, refresh_token } = answer.json;
  return { account: account.id, session: session.id, cookie: answer.cookies[0], access_token, refresh_token };
}

/** The header by which somebody who signed in shows it. */
export function credential({ cookie, access_token }) {
  return access_token ? [['Authorization', `Bearer ${access_token}`]] : [['Cookie', cookie]];
}
