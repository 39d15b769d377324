// Three servers that share their stores behind an nginx, and two verifiers in processes of their own beside them.

import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';

import { BIN, Cloakroom, PASSWORD } from '../lib/cloakroom.mjs';
import { Program, freePort, listens } from '../lib/process.mjs';
import { ask } from '../lib/ask.mjs';
import { Followed, Postgres, Redis, Sharded, Watched } from './stores.mjs';
import { Wire } from './wire.mjs';

export const LAG = 2000;
/** How long an access token of `api` lives, in milliseconds. */
export const TOKEN_LIFE = 60_000;
const APPS = `
[[app]]
id = "web"
method = "session"
max_revocation_lag = "${LAG}ms"
on_feed_loss = "refuse"

[[app]]
id = "api"
method = "jwt"
access_token_lifetime = "${TOKEN_LIFE}ms"
refresh_grace = "3s"
max_revocation_lag = "${LAG}ms"
on_feed_loss = "until_expiry"

[[app]]
id = "strict"
method = "jwt"
max_revocation_lag = "${LAG}ms"
on_feed_loss = "refuse"
`;
/** What each app does without the feed. */
export const ON_FEED_LOSS = { web: 'refuse', api: 'until_expiry', strict: 'refuse' };
const VERIFIER = process.env.TEST_VERIFIER ?? path.join(path.dirname(BIN), 'examples/verifier');

