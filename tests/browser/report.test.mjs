// The report of `cloakroom compare` as people open and print it: accessibility, light and dark, narrow, on A4, and without a network.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { seeNoFindings } from './lib/axe.mjs'
import { PAPER, Reports, picture, seeGoodPrint, seeNarrow, seeVerdictFirst, show } from './lib/report.mjs'

const REPORTS = ['en', 'ko', 'doubtful']

let reports

before(async () => {
  reports = await Reports.write()
})

after(() => reports?.close())

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing in any report in ${colorScheme}`, async () => {
    for (const name of REPORTS) {
      const page = await reports.open(name, { colorScheme })
      await seeNoFindings(page)
      // What is folded away is read too.
      await page.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = true)))
      await seeNoFindings(page)
      await show(page, `${name}-${colorScheme}`)
      await page.context().close()
    }
    assert.deepEqual(reports.chromium.complaints, [])
  })
}

test('a report asks for nothing but itself, and does without script', async () => {
  const page = await reports.open('en', { javaScriptEnabled: false })
  assert.equal(page.requests.length, 1)
  assert.equal(await page.locator('script').count(), 0)
  assert.equal(await page.locator('figure svg').count(), 10)
  await page.context().close()
})

test('the verdict stands on the first screen, and notices before it', async () => {
  for (const name of REPORTS) {
    const page = await reports.open(name)
    await seeVerdictFirst(page, name, name === 'doubtful' ? 3 : 0)
    await page.context().close()
  }
})

test('at 360 px no report scrolls sideways', async () => {
  for (const name of REPORTS) await seeNarrow(reports, name)
})

test('no text lies on another in a figure, and none leaves it', async () => {
  for (const name of REPORTS) {
    const page = await reports.open(name)
    const faults = await page.evaluate(() => {
      const found = []
      for (const svg of document.querySelectorAll('figure svg')) {
        const frame = svg.getBoundingClientRect()
        const texts = [...svg.querySelectorAll('text')].map((text) => [text.textContent.trim(), text.getBoundingClientRect()])
        for (const [index, [text, box]] of texts.entries()) {
          if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 2) found.push(`${text} leaves`)
          for (const [other, its] of texts.slice(index + 1)) {
            const across = Math.min(box.right, its.right) - Math.max(box.left, its.left)
            const down = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top)
            if (across > 1 && down > 5) found.push(`${text} on ${other}`)
          }
        }
      }
      return found
    })
    assert.deepEqual(faults, [], name)
    await page.context().close()
  }
})

test('on A4 nothing is wider than the paper, no figure higher, and paper is light', async () => {
  for (const name of REPORTS) {
    const page = await reports.open(name, { colorScheme: 'dark', viewport: PAPER })
    await seeGoodPrint(page, name, picture(`${name}.pdf`))
    await page.context().close()
  }
})
