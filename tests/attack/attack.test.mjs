// `cloakroom attack`: the whole run must find nothing; what is weakened on purpose must be found; nothing but this machine is
// attacked.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { after, before, test } from 'node:test'

import { BIN, Cloakroom, ENVIRONMENT, folder } from '../lib/cloakroom.mjs'

const METHODS = ['session', 'jwt', 'phantom', 'jwt-stateless']
// At least these, of the list that the run was made for.
const WANTED = [
  'xss-local-storage', 'xss-cookies', 'xss-memory', 'xss-rides-the-session', 'copied-cookie', 'copied-access-token',
  'copied-refresh-token-first', 'copied-refresh-token-late', 'token-in-url', 'token-in-referrer', 'token-in-log',
  'token-in-history', 'personal-page-cache', 'back-button', 'csrf-form', 'csrf-image', 'csrf-fetch', 'csrf-sibling',
  'login-csrf', 'logout-csrf', 'method-override', 'content-type-tricks', 'clickjacking', 'cors-with-credentials',
  'websocket-hijack', 'open-redirect', 'fixation', 'cookie-tossing', 'jar-overflow', 'prefix-bypass', 'duplicate-names',
  'path-tricks', 'alg-none', 'algorithm-confusion', 'kid-injection', 'fetched-key', 'embedded-key', 'critical-header',
  'duplicate-claims', 'huge-token', 'nested-token', 'refresh-as-access', 'id-token-as-access', 'other-issuer',
  'other-audience', 'expired-token', 'token-from-the-future', 'replay-after-sign-out', 'key-kill', 'password-spraying',
  'credential-stuffing', 'enumeration-text', 'enumeration-status', 'enumeration-time', 'session-prediction',
  'forged-forwarded-for', 'login-flood', 'refresh-flood', 'garbage-flood', 'slow-clients', 'hash-queue-exhaustion',
  'session-flooding',
]

const attack = (...args) => attackWith(ENVIRONMENT, ...args)
const attackWith = (env, ...args) =>
  new Promise((resolve) => {
    const options = { env, maxBuffer: 1 << 26 }
    execFile(BIN, ['attack', '--json', ...args], options, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    )
  })
const outcome = (report, id, target, method) =>
  report.attacks
    .find((attack) => attack.id === id)
    .results.find((result) => result.target === target && result.method === method)