export class Cluster {
  /**
   * `stores`: `postgres`, `standby`, `redis`, `sentinel` or `sharded`; `wires`: what stands between the second server and its stores, and between the
   * verifiers and the servers, so that it can be cut; `env`: of the second server.
   */
  static async start(dir, { stores = 'postgres', env = {}, postgresDir = dir } = {}) {
    const cluster = new Cluster();
    Object.assign(cluster, { dir, parts: [], servers: [], verifiers: [] });
    try {
      await cluster.build(stores, env, postgresDir);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  async build(stores, env, postgresDir) {
    this.postgres = this.keep(await (stores === 'standby' ? Followed : Postgres).start(postgresDir));
    if (stores === 'redis') this.redis = this.keep(await Redis.start(this.dir));
    if (stores === 'sentinel') this.watched = this.keep(await Watched.start(this.dir));
    if (stores === 'sharded') this.sharded = this.keep(await Sharded.start(this.dir));
    this.postgresWire = this.keep(await Wire.lay(this.postgres.port));
    if (this.redis) this.redisWire = this.keep(await Wire.lay(this.redis.port));

    const nginxPort = await freePort();
    this.verifierWire = this.keep(await Wire.lay(nginxPort));
    this.publicUrl = `http://localhost:${this.verifierWire.port}`;
    const secret = randomBytes(32).toString('base64');
    for (let number = 1; number <= 3; number += 1) {
      const dir = path.join(this.dir, `s${number}`);
      fs.mkdirSync(dir);
      const second = number === 2;
      const accounts = second ? this.postgres.url.replace(`:${this.postgres.port}/`, `:${this.postgresWire.port}/`) : this.postgres.url;
      const sessions = this.watched?.url ?? this.sharded?.url ?? (second && this.redis ? `redis://127.0.0.1:${this.redisWire.port}` : this.redis?.url);
      const top = [`public_url = "${this.publicUrl}"`, `store.accounts = "${accounts}?statement_timeout=2&connect_timeout=2"`];
      if (sessions) top.push(`store.sessions = "${sessions}"`);
      const more = { env: { ...(second && env), CLOAKROOM_SECRET: secret } };
      const server = new Cloakroom(dir, await freePort(), { top: top.join('\n'), apps: APPS, ...more });
      this.servers.push(this.keep(server));
      // One after the other: the first makes the tables.
      if (number === 1) await server.start();
    }
    await Promise.all(this.servers.slice(1).map((server) => server.start()));
    this.nginx = this.keep(await startNginx(this.dir, nginxPort, this.servers));
    for (const name of ['v1', 'v2']) this.verifiers.push(this.keep(await this.startVerifier(name)));
  }

  keep(part) {
    this.parts.push(part);
    return part;
  }

  async startVerifier(name) {
    const { code, output } = await this.servers[0].command('service', 'add', name, '--json');
    if (code !== 0) throw new Error(`service add: ${output}`);
    const { id, secret } = JSON.parse(output);
    const port = await freePort();
    const apps = Object.entries(ON_FEED_LOSS).map(([app, rule]) => (rule === 'refuse' ? app : `${app}=${rule}`));
    const program = new Program(VERIFIER, [this.publicUrl, `127.0.0.1:${port}`, ...apps], {
      env: { ...process.env, SERVICE_ID: id, SERVICE_SECRET: secret },
    });
    const verifier = { name, port, program, stop: () => program.stop('SIGKILL') };
    await program.ready('the verifier', () => listens(port));
    return verifier;
  }

  /** From its next start on a server gives out tokens where it gave out cookies. */
  switchMethod(server) {
    const text = fs.readFileSync(server.file, 'utf8');
    fs.writeFileSync(server.file, text.replace('method = "session"', 'method = "jwt"\nmigrate_from = ["session"]'));
  }

  /** Everybody who can be asked about a credential: a name, a port, and the path for an app. */
  places() {
    const own = this.servers.map((server, at) => ({ name: `s${at + 1}`, port: server.port, path: (app) => `/v1/verify?app=${app}` }));
    const nginx = { name: 'nginx', port: this.nginx.port, path: (app) => `/v1/verify?app=${app}` };
    const remote = this.verifiers.map(({ name, port }) => ({ name, port, path: (app) => `/${app}` }));
    return [...own, nginx, ...remote];
  }

  /** Verifications that each server answered from its cache and from its stores. */
  async reads() {
    const answers = await Promise.all(this.servers.map((server) => server.ask('GET', '/metrics').catch(() => undefined)));
    return answers.map((answer) => {
      const count = (from) => Number(new RegExp(`^cloakroom_verifications_total\\{from="${from}"\\} (\\d+)`, 'm').exec(answer?.text ?? '')?.[1] ?? 0);
      return { cache: count('cache'), source: count('source') };
    });
  }

  async register(email) {
    const answer = await ask({ port: this.nginx.port, path: '/v1/accounts', method: 'POST', host: this.host, body: { email, password: PASSWORD } });
    if (answer.status !== 201) throw new Error(`register: ${answer.status} ${answer.text}`);
    return answer.json.account.id;
  }

  get host() {
    return this.publicUrl.replace('http://', '');
  }

  async stop() {
    for (const part of this.parts.reverse()) await part.stop('SIGKILL');
  }
}

/**
 * The next server is tried on a 503 too; but none is taken out for it (`max_fails=0`): when the store is away all of them answer so
 * what needs it, and go on with what does not.
 */
async function startNginx(dir, port, servers) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`);
  const file = path.join(dir, 'nginx.conf');
  fs.writeFileSync(
    file,
    `daemon off; pid ${dir}/nginx.pid; error_log stderr; worker_processes 1;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.join(' ')}
  upstream cloakroom {
    ${servers.map((server) => `server 127.0.0.1:${server.port} max_fails=0;`).join(' ')}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://cloakroom;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_connect_timeout 1s;
      proxy_read_timeout 2s;
      proxy_next_upstream error timeout http_503;
      proxy_next_upstream_tries 3;
    }
    location = /v1/revocations {
      proxy_pass http://cloakroom;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_connect_timeout 1s;
      proxy_read_timeout 60s;
      proxy_buffering off;
    }
  }
}
`,
  );
  const program = new Program('nginx', ['-c', file, '-p', dir, '-e', 'stderr']);
  await program.ready('nginx', () => listens(port));
  return { port, program, stop: () => program.stop('SIGTERM') };
}
