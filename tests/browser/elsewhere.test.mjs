// What happens between our pages and other sites: links that lead here, redirects that lead away, our forms' own headers.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import puppeteer from 'puppeteer-core'

import { Chromium, CHROMIUM, FIREFOX, flags, PATIENCE } from './lib/browsers.mjs'
import { Cloakroom, METHODS, otherSite } from './lib/cloakroom.mjs'
import { fillSignIn, heading, newAddress, PASSWORD, press, signIn, signOut, signUp } from './lib/person.mjs'

let shop, mail, server, chromium

before(async () => {
  shop = await otherSite({ '/landing': '<!doctype html><title>Shop</title><h1>Welcome back</h1>' })
  mail = await otherSite({})
  server = await Cloakroom.start({ origins: [shop.url] })
  chromium = await Chromium.launch()
})

after(async () => {
  await chromium?.close()
  await server?.stop()
  await shop?.stop()
  await mail?.stop()
})

for (const [app, method] of Object.entries(METHODS)) {
  test(`F018: a link, a mail's link and redirects from another site land signed in: ${method}`, async () => {
    const devices = `${server.url}/devices?app=${app}`
    mail.pages['/read'] = [
      '<!doctype html><title>Mail</title>',
      `<a href="${devices}">Devices</a> <a rel="noreferrer" href="${devices}">Without referrer</a>`,
      '<a href="/hop">By redirects</a>',
      `<form method="post" action="/hop"><button>By a form</button></form>`,
    ].join('\n')
    mail.pages['/hop'] = { location: '/hop2' }
    mail.pages['/hop2'] = { location: devices }
    const page = await chromium.person()
    const email = await signUp(page, server, app)
    for (const name of ['Devices', 'Without referrer', 'By redirects']) {
      await page.goto(`${mail.url}/read`)
      await page.getByRole('link', { name, exact: true }).click()
      await page.getByText(email).waitFor()
      assert.equal(await heading(page), 'Your devices')
    }
    await page.goto(`${mail.url}/read`)
    await press(page, 'By a form')
    await page.getByText(email).waitFor()

    // Who is not signed in ends at the sign-in page, after one step more and not in a loop.
    await page.context().clearCookies()
    await page.goto(`${mail.url}/read`)
    await page.getByRole('link', { name: 'Devices', exact: true }).click()
    await page.getByRole('button', { name: 'Sign in' }).waitFor()
    assert.equal(page.url(), `${server.url}/signin?app=${app}`)
    await fillSignIn(page, email)
    assert.equal(page.url(), devices)
    assert.deepEqual(chromium.complaints, [])
    await page.context().close()
  })
}

test('F021: after signing in, the policy lets the form lead on to an origin that the app lists', async () => {
  const page = await chromium.person()
  const email = await signUp(page, server, 'web')
  await signOut(page)
  const back = encodeURIComponent(`${shop.url}/landing`)
  await page.goto(`${server.url}/signin?app=web&return_to=${back}`)
  await fillSignIn(page, email)
  await page.getByText('Welcome back').waitFor()
  assert.equal(page.url(), `${shop.url}/landing`)

  await page.goto(`${server.url}/signup?app=web&return_to=${back}`)
  await page.getByLabel('E-mail').fill(newAddress())
  await page.getByLabel('Password').fill(PASSWORD)
  await press(page, 'Create account')
  await page.getByText('Welcome back').waitFor()

  // Another site is not led to, though nothing in the browser would stop it.
  await page.goto(`${server.url}/signin?app=web&return_to=${encodeURIComponent(`${mail.url}/read`)}`)
  await fillSignIn(page, email)
  assert.equal(page.url(), `${server.url}/devices?app=web`)
  assert.deepEqual(chromium.complaints, [])
  await page.context().close()
})