test('every attack succeeds on the careless login, and none on Cloakroom', async (t) => {
  const out = folder(t)
  const done = await attack('--out', out)
  assert.equal(done.code, 0, `${done.stderr}${done.stdout.slice(0, 2000)}`)
  const report = JSON.parse(done.stdout)
  assert.deepEqual(report.left_out, [])
  const ids = report.attacks.map((attack) => attack.id)
  assert.deepEqual(WANTED.filter((id) => !ids.includes(id)), [])
  for (const { id, title, source, results } of report.attacks) {
    assert.ok(title && source, id)
    assert.deepEqual(results.map(({ target, method }) => `${target} ${method}`), [
      'careless session',
      'careless jwt',
      ...METHODS.map((method) => `cloakroom ${method}`),
    ])
    for (const result of results) {
      assert.deepEqual(Object.keys(result).sort(), ['evidence', 'method', 'outcome', 'target', 'window_s'], id)
      assert.ok(result.evidence, id)
      assert.equal(typeof result.window_s, result.outcome === 'window' ? 'number' : typeof result.window_s, id)
    }
    assert.ok(results.some(({ target, outcome }) => target === 'careless' && outcome === 'succeeded'), id)
  }
  assert.deepEqual(JSON.parse(fs.readFileSync(path.join(out, 'result.json'))), report)
  assert.match(fs.readFileSync(path.join(out, 'report.md'), 'utf8'), /\| alg-none \| – \| succeeded \|/)
  const page = fs.readFileSync(path.join(out, 'report.html'), 'utf8')
  assert.match(page, /data:image\/png;base64/)
  assert.doesNotMatch(page, /(src|href)="http/, 'the page needs nothing else')
})

// On a machine without a browser, and on one where it does not start.
for (const [how, said, browser] of [
  ['no Chromium is installed', /no Chromium is installed/],
  ['the Chromium that is installed does not start', /chromium does not start/, '#!/bin/sh\nexit 1\n'],
]) {
  test(`where ${how}, what takes one is left out, said to be, and counts neither way`, async (t) => {
    const dir = folder(t)
    if (browser) fs.writeFileSync(path.join(dir, 'chromium'), browser, { mode: 0o755 })
    const out = path.join(dir, 'report')
    const alone = { ...ENVIRONMENT, PATH: dir }
    const done = await attackWith(alone, '--only', 'alg-none,csrf-form', '--out', out)
    assert.equal(done.code, 1, done.stderr)
    const report = JSON.parse(done.stdout)
    assert.deepEqual(report.left_out.map(({ id }) => id), ['csrf-form'])
    assert.match(report.left_out[0].why, said)
    assert.deepEqual(report.attacks.map(({ id, results }) => [id, results.length]), [['csrf-form', 0], ['alg-none', 6]])
    assert.equal(outcome(report, 'alg-none', 'cloakroom', 'jwt').outcome, 'failed')
    const { error } = JSON.parse(done.stderr)
    assert.equal(error.code, 'attack_left_out')
    assert.match(error.detail, /^csrf-form: left out: /)
    for (const name of ['report.md', 'report.html']) {
      const page = fs.readFileSync(path.join(out, name), 'utf8')
      assert.match(page, /Left out: csrf-form\./)
      assert.match(page, /not everything was tried\./)
      assert.match(page, /Attacks tried: 1\./)
    }
    // What takes none is as good as anywhere.
    const without = await attackWith(alone, '--only', 'alg-none')
    assert.equal(without.code, 0, without.stderr)
    assert.deepEqual(JSON.parse(without.stdout).left_out, [])
  })
}

test('what is not of this machine is not attacked', async () => {
  for (const target of ['http://10.0.0.1:8080', 'https://login.example', 'http://0.0.0.0:8080', 'http://127.0.0.1.example/']) {
    const done = await attack('--target', target)
    assert.equal(done.code, 2, target)
    assert.match(JSON.parse(done.stderr).error.detail, /loopback/)
  }
  assert.equal((await attack('--only', 'nothing-of-the-kind')).code, 2)
})

// A server behind something that weakens it, as a well-meant proxy does.
let server
before(async () => {
  server = await Cloakroom.start()
})
after(() => server?.stop())

// Passes requests on; `weaken` may change them, or answer itself.
async function proxy(t, weaken) {
  const front = http.createServer((request, response) => {
    const pieces = []
    request.on('data', (piece) => pieces.push(piece))
    request.on('end', () => {
      const headers = { ...request.headers, host: `localhost:${server.port}` }
      if (headers.origin) headers.origin = `http://${headers.host}`
      const answer = weaken(request, headers)
      if (answer) return void response.writeHead(answer.status, answer.headers).end(answer.body)
      const { method, url } = request
      const onward = http.request({ port: server.port, method, path: url, headers, agent: false }, (from) => {
        const body = []
        from.on('data', (piece) => body.push(piece))
        from.on('end', () => {
          const whole = { status: from.statusCode, headers: from.headers, body: Buffer.concat(body) }
          weaken.seen?.(request, whole)
          response.writeHead(whole.status, from.rawHeaders).end(whole.body)
        })
      })
      onward.end(Buffer.concat(pieces))
    })
  })
  await new Promise((ready) => front.listen(0, '127.0.0.1', ready))
  t.after(() => front.close())
  return `http://127.0.0.1:${front.address().port}`
}

test('a server that runs can be attacked', async (t) => {
  const done = await attack('--target', await proxy(t, () => undefined), '--only', 'alg-none,token-in-url,copied-cookie')
  assert.equal(done.code, 0, done.stderr)
  const report = JSON.parse(done.stdout)
  assert.equal(outcome(report, 'alg-none', 'cloakroom', 'jwt').outcome, 'failed')
  assert.equal(outcome(report, 'copied-cookie', 'cloakroom', 'session').outcome, 'failed')
})

test('a cache that remembers who was signed in is found out', async (t) => {
  const known = new Map()
  const key = ({ url, headers }) => `${url} ${headers.cookie} ${headers.authorization}`
  const weaken = (request) => (request.url.startsWith('/v1/verify') ? known.get(key(request)) : undefined)
  weaken.seen = (request, answer) => answer.status === 200 && known.set(key(request), answer)
  const done = await attack('--target', await proxy(t, weaken), '--only', 'copied-cookie,replay-after-sign-out')
  assert.equal(done.code, 1)
  const report = JSON.parse(done.stdout)
  assert.equal(outcome(report, 'copied-cookie', 'cloakroom', 'session').outcome, 'succeeded')
  assert.match(JSON.parse(done.stderr).error.detail, /copied-cookie, cloakroom session: succeeded/)
})

test('a proxy that takes a token out of the address is found out', async (t) => {
  const weaken = (request, headers) => {
    const token = new URL(request.url, 'http://x').searchParams.get('access_token')
    if (!token) return
    request.url = request.url.replace(`&access_token=${token}`, '')
    headers.authorization = `Bearer ${token}`
  }
  const done = await attack('--target', await proxy(t, weaken), '--only', 'token-in-url')
  assert.equal(done.code, 1)
  assert.equal(outcome(JSON.parse(done.stdout), 'token-in-url', 'cloakroom', 'jwt').outcome, 'succeeded')
})
