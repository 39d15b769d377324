// The recipes of docs/forward-auth.md as they stand there: fenced blocks taken out, addresses and files put in, real
// proxies started with them, and an upstream that reports what it saw.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

import { ask } from '../lib/ask.mjs';
import { Cloakroom, ROOT, folder } from '../lib/cloakroom.mjs';
import { Program, freePort, listens, run } from '../lib/process.mjs';

const DOCUMENT = fs.readFileSync(path.join(ROOT, 'docs/forward-auth.md'), 'utf8');

export const document = () => DOCUMENT;

/** The one fenced block of this language. */
export function block(language) {
  const found = [...DOCUMENT.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter((match) => match[1] === language);
  if (found.length !== 1) throw new Error(`docs/forward-auth.md has ${found.length} blocks of ${language}`);
  return found[0][2];
}

/** Replaces what must be there. */
function put(text, pairs) {
  return pairs.reduce((done, [from, to]) => {
    if (!done.includes(from)) throw new Error(`the recipe has no ${from}`);
    return done.replaceAll(from, to);
  }, text);
}

export const HOST = 'shop.example';

/** An app that knows nothing of Cloakroom: it answers what it was asked, and counts. */
export async function startUpstream(t) {
  const upstream = { count: 0 };
  const server = http.createServer((request, response) => {
    upstream.count += 1;
    request.resume();
    request.on('end', () => {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ method: request.method, url: request.url, raw: request.rawHeaders }));
    });
  });
  upstream.port = await freePort();
  await new Promise((resolve) => server.listen(upstream.port, '127.0.0.1', resolve));
  t.after(() => server.closeAllConnections() || server.close());
  return upstream;
}

/** What an upstream saw, as CGI, PHP and WSGI fold names: every value of every spelling in one list. */
export function folded(seen) {
  const variables = {};
  for (let at = 0; at < seen.raw.length; at += 2) {
    const name = seen.raw[at].toUpperCase().replace(/[^A-Z0-9]/g, '_');
    (variables[name] ??= []).push(seen.raw[at + 1]);
  }
  return variables;
}

async function certificate(dir) {
  const [pem, key] = [path.join(dir, 'shop.pem'), path.join(dir, 'shop.key')];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const made = await run('openssl', [...args, '-subj', `/CN=${HOST}`, '-addext', `subjectAltName=DNS:${HOST}`, '-keyout', key, '-out', pem]);
  if (made.code !== 0) throw new Error(`openssl: ${made.output}`);
  return { pem, key };
}

const PROXIES = {
  async nginx({ dir, port, ports, app }) {
    const { pem, key } = await certificate(dir);
    const server = put(block('nginx'), [
      ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
      ['/etc/ssl/shop.example.pem', pem],
      ['/etc/ssl/shop.example.key', key],
      ['127.0.0.1:8080', `127.0.0.1:${ports.cloakroom}`],
      ['127.0.0.1:3000', `127.0.0.1:${ports.upstream}`],
      ['app=web', `app=${app}`],
    ]);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`);
    const file = path.join(dir, 'nginx.conf');
    fs.writeFileSync(
      file,
      `daemon off; master_process off; pid ${dir}/nginx.pid; error_log stderr warn;
      events {} http { access_log off; ${temporary.join(' ')} ${server} }`,
    );
    return new Program('nginx', ['-p', dir, '-e', 'stderr', '-c', file]);
  },
  async caddy({ dir, port, ports, app }) {
    const { pem, key } = await certificate(dir);
    const site = put(block('caddy'), [
      ['shop.example {', `https://shop.example:${port} {\nbind 127.0.0.1\ntls ${pem} ${key}`],
      ['127.0.0.1:8080', `127.0.0.1:${ports.cloakroom}`],
      ['127.0.0.1:3000', `127.0.0.1:${ports.upstream}`],
      ['app=web', `app=${app}`],
    ]);
    const file = path.join(dir, 'Caddyfile');
    fs.writeFileSync(file, `{\nadmin off\nauto_https off\n}\n${site}`);
    const env = { ...process.env, HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir };
    return new Program('caddy', ['run', '--adapter', 'caddyfile', '--config', file], { env });
  },
};

/** An app of each method; the document's is the first. */
const MORE_APPS = `
[[app]]
id = "edge"
method = "phantom"
[[app]]
id = "api"
method = "jwt"
`;

/** Cloakroom by the document's configuration, with an upstream. */
export async function startHouse(t, { top = '', app = '', method = 'session' } = {}) {
  const [keys, apps] = block('toml').split(/^(?=\[\[app\]\])/m);
  const rest = keys
    .split('\n')
    .filter((line) => !line.startsWith('listen'))
    .join('\n');
  const first = put(apps, [['method = "session"', `method = "${method}"`]]);
  const cloakroom = await Cloakroom.start(t, { top: rest + top, apps: first + app + MORE_APPS });
  const upstream = await startUpstream(t);
  return { cloakroom, upstream };
}

/** A proxy that guards the upstream for this app; `ask` sends it a request as a client of the app's host. */
export async function startProxy(t, kind, house, app = 'web') {
  const dir = folder(t);
  const port = await freePort();
  const ports = { cloakroom: house.cloakroom.port, upstream: house.upstream.port };
  const program = await PROXIES[kind]({ dir, port, ports, app });
  t.after(() => program.stop('SIGKILL'));
  await program.ready(kind, () => listens(port));
  return {
    program,
    ask: (method, where, more = {}) => ask({ port, tls: true, host: HOST, method, path: where, ...more }),
  };
}
