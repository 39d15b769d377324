// The page that explains: each method's sign-in, request, renewal and sign-out as they were sent, the thief, the end and the killed key;
// how it looks; and that no page from elsewhere presses its buttons. Who sees it at all is tested at its face (`tests/api/explain.rs`).

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import http from 'node:http'
import { after, before, test } from 'node:test'

import { seeNoFindings } from './lib/axe.mjs'
import { Chromium } from './lib/browsers.mjs'
import { Cloakroom } from './lib/cloakroom.mjs'
import { press } from './lib/person.mjs'
import { seeNoOverflow } from './lib/width.mjs'

const TOKENS = ['jwt', 'jwt-stateless']

let server, chromium

before(async () => {
  server = await Cloakroom.start({ explain: true, grace: '1s' })
  chromium = await Chromium.launch()
})

after(async () => {
  await chromium?.close()
  await server?.stop()
})

for (const method of ['session', 'jwt', 'jwt-stateless', 'phantom']) {
  test(`${method}: what is sent, held and kept, from the sign-in to the end`, async () => {
    const page = await open(method)
    await person(page, 'Sign in')
    await sees(page, 'Sign in', 'accepted', ['POST /v1/login', 'hashes the password'])
    const holds = await card(page, 'The client holds')
    const keeps = await card(page, 'The server keeps')
    if (TOKENS.includes(method)) assert.match(holds, /access_token[\s\S]*refresh_token/)
    else assert.match(holds, /cookie\s+cloakroom-\w+=[\w-]+…/)
    if (method === 'jwt-stateless') assert.match(keeps, /No record/)
    else assert.match(keeps, new RegExp(`method\\s+${method}[\\s\\S]*generation\\s+0`))

    await person(page, 'Send a request')
    await sees(page, 'Send a request', 'accepted', [TOKENS.includes(method) ? 'checks the signature' : 'reads the record'])
    await person(page, 'Send a request')
    await sees(page, 'Send a request', 'accepted', ['GET /v1/verify?app=', '200 OK'])
    assert.match(await latest(page), /Checked from memory/)
    if (TOKENS.includes(method)) {
      await person(page, 'Renew')
      await sees(page, 'Renew', 'accepted', ['POST /v1/refresh', 'signs a token'])
    }
    if (method === 'phantom') assert.match((await page.locator('#latest').innerHTML()).toLowerCase(), /x-auth-token: /)

    await thief(page, 'Steal')
    await thief(page, 'Send a request')
    await sees(page, 'The thief sends a request', 'accepted', ['GET /v1/verify?app='])
    await person(page, 'Sign out')
    await sees(page, 'Sign out', 'accepted', ['POST /v1/logout', 'writes the end into the log'])
    assert.match(await card(page, 'The server keeps'), /session has ended/)
    await thief(page, 'Send a request')
    await sees(page, 'The thief sends a request', 'refused: session_revoked', ['401 Unauthorized'])
    await page.context().close()
  })

  test(`${method}: the operator ends the session, and kills the key`, async () => {
    const page = await open(method)
    await person(page, 'Sign in')
    await press(page, 'End the session')
    await person(page, 'Send a request')
    await sees(page, 'Send a request', 'refused: session_revoked', ['401 Unauthorized'])
    await person(page, 'Sign in')
    await press(page, 'Kill the key')
    // One transaction: the key's mark, its line in the log and the key that takes its place.
    assert.match(await latest(page), /reads or changes the keys/)
    await person(page, 'Send a request')
    await sees(page, 'Send a request', 'refused: ', ['401 Unauthorized'])
    if (method === 'jwt') {
      // The refresh token is of another key: a new access token by the next one.
      await person(page, 'Renew')
      await person(page, 'Send a request')
      await sees(page, 'Send a request', 'accepted', ['200 OK'])
    }
    await page.context().close()
  })
}

test('a thief who renews after the owner is found out, and so is the owner who renews after him', async () => {
  const page = await open('jwt')
  await person(page, 'Sign in')
  await thief(page, 'Steal')
  await pastGrace()
  await person(page, 'Renew')
  await sees(page, 'Renew', 'accepted', ['swaps the generation'])
  await pastGrace()
  await thief(page, 'Renew')
  await sees(page, 'The thief renews', 'refused: token_reused', ['writes the end into the log'])
  await person(page, 'Renew')
  await sees(page, 'Renew', 'refused: session_revoked', ['401 Unauthorized'])
  await page.context().close()
})

