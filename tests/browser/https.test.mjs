// The server ends TLS itself, with a certificate of a throw-away CA.

import assert from 'node:assert/strict'
import https from 'node:https'
import { after, before, test } from 'node:test'

import { Chromium } from './lib/browsers.mjs'
import { Cloakroom, METHODS } from './lib/cloakroom.mjs'
import { heading, signIn, signOut, signUp } from './lib/person.mjs'

let server, chromium

before(async () => {
  server = await Cloakroom.start({ tls: true })
  chromium = await Chromium.launch({ trust: server.authority.spki })
})

after(async () => {
  await chromium?.close()
  await server?.stop()
})

test('the certificate is one of the CA', async () => {
  const get = (options) =>
    new Promise((done, fail) => {
      https.get(`${server.url}/readyz`, { agent: false, ...options }, done).on('error', fail)
    })
  assert.equal((await get({ ca: server.authority.ca })).statusCode, 200)
  await assert.rejects(get({}), /unable to verify|self.signed|local issuer/i)
})

for (const [app, method] of Object.entries(METHODS)) {
  test(`F013: over https the cookie is a __Host- cookie: ${method}`, async () => {
    const page = await chromium.person()
    const email = await signUp(page, server, app)
    const [cookie, ...more] = await page.context().cookies()
    assert.equal(more.length, 0)
    assert.equal(cookie.name, `__Host-cloakroom-${app}`)
    assert.deepEqual([cookie.secure, cookie.httpOnly, cookie.path], [true, true, '/'])
    assert.equal(cookie.domain, 'localhost', 'for this host alone')
    assert.equal(await page.evaluate(() => document.cookie), '')

    // A cookie of the plain name, which a sibling could have set, is nobody's.
    const value = cookie.value
    await page.context().clearCookies()
    await page.context().addCookies([{ name: `cloakroom-${app}`, value, url: server.url }])
    await page.goto(`${server.url}/devices?app=${app}`)
    assert.equal(await heading(page), 'Sign in')

    await signIn(page, server, app, email)
    assert.equal(await heading(page), 'Your devices')
    await signOut(page)
    const left = (await page.context().cookies()).filter((left) => left.name.startsWith('__Host-'))
    assert.deepEqual(left, [])
    assert.deepEqual(chromium.complaints, [])
    await page.context().close()
  })
}
