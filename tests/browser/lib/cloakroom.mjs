// A running server for a test file: a folder of its own, free ports, and the binary that CLOAKROOM_BIN names.

import { execFileSync, spawn } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The apps of a server: one of each method, as one without a file has them. */
export const METHODS = { web: 'session', api: 'jwt', edge: 'phantom', stateless: 'jwt-stateless' }

const START_LIMIT = 20_000

export class Cloakroom {
  /**
   * Starts a server; `origins` are what each app lists, `tls` makes it speak https with a throw-away CA, `explain` makes it show what it
   * does, `grace` is each app's `refresh_grace`, and `apps` are its apps by their methods.
   */
  static async start({ origins = [], tls = false, explain = false, grace = '30s', apps: methods = METHODS } = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'cloakroom-browser-'))
    const port = await freePort()
    const url = `${tls ? 'https' : 'http'}://localhost:${port}`
    const authority = tls ? makeCertificates(folder) : undefined
    const config = join(folder, 'cloakroom.toml')
    const apps = Object.entries(methods).map(([id, method]) =>
      [
        '[[app]]',
        `id = "${id}"`,
        `method = "${method}"`,
        `refresh_grace = "${grace}"`,
        origins.length ? `origins = ${JSON.stringify(origins)}` : '',
      ].join('\n'),
    )
    writeFileSync(
      config,
      [
        `listen = "127.0.0.1:${port}"`,
        `public_url = "${url}"`,
        '[password]\nmemory_kib = 7168\npasses = 5',
        tls ? '[tls]\ncertificate = "server.pem"\nkey = "server.key"' : '',
        ...apps,
      ]
        .join('\n')
        .replaceAll('"server.', `"${folder}/server.`),
    )
    const args = ['serve', '--config', config, '--data-dir', join(folder, 'data'), ...(explain ? ['--explain'] : [])]
    const server = new Cloakroom({ folder, port, url, config, args, authority })
    await server.#serve()
    return server
  }

  #log = ''

  constructor(parts) {
    Object.assign(this, parts)
  }

  async #serve() {
    // The server takes every CLOAKROOM_ variable for a setting; those of the tests are none of its business.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CLOAKROOM_')))
    this.child = spawn(binary(), this.args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (text) => (this.#log += text))
    const until = Date.now() + START_LIMIT
    while (Date.now() < until && this.child.exitCode === null) {
      if (await reaches(this.port)) return
      await new Promise((done) => setTimeout(done, 50))
    }
    await this.stop()
    throw new Error(`cloakroom does not start:\n${this.#log}`)
  }

  /** Starts it again on the same data, with its configuration as `change` makes it. */
  async restart(change) {
    await this.#end()
    writeFileSync(this.config, change(readFileSync(this.config, 'utf8')))
    await this.#serve()
  }

  async #end() {
    if (this.child.exitCode !== null) return
    const ended = new Promise((done) => this.child.once('exit', done))
    this.child.kill('SIGTERM')
    await ended
  }

  async stop() {
    await this.#end()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A web site of somebody else's on another host name: pages by path, each an HTML text or `{ location }`. */
export async function otherSite(pages) {
  const site = http.createServer((request, response) => {
    const page = pages[new URL(request.url, 'http://x').pathname]
    if (page === undefined) response.writeHead(404).end()
    else if (page.location) response.writeHead(302, { location: page.location }).end()
    else response.writeHead(200, { 'content-type': 'text/html' }).end(page)
  })
  await new Promise((done) => site.listen(0, '127.0.0.1', done))
  return {
    pages,
    url: `http://127.0.0.1:${site.address().port}`,
    stop: () => {
      site.closeAllConnections()
      return new Promise((done) => site.close(done))
    },
  }
}

/** The program that the suite drives. */
export function binary() {
  const path = process.env.CLOAKROOM_BIN
  if (!path) throw new Error('CLOAKROOM_BIN must name the cloakroom binary: scripts/test browser sets it')
  return path
}

function freePort() {
  return new Promise((done) => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => done(port))
    })
  })
}

function reaches(port) {
  return new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => socket.destroy() && done(true))
    socket.once('error', () => done(false))
  })
}

/** A CA that lives as long as the test, and a certificate of it for localhost. */
function makeCertificates(folder) {
  const run = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Throw-away CA')
  run('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost')
  writeFileSync(join(folder, 'ext'), 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n')
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1', '-extfile', 'ext']
  run('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...sign)
  const ca = readFileSync(join(folder, 'ca.pem'), 'utf8')
  const server = new X509Certificate(readFileSync(join(folder, 'server.pem')))
  const spki = createHash('sha256').update(server.publicKey.export({ type: 'spki', format: 'der' })).digest('base64')
  return { ca, spki }
}