for (const method of ['session', 'jwt', 'jwt-stateless', 'phantom']) {
  test(`${method}: no secret stands on the page, and starting over leaves nothing`, async () => {
    const page = await open(method)
    for (const act of ['Sign in', 'Send a request', 'Sign in']) await person(page, act)
    for (const act of ['Steal', 'Send a request']) await thief(page, act)
    if (TOKENS.includes(method)) {
      await pastGrace()
      await person(page, 'Renew')
    }
    const html = await page.content()
    // A ticket, the shortest of them, has 47 characters.
    assert.deepEqual(html.match(/[\w.-]{41,}/g), null)
    const sent = await page.locator('pre', { hasText: '"password":' }).first().textContent()
    assert.match(sent, /"password":"\w{6}…\w{4}"/)
    const whose = html.match(/explain-\w+@example\.org/)[0]
    await press(page, 'Start over')
    assert.match(await card(page, 'The client holds'), /Nothing\./)
    assert.equal(await page.locator('.step').count(), 0)
    const list = ['account', 'list', '--json', '--data-dir', `${server.folder}/data`]
    const { accounts } = JSON.parse(execFileSync(process.env.CLOAKROOM_BIN, list, { env: {} }))
    assert.ok(!accounts.some(({ email }) => email === whose), 'the account is gone')
    await page.context().close()
  })
}

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing in ${colorScheme}, with and without a story`, async () => {
    const page = await chromium.person({ colorScheme })
    await page.goto(`${server.url}/explain?method=phantom`)
    if (await page.getByRole('button', { name: 'Start over' }).count()) await press(page, 'Start over')
    await seeNoFindings(page)
    await story(page)
    await seeNoFindings(page)
    assert.deepEqual(chromium.complaints, [])
    await page.context().close()
  })
}

test('at 320 px it does not scroll sideways, in either language', async () => {
  for (const locale of ['en-GB', 'ko-KR']) {
    const page = await chromium.person({ viewport: { width: 320, height: 640 }, locale })
    await page.goto(`${server.url}/explain?method=jwt`)
    await page.locator('button[value=sign-in]').click()
    await page.locator('#latest').waitFor()
    for (const shut of await page.locator('summary').all()) await shut.click()
    await seeNoOverflow(page, locale)
    assert.equal(await page.locator('h1').innerText(), locale === 'ko-KR' ? '서버가 하는 일' : 'What the server does')
    await page.context().close()
  }
})

test('a page that another server of this machine serves cannot press its buttons', async () => {
  const evil = http.createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(`<form method="post" action="${server.url}/explain"><input name="method" value="session"><input name="do" value="sign-in">
<button>Win</button></form>`)
  })
  await new Promise((listens) => evil.listen(0, '127.0.0.1', listens))
  const owner = await open('session')
  const page = await chromium.person()
  await page.goto(`http://localhost:${evil.address().port}/`)
  const answered = page.waitForResponse(`${server.url}/explain`)
  await press(page, 'Win')
  assert.equal((await answered).status(), 403)
  const read = await page.evaluate((url) => fetch(url).then((answer) => answer.text(), (error) => error.name), `${server.url}/explain`)
  assert.equal(read, 'TypeError')
  await owner.reload()
  assert.equal(await owner.locator('.step').count(), 0)
  await page.context().close()
  await owner.context().close()
  evil.close()
})

// Not a test: makes pictures where they are asked for.
if (process.env.CLOAKROOM_SCREENSHOTS) test('pictures of the page that explains', async () => {
  const folder = join(tmpdir(), 'cloakroom-explain')
  mkdirSync(folder, { recursive: true })
  for (const [name, options, method] of [
    ['explain', {}, 'jwt'],
    ['explain-dark-ko', { colorScheme: 'dark', locale: 'ko-KR' }, 'session'],
    ['explain-narrow', { viewport: { width: 390, height: 844 } }, 'phantom'],
  ]) {
    const page = await chromium.person({ viewport: { width: 1200, height: 1000 }, ...options })
    await page.goto(`${server.url}/explain?method=${method}`)
    const over = page.locator('button[value=start-over]')
    if (await over.count()) await over.click()
    await story(page, ['sign-in', 'steal', 'end', 'thief-asks'])
    await page.evaluate(() => scrollTo(0, 0))
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
    await page.context().close()
  }
})

async function open(method) {
  const page = await chromium.person()
  await page.goto(`${server.url}/explain?method=${method}`)
  if (await page.getByRole('button', { name: 'Start over' }).count()) await press(page, 'Start over')
  return page
}

function person(page, does) {
  return press(page.getByRole('group', { name: 'The person' }), does, page)
}

function thief(page, does) {
  return press(page.getByRole('group', { name: 'A thief' }), does, page)
}

/** Does these things, by what the buttons do, in any language; then looks at what the store was given. */
async function story(page, acts = ['sign-in', 'ask', 'steal', 'thief-asks', 'sign-out', 'thief-asks']) {
  for (const act of acts) {
    const arrived = page.waitForEvent('framenavigated')
    await page.locator(`button[value=${act}]`).click()
    await arrived
    await page.waitForLoadState('load')
  }
  await page.locator('.server-store summary').first().click()
}

function latest(page) {
  return page.locator('#latest').innerText()
}

/** The latest step has this title, this outcome, and these arrows. */
async function sees(page, title, outcome, arrows) {
  const step = await latest(page)
  assert.match(step.split('\n')[0], new RegExp(`^\\d+\\. ${title}`), step)
  assert.ok(step.includes(outcome), step)
  const all = await page.locator('#latest .label').allInnerTexts()
  for (const arrow of arrows) assert.ok(all.some((label) => label.includes(arrow)), `${arrow} is not among ${all}`)
}

function card(page, title) {
  return page.locator('section.card', { has: page.getByRole('heading', { name: title }) }).innerText()
}

/** Until a token may be replaced again: the grace of this server is a second, and its clock is the real one. */
function pastGrace() {
  return new Promise((done) => setTimeout(done, 1100))
}
