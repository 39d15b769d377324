// How the pages look and read: accessibility, light and dark, narrow, in Korean; and the pictures of the README.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { after, before, test } from 'node:test'

import { seeNoFindings } from './lib/axe.mjs'
import { Chromium } from './lib/browsers.mjs'
import { Cloakroom } from './lib/cloakroom.mjs'
import { heading, press, signIn, signUp } from './lib/person.mjs'
import { seeNoOverflow } from './lib/width.mjs'

const OPEN = ['/signin', '/signup', '/signin?done=signed-out', '/signin?because=session_expired', '/signin?app=none']
const OWN = ['/devices', '/devices?done=others-ended', '/password', '/account/delete', '/signout', '/nowhere']

let server, chromium

before(async () => {
  server = await Cloakroom.start()
  chromium = await Chromium.launch()
})

after(async () => {
  await chromium?.close()
  await server?.stop()
})

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing on any page in ${colorScheme}`, async () => {
    const page = await chromium.person({ colorScheme })
    for (const path of OPEN) {
      await page.goto(server.url + path)
      await seeNoFindings(page)
    }
    await page.goto(`${server.url}/signin`)
    await page.getByLabel('E-mail').fill('nobody@example.org')
    await page.getByLabel('Password').fill('not the password')
    await press(page, 'Sign in')
    await page.getByRole('alert').waitFor()
    await seeNoFindings(page)
    const email = await signUp(page, server, 'web')
    await signIn(await chromium.person(), server, 'api', email)
    for (const path of OWN) {
      await page.goto(server.url + path)
      await seeNoFindings(page)
    }
    assert.deepEqual(chromium.complaints, [])
    await page.context().close()
  })
}

test('at 320 px no page scrolls sideways, in either language', async () => {
  for (const locale of ['en-GB', 'ko-KR']) {
    const page = await chromium.person({ viewport: { width: 320, height: 640 } })
    const email = await signUp(page, server, 'web', `a-rather-long-address-of-somebody.${locale}@department.example.org`)
    const cookies = await page.context().cookies()
    const narrow = await chromium.person({ viewport: { width: 320, height: 640 }, locale })
    for (const path of OPEN) await seeItFit(narrow, path)
    await narrow.context().addCookies(cookies)
    for (const path of OWN) await seeItFit(narrow, path)
    await narrow.goto(`${server.url}/devices`)
    await narrow.getByText(email).waitFor()
    await page.context().close()
    await narrow.context().close()
  }
})

test('whoever asks for Korean gets Korean', async () => {
  const page = await chromium.person({ locale: 'ko-KR' })
  await page.goto(`${server.url}/signin`)
  assert.equal(await page.locator('html').getAttribute('lang'), 'ko')
  assert.equal(await heading(page), '로그인')
  await page.goto(`${server.url}/signup`)
  await page.getByLabel('이메일').fill('seoul@example.org')
  await page.getByLabel('비밀번호').fill('correct horse battery staple')
  await page.getByRole('button', { name: '가입하기' }).click()
  await page.getByText('이 기기', { exact: true }).waitFor()
  assert.equal(await heading(page), '로그인한 기기')
  await page.context().close()
})

test('the forms work by keyboard alone', async () => {
  const page = await chromium.person()
  await page.goto(`${server.url}/signup`)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip')
  for (const text of ['keys@example.org', 'Keys', 'correct horse battery staple']) {
    await page.keyboard.press('Tab')
    await page.keyboard.type(text)
  }
  await page.keyboard.press('Enter')
  await page.getByText('This device', { exact: true }).waitFor()
  await page.context().close()
})

// Not a test: makes the pictures of the README where they are asked for.
if (process.env.CLOAKROOM_SCREENSHOTS) test('pictures of the sign-in page and of the device list', async () => {
  const folder = fileURLToPath(new URL('../../docs/images/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const viewport = { width: 1100, height: 720 }
  const page = await chromium.person({ viewport })
  await page.goto(`${server.url}/signin`)
  await page.screenshot({ path: `${folder}sign-in.png` })
  const email = await signUp(page, server, 'web', 'ada@example.org')
  const phone =
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) ' +
    'Version/18.5 Mobile/15E148 Safari/604.1'
  await signIn(await chromium.person({ userAgent: phone }), server, 'api', email)
  const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
  await signIn(await chromium.person({ userAgent: firefox }), server, 'edge', email)
  await page.goto(`${server.url}/devices`)
  await page.screenshot({ path: `${folder}devices.png`, fullPage: true })
  await page.context().close()
})

async function seeItFit(page, path) {
  await page.goto(server.url + path)
  await seeNoOverflow(page, path)
}
