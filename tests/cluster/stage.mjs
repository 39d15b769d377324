// Where a scenario is played: stores and servers in a folder of their own, what people ask of a server in words, and an end to
// everything when it is over.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { randomBytes } from 'node:crypto';

import { ask } from '../lib/ask.mjs';
import { bothClocks, onlyBootClock, wallClock } from '../lib/clock.mjs';
import { BIN, Cloakroom, PASSWORD, credential, signedIn } from '../lib/cloakroom.mjs';
import { hangUp } from '../lib/hangup.mjs';
import { Program, freePort, listens, run, wait } from '../lib/process.mjs';
import { Followed, Postgres, Redis } from './stores.mjs';

/** `max_revocation_lag` of all apps here. */
export const LAG = 2000;
/** When everybody has heard of an end, on a machine that is busy with other things too. */
export const heard = () => wait(LAG + 500);
/** Ends are held for 65 minutes. */
export const PAST_EVERY_HOLD = '+3960';
const VERIFIER = process.env.TEST_VERIFIER ?? path.join(path.dirname(BIN), 'examples/verifier');

/** An `[[app]]`. */
export const app = (id, method, more = {}) =>
  ['[[app]]', ...Object.entries({ id, method, ...more }).map(([key, value]) => `${key} = ${JSON.stringify(value)}`), ''].join('\n');
export const APPS = [app('web', 'session'), app('api', 'jwt'), app('edge', 'phantom'), app('stateless', 'jwt-stateless')].join('');