test('F023: a form on another site signs nobody in or out', async () => {
  const page = await chromium.person()
  const email = await signUp(page, server, 'web')
  const form = (action, fields) =>
    `<form method="post" action="${server.url}${action}">${Object.entries(fields)
      .map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`)
      .join('')}<button>${action}</button></form>`
  mail.pages['/trap'] =
    '<!doctype html><title>Trap</title>' +
    form('/signin', { email: 'x@example.org', password: PASSWORD }) +
    form('/signup', { email: 'x@example.org', password: PASSWORD }) +
    form('/signout', {}) +
    form('/devices/end-others', {})
  for (const action of ['/signin', '/signup', '/signout', '/devices/end-others']) {
    await page.goto(`${mail.url}/trap`)
    await press(page, action)
    assert.equal(await page.locator('code').innerText(), 'cross_site_request')
    await page.goto(`${server.url}/devices`)
    await page.getByText(email).waitFor()
  }
  await page.context().close()
})

test('F003: two people in one browser, one after the other, with any cookie removed between', async () => {
  const page = await chromium.person()
  const ids = async () => Object.fromEntries((await page.context().cookies()).map(({ name, value }) => [name, value]))
  const ada = await signUp(page, server, 'web')
  await signIn(page, server, 'api', ada)
  const adas = await ids()
  assert.equal(Object.keys(adas).length, 2)
  for (const removed of [[], ['cloakroom-web'], ['cloakroom-api'], ['cloakroom-web', 'cloakroom-api']]) {
    for (const name of removed) await page.context().clearCookies({ name })
    const bob = await signUp(page, server, 'web')
    await signIn(page, server, 'api', bob)
    const bobs = await ids()
    for (const [name, value] of Object.entries(bobs)) assert.notEqual(value, adas[name])
    for (const app of ['web', 'api']) {
      await page.goto(`${server.url}/devices?app=${app}`)
      await page.getByText(bob).waitFor()
      assert.equal(await page.getByText(ada).count(), 0)
    }
    Object.assign(adas, bobs)
  }
  await page.context().close()
})

for (const kind of ['chrome', 'firefox']) {
  test(`after signing out, neither going back nor loading anew shows the account: ${kind}`, async () => {
    // With puppeteer, which leaves the browsers their cache for going back and forward.
    await drive(kind, async (page, { fill, submit }) => {
      for (const app of Object.keys(METHODS)) {
        const email = newAddress()
        await page.goto(`${server.url}/signup?app=${app}`)
        await fill({ email, password: PASSWORD })
        await submit()
        await page.goto(`${server.url}/password?app=${app}`)
        await page.goto(`${server.url}/signout?app=${app}`)
        assert.ok((await page.content()).includes(email))
        await submit()
        for (let step = 0; step < 3; step += 1) {
          await page.goBack()
          assert.ok(!(await page.content()).includes(email), `${app}: ${page.url()}`)
        }
        await page.goForward()
        await page.reload()
        assert.ok(!(await page.content()).includes(email), `${app}: ${page.url()}`)
      }
    })
  })
}

test('F021: every form of ours passes in Firefox too, and what is meant for script stays hidden', async () => {
  await drive('firefox', async (page, { fill, submit }) => {
    const title = () => page.$eval('h1', (h1) => h1.textContent)
    for (const app of Object.keys(METHODS)) {
      const email = newAddress()
      await page.goto(`${server.url}/signup?app=${app}`)
      await fill({ email, password: PASSWORD })
      await submit()
      assert.equal(await title(), 'Your devices', app)
      assert.equal(await page.evaluate(() => document.cookie), '')
      await page.goto(`${server.url}/password?app=${app}`)
      await fill({ current: PASSWORD, new: `${PASSWORD} two` })
      await submit()
      assert.match(page.url(), /done=password-changed/)
      await submit('form[action="/devices/end-others"] button')
      assert.match(page.url(), app === 'stateless' ? /done=everything-ended/ : /done=others-ended/)
      if (app !== 'stateless') {
        await page.goto(`${server.url}/signout?app=${app}`)
        await submit()
        assert.match(page.url(), /done=signed-out/)
      }
      const back = encodeURIComponent(`${shop.url}/landing`)
      await page.goto(`${server.url}/signin?app=${app}&return_to=${back}`)
      await fill({ email, password: `${PASSWORD} two` })
      await submit()
      assert.equal(page.url(), `${shop.url}/landing`)
      mail.pages['/read'] = `<!doctype html><a href="${server.url}/account/delete?app=${app}">Leave</a>`
      await page.goto(`${mail.url}/read`)
      await page.click('a')
      await page.locator('#password').fill(`${PASSWORD} two`)
      await submit()
      assert.match(page.url(), /done=account-deleted/, `${app}: and a link from elsewhere lands signed in (F018)`)
    }
  })
})

/** Lets a browser do something, by puppeteer. */
async function drive(kind, journey) {
  const executablePath = kind === 'firefox' ? FIREFOX : CHROMIUM
  const browser = await puppeteer.launch({ browser: kind, executablePath, headless: true, args: flags(kind) })
  try {
    const page = await browser.newPage()
    page.setDefaultTimeout(PATIENCE)
    const fill = async (fields) => {
      for (const [name, value] of Object.entries(fields)) await page.locator(`#${name}`).fill(value)
    }
    const submit = (selector = 'main form button[type=submit]') =>
      Promise.all([page.waitForNavigation(), page.click(selector)])
    await journey(page, { fill, submit })
  } finally {
    await browser.close()
  }
}
