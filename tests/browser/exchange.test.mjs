// An app changes its method, and the pages of its new client carry their sessions over: by each of the twelve ways, where the
// browser holds the old credential in a cookie.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Chromium } from './lib/browsers.mjs'
import { Cloakroom, METHODS, otherSite } from './lib/cloakroom.mjs'
import { heading, signUp } from './lib/person.mjs'

const methods = Object.values(METHODS)
/** Each way is an app of its own, so that one restart changes all of them. */
const WAYS = methods.flatMap((from) => methods.filter((to) => to !== from).map((to) => ({ app: `${from}-to-${to}`, from, to })))

let server, chromium, shop, neighbour

/** Who signed in before the change: page and credential by app. */
const people = new Map()

before(async () => {
  shop = await site('The app')
  neighbour = await site('Another port of its host')
  const apps = Object.fromEntries(WAYS.map(({ app, from }) => [app, from]))
  server = await Cloakroom.start({ apps, origins: [shop.url] })
  chromium = await Chromium.launch()
  for (const { app } of WAYS) {
    const page = await chromium.person()
    const email = await signUp(page, server, app)
    people.set(app, { page, email, old: await cookie(page) })
  }
  await server.restart((config) =>
    WAYS.reduce(
      (text, { app, from, to }) =>
        text.replace(`id = "${app}"\nmethod = "${from}"`, `id = "${app}"\nmethod = "${to}"\nmigrate_from = ["${from}"]`),
      config,
    ),
  )
})

after(async () => {
  await chromium?.close()
  await server?.stop()
  await shop?.stop()
  await neighbour?.stop()
})

/** A site on the server's host, where its cookies are sent along. */
async function site(title) {
  const other = await otherSite({ '/': `<!doctype html><title>${title}</title><h1>${title}</h1>` })
  return { ...other, url: other.url.replace('127.0.0.1', 'localhost') }
}

async function cookie(page) {
  const all = await page.context().cookies(server.url)
  assert.equal(all.length, 1)
  return all[0]
}

/** A page asks for its session to be carried over: what it is told, or that the browser tells it nothing. */
function exchange(page, app, { mode = 'cors', type = 'application/json' } = {}) {
  const asked = { url: `${server.url}/v1/exchange`, mode, type, text: JSON.stringify({ app, transport: 'cookie' }) }
  return page.evaluate(async ({ url, mode, type, text }) => {
    try {
      const headers = { 'content-type': type }
      const answer = await fetch(url, { method: 'POST', mode, credentials: 'include', headers, body: text })
      return { status: answer.status, body: await answer.json() }
    } catch {
      return 'nothing'
    }
  }, asked)
}

for (const { app, from, to } of WAYS) {
  test(`a page goes on by the old method, and is carried over: ${from} to ${to}`, async () => {
    const { page, email, old } = people.get(app)
    const devices = `${server.url}/devices?app=${app}`
    await page.goto(devices)
    assert.equal(await heading(page), 'Your devices', 'the old credential is still good')
    await page.getByText(email).waitFor()
    assert.equal((await cookie(page)).sameSite, old.sameSite)

    // A page of an origin that the app does not list has the cookie sent along, and gets nothing for it.
    await page.goto(neighbour.url)
    const before = await cookie(page)
    assert.equal(await exchange(page, app), 'nothing')
    assert.equal(await exchange(page, app, { mode: 'no-cors', type: 'text/plain' }), 'nothing')
    assert.equal((await cookie(page)).value, before.value)

    await page.goto(shop.url)
    const held = await cookie(page)
    const { status, body } = await exchange(page, app)
    assert.equal(status, 200)
    assert.equal(body.session.method, to)
    assert.equal(body.refresh_token, undefined, 'it is in its cookie')
    const anew = await cookie(page)
    assert.notEqual(anew.value, held.value)
    assert.equal(anew.name, `cloakroom-${app}`)
    assert.equal(anew.httpOnly, true)
    assert.equal(anew.sameSite, to.startsWith('jwt') ? 'Strict' : 'Lax')
    assert.equal(await page.evaluate(() => document.cookie), '', 'script cannot read it')

    // A second tab asks as well; and so does a page whose answer was lost.
    assert.equal((await exchange(page, app)).body.session.id, body.session.id)
    await page.context().clearCookies()
    await page.context().addCookies([held])
    const again = await exchange(page, app)
    assert.equal(again.status, 200, JSON.stringify(again.body))
    assert.equal(again.body.session.id, body.session.id)

    await page.goto(devices)
    assert.equal(await heading(page), 'Your devices')
    await page.getByText(email).waitFor()
    assert.deepEqual(chromium.complaints, [])
    await page.context().close()
  })
}