export class Stage {
  static set() {
    const stage = new Stage();
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'cloakroom-stage-'));
    fs.chmodSync(dir, 0o755);
    return Object.assign(stage, { dir, parts: [], named: 0, secret: newSecret(), publicUrl: 'http://localhost:18080' });
  }

  keep(part) {
    this.parts.push(part);
    return part;
  }

  /** A name that nobody has had. */
  name(kind) {
    this.named += 1;
    return `${kind}${this.named}`;
  }

  /** `clock`: one that the scenario sets. */
  async postgres({ clock, settings } = {}) {
    return this.keep(await Postgres.start(this.dir, { name: this.name('postgres'), env: clock?.env, settings }));
  }

  async followed(options) {
    return this.keep(await Followed.start(this.dir, options));
  }

  async redis({ clock, more } = {}) {
    return this.keep(await Redis.start(this.dir, this.name('redis'), more, clock?.bare));
  }

  wallClock = () => wallClock(this.dir, this.name('clock'));
  bothClocks = () => bothClocks(this.dir, this.name('clock'));
  bootClock = () => onlyBootClock(this.dir, this.name('clock'));

  /** A server that has not been started. `accounts`, `sessions`, `others`: where they are; `options`: of the URL of the accounts. */
  async prepare({ accounts, sessions, others, options = '', apps = APPS, top = [], clock, secret = this.secret, env = {}, port, prefix }) {
    const dir = path.join(this.dir, this.name('server'));
    fs.mkdirSync(dir);
    const limit = '{ burst = 10000, refill = "1s" }';
    const lines = [
      `public_url = "${this.publicUrl}"`,
      `store.accounts = "${accounts.url}?connect_timeout=2${options}"`,
      ...[sessions && `store.sessions = "${sessions.url ?? sessions}"`, others && `store.other_sessions = "${others.url ?? others}"`].filter(Boolean),
      ...['failures_per_network', 'registrations_per_network'].map((which) => `limits.${which} = ${limit}`),
      ...top,
    ];
    const more = { top: lines.join('\n'), apps, prefix, env: { ...clock?.env, CLOAKROOM_SECRET: secret, ...env } };
    return this.keep(new Server(dir, port ?? (await freePort()), this.publicUrl, more));
  }

  async server(options) {
    return (await this.prepare(options)).start();
  }

  /** Servers that share everything. */
  async servers(count, options) {
    const servers = [];
    // One after the other: the first makes the tables.
    for (let at = 0; at < count; at += 1) servers.push(await this.server(options));
    return servers;
  }

  /** The credentials of a service, as a header. */
  async service(server) {
    const { id, secret } = JSON.parse(await server.must('service', 'add', this.name('service'), '--json'));
    return { id, secret, header: ['Authorization', `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`] };
  }

  /** A verifier in a process of its own, which asks this server. The server's `public_url` must lead to it. */
  async verifier(server, apps, { clock } = {}) {
    const { id, secret } = await this.service(server);
    const port = await freePort();
    const program = new Program(VERIFIER, [this.publicUrl, `127.0.0.1:${port}`, ...apps], {
      env: { ...process.env, ...clock?.env, SERVICE_ID: id, SERVICE_SECRET: secret },
    });
    this.keep({ stop: () => program.stop('SIGKILL') });
    await program.ready('the verifier', () => listens(port));
    return { verify: (who, id) => ask({ port, path: `/${id}`, headers: credential(who) }) };
  }

  async clear() {
    for (const part of this.parts.reverse()) await part.stop('SIGKILL');
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

export const newSecret = () => randomBytes(32).toString('base64');

/** A server, and what people ask of it. */
export class Server extends Cloakroom {
  constructor(dir, port, publicUrl, options) {
    super(dir, port, options);
    this.publicUrl = publicUrl;
  }

  /** Another configuration, from the next start on. */
  async restart({ change = (text) => text, signal = 'SIGTERM' } = {}) {
    await this.stop(signal);
    const { readFileSync, writeFileSync } = fs;
    writeFileSync(this.file, change(readFileSync(this.file, 'utf8')));
    return this.start();
  }

  /** What a command printed that must succeed. */
  async must(...args) {
    const { code, output } = await this.command(...args);
    if (code !== 0) throw new Error(`cloakroom ${args.join(' ')}: ${output}`);
    return output;
  }

  /** A command that is given a line. */
  commandWith(line, ...args) {
    return run('sh', ['-c', 'line=$1; shift; printf "%s\\n" "$line" | "$@"', 'sh', line, this.bin, ...args, '--config', this.file], { env: this.environment });
  }

  /** What shows that a request comes from a page of the app. */
  act = (who) => [...(Array.isArray(who) ? who : credential(who)), ['Origin', this.publicUrl], ['Sec-Fetch-Site', 'same-origin']];

  /** Each of what follows is a request; `does` sends it, and a client that hangs up sends it too. */
  requests = {
    login: (name, id = 'web', more = {}) => post('/v1/login', { email: `${name}@example.com`, password: PASSWORD, app: id, ...more }),
    refresh: (token) => post('/v1/refresh', { refresh_token: token }),
    logout: (who, body = {}) => post('/v1/logout', body, this.act(who)),
    logoutBy: (token, body = {}) => post('/v1/logout', body, [['Authorization', `Bearer ${token}`]]),
    endOthers: (who, id = 'web') => post(`/devices/end-others?app=${id}`, new URLSearchParams(), this.act(who)),
    endOne: (who, session) => ({ method: 'DELETE', path: `/v1/sessions/${session}`, headers: this.act(who) }),
    changePassword: (who, current, renewed) => post('/v1/password', { current, new: renewed, transport: 'body' }, this.act(who)),
    deleteAccount: (who, password = PASSWORD) => ({ method: 'DELETE', path: '/v1/account', body: { password }, headers: this.act(who) }),
    exchange: (who, id) => {
      const { refresh_token } = who;
      return post('/v1/exchange', { app: id, refresh_token }, refresh_token ? [] : this.act(who));
    },
  };

  send = ({ path: where, method, ...request }) => this.ask(method, where, request);
  does = Object.fromEntries(Object.entries(this.requests).map(([name, request]) => [name, (...args) => this.send(request(...args))]));
  hangUp = (leave, request, after) => hangUp(leave, { port: this.port, ...request }, after);

  async accepts(who, id) {
    const { status, text } = await this.verify(who, id ? `?app=${id}` : '');
    if (status === 200) return true;
    if (status === 401) return false;
    throw new Error(`verify: ${status} ${text}`);
  }

  async renews({ refresh_token }) {
    const { status, text } = await this.does.refresh(refresh_token);
    if (status === 200) return true;
    if (status === 401) return false;
    throw new Error(`refresh: ${status} ${text}`);
  }

  /** Renews, and goes on with what came. */
  async renew(who) {
    const { status, text, json } = await this.does.refresh(who.refresh_token);
    if (status !== 200) throw new Error(`refresh: ${status} ${text}`);
    const { access_token, refresh_token } = json;
    return Object.assign(who, { access_token, refresh_token });
  }

  async publishedKeys() {
    return (await this.ask('GET', '/.well-known/jwks.json')).json.keys.map(({ kid }) => kid).sort();
  }
}

const post = (where, body, headers = []) => ({ method: 'POST', path: where, body, headers });

/** The session that an answer gave out; nothing where it gave none. */
export const given = (answer) => (answer.status === 200 ? signedIn(answer) : undefined);
/** An account's id in PostgreSQL's words. */
export const bytea = (id) => `'\\x${id.replaceAll('-', '')}'`;
export const kidOf = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).kid;
/** Whether it was acknowledged: by the API, a page (others lead to the sign-in), or a command. */
export const acknowledged = ({ status, headers, code }) =>
  status === 200 || status === 204 || (status === 303 && /[?&]done=/.test(headers.location)) || (status === undefined && code === 0);
