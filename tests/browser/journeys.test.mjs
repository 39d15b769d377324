// The whole way of a person, by each method, over http on loopback, in Chromium.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Chromium } from './lib/browsers.mjs'
import { Cloakroom, METHODS } from './lib/cloakroom.mjs'
import { fillSignIn, heading, NEW_PASSWORD, PASSWORD, press, signIn, signOut, signUp } from './lib/person.mjs'

let server, chromium

before(async () => {
  server = await Cloakroom.start()
  chromium = await Chromium.launch()
})

after(async () => {
  await chromium?.close()
  await server?.stop()
})

for (const [app, method] of Object.entries(METHODS)) {
  const keepsRecord = method !== 'jwt-stateless'

  test(`a person signs up, in and out, ends devices, changes the password and leaves: ${method}`, async () => {
    const page = await chromium.person()
    const other = await chromium.person()

    const email = await signUp(page, server, app)
    await seeCookie(page, app, method)
    await signOut(page)
    assert.deepEqual(await page.context().cookies(), [], 'the cookie is gone')

    await signIn(page, server, app, email)
    assert.equal(page.url(), `${server.url}/devices?app=${app}`)
    assert.equal(await page.getByText('This device', { exact: true }).count(), keepsRecord ? 1 : 0)

    // Another device signs in at another app, is seen, and is ended.
    await signIn(other, server, 'web', email)
    await page.reload()
    const ends = page.getByRole('button', { name: /^End session/ })
    const theirs = keepsRecord ? ends : page.getByRole('button', { name: /End session.*, web/ })
    assert.equal(await theirs.count(), 1)
    await theirs.click()
    await page.getByText('The session has been ended.').waitFor()
    await other.reload()
    assert.equal(await heading(other), 'Sign in')
    await other.getByText('Your session was ended.').waitFor()

    // It comes back, and all others are ended; where this one keeps no record, this one too.
    await fillSignIn(other, email)
    await page.goto(`${server.url}/devices?app=${app}`)
    if (keepsRecord) {
      await press(page, 'End all other sessions')
      await page.getByText('All other sessions have been ended.').waitFor()
    } else {
      await press(page, 'Sign out everywhere')
      await page.getByText('You are signed out everywhere.').waitFor()
      await signIn(page, server, app, email)
    }
    await other.reload()
    assert.equal(await heading(other), 'Sign in')

    // A new password: this device stays, the other one does not.
    await fillSignIn(other, email)
    await page.getByRole('link', { name: 'Password', exact: true }).click()
    await page.getByLabel('Current password').fill('not the password')
    await page.getByLabel('New password').fill(NEW_PASSWORD)
    await press(page, 'Change password')
    await page.getByText('That password is not right.').waitFor()
    assert.equal(await page.getByLabel('Current password').inputValue(), '')
    await page.getByLabel('Current password').fill(PASSWORD)
    await page.getByLabel('New password').fill(NEW_PASSWORD)
    await press(page, 'Change password')
    await page.getByText('Your password has been changed').waitFor()
    await page.goto(`${server.url}/devices?app=${app}`)
    assert.equal(await heading(page), 'Your devices', 'still signed in')
    await other.reload()
    assert.equal(await heading(other), 'Sign in')
    await fillSignIn(other, email)
    await other.getByText('The e-mail address or the password is not right.').waitFor()
    assert.equal(await other.getByLabel('E-mail').inputValue(), email)

    // Leaving for good.
    await page.getByRole('link', { name: 'Delete account' }).click()
    await page.getByLabel('Password').fill(NEW_PASSWORD)
    await press(page, 'Delete account for good')
    await page.getByText('Your account has been deleted.').waitFor()
    assert.deepEqual(await page.context().cookies(), [])
    await signIn(page, server, app, email, NEW_PASSWORD)
    await page.getByText('The e-mail address or the password is not right.').waitFor()

    assert.deepEqual(chromium.complaints, [])
    await page.context().close()
    await other.context().close()
  })
}

async function seeCookie(page, app, method) {
  const [cookie, ...more] = await page.context().cookies()
  assert.equal(more.length, 0)
  assert.equal(cookie.name, `cloakroom-${app}`)
  assert.equal(cookie.httpOnly, true)
  assert.equal(cookie.secure, false)
  assert.equal(cookie.path, '/')
  assert.equal(cookie.domain, 'localhost', 'for this host alone')
  assert.equal(cookie.sameSite, method.startsWith('jwt') ? 'Strict' : 'Lax')
  assert.ok(cookie.expires > Date.now() / 1000 + 29 * 86_400)
  assert.equal(await page.evaluate(() => document.cookie), '', 'script cannot read it')
}
