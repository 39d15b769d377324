// The report of `cloakroom attack` as people open and print it: accessibility, light and dark, narrow, on A4, and without a network.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { seeNoFindings } from './lib/axe.mjs'
import { PAPER, Reports, picture, seeGoodPrint, seeNarrow, seeVerdictFirst, show } from './lib/report.mjs'

const REPORTS = ['attack/en', 'attack/ko', 'attack/bad']

let reports

before(async () => {
  reports = await Reports.write()
})

after(() => reports?.close())

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing in any report of attacks in ${colorScheme}`, async () => {
    for (const name of REPORTS) {
      const page = await reports.open(name, { colorScheme })
      await seeNoFindings(page)
      await show(page, `${name}-${colorScheme}`)
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
    await seeVerdictFirst(page, name, name === 'attack/bad' ? 3 : 0)
    await page.context().close()
  }
})

test('at 360 px no report of attacks scrolls sideways', async () => {
  for (const name of REPORTS) await seeNarrow(reports, name)
})

test('on A4 nothing of a report of attacks is wider than the paper, and paper is light', async () => {
  for (const name of REPORTS) {
    const page = await reports.open(name, { colorScheme: 'dark', viewport: PAPER })
    await seeGoodPrint(page, name, picture(`${name}.pdf`))
    await show(page, `${name}-paper`)
    await page.context().close()
  }
})
