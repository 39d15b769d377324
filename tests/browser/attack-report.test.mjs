// The report of `cloakroom attack` as people open and print it: accessibility, light and dark, narrow, on A4, and without a network.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { seeNoFindings } from './lib/axe.mjs'
import { PAPER, Reports, seeGoodPrint, seeNoOverflow } from './lib/report.mjs'

const REPORTS = ['attack/en', 'attack/ko', 'attack/bad']
const PICTURES = process.env.CLOAKROOM_SCREENSHOTS ? join(tmpdir(), 'cloakroom-report') : undefined
const picture = (name) => PICTURES && join(PICTURES, name.replace('/', '-'))

let reports

before(async () => {
  if (PICTURES) mkdirSync(PICTURES, { recursive: true })
  reports = await Reports.write()
})

after(() => reports?.close())

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing in any report of attacks in ${colorScheme}`, async () => {
    for (const name of REPORTS) {
      const page = await reports.open(name, { colorScheme })
      await seeNoFindings(page)
      if (PICTURES) await page.screenshot({ path: `${picture(name)}-${colorScheme}.png`, fullPage: true })
      await page.context().close()
    }
    assert.deepEqual(reports.chromium.complaints, [])
  })
}

test('a report of attacks asks for nothing but itself, and its pictures are there', async () => {
  const page = await reports.open('attack/en', { javaScriptEnabled: true })
  assert.deepEqual(page.requests.filter((url) => !url.startsWith('data:')).length, 1)
  assert.equal(await page.locator('script').count(), 0)
  const widths = await page.locator('img').evaluateAll((images) => images.map((image) => image.naturalWidth))
  assert.ok(widths.length === 4 && widths.every((width) => width > 100), `${widths}`)
  await page.context().close()
})

test('the verdict stands on the first screen, and what must not be so before it', async () => {
  for (const name of REPORTS) {
    const page = await reports.open(name)
    const box = await page.locator('.verdict').boundingBox()
    assert.ok(box.y + box.height < 800, `${name}: ${JSON.stringify(box)}`)
    assert.equal(await page.locator('.verdict p').count(), 3)
    assert.equal(await page.locator('.notice').count(), name === 'attack/bad' ? 3 : 0)
    await page.context().close()
  }
})

test('at 360 px no report of attacks scrolls sideways', async () => {
  for (const name of REPORTS) {
    const page = await reports.open(name, { viewport: { width: 360, height: 740 } })
    await seeNoOverflow(page, name)
    if (PICTURES) await page.screenshot({ path: `${picture(name)}-narrow.png`, fullPage: true })
    await page.context().close()
  }
})

test('on A4 nothing of a report of attacks is wider than the paper, and paper is light', async () => {
  for (const name of REPORTS) {
    const page = await reports.open(name, { colorScheme: 'dark', viewport: PAPER })
    await seeGoodPrint(page, name, PICTURES && `${picture(name)}.pdf`)
    if (PICTURES) await page.screenshot({ path: `${picture(name)}-paper.png`, fullPage: true })
    await page.context().close()
  }
})
