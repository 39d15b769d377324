// The report of `cloakroom compare` as people open and print it: accessibility, light and dark, narrow, on A4, and without a network.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { after, before, test } from 'node:test'

import { seeNoFindings } from './lib/axe.mjs'
import { Chromium } from './lib/browsers.mjs'
import { binary } from './lib/cloakroom.mjs'

const REPORTS = ['en', 'ko', 'doubtful']
const PICTURES = process.env.CLOAKROOM_SCREENSHOTS ? join(tmpdir(), 'cloakroom-report') : undefined

/** A4 at 96 px an inch, less the margins that the sheet asks for. */
const PAPER = { width: 695, height: 1009 }

let folder, chromium

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloakroom-report-'))
  execFileSync(join(dirname(binary()), 'examples', 'sample-report'), [folder])
  if (PICTURES) mkdirSync(PICTURES, { recursive: true })
  chromium = await Chromium.launch()
})

after(async () => {
  await chromium?.close()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

/** Opens a report. */
async function open(name, options = {}) {
  const page = await chromium.person({ viewport: { width: 1100, height: 800 }, ...options })
  page.requests = []
  page.on('request', (request) => page.requests.push(request.url()))
  await page.goto(pathToFileURL(join(folder, name, 'report.html')).href)
  return page
}

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing in any report in ${colorScheme}`, async () => {
    for (const name of REPORTS) {
      const page = await open(name, { colorScheme })
      await seeNoFindings(page)
      // What is folded away is read too.
      await page.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = true)))
      await seeNoFindings(page)
      if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-${colorScheme}.png`), fullPage: true })
      await page.context().close()
    }
    assert.deepEqual(chromium.complaints, [])
  })
}

test('a report asks for nothing but itself, and does without script', async () => {
  const page = await open('en', { javaScriptEnabled: false })
  assert.equal(page.requests.length, 1)
  assert.equal(await page.locator('script').count(), 0)
  assert.equal(await page.locator('figure svg').count(), 10)
  await page.context().close()
})

test('the verdict stands on the first screen, and notices before it', async () => {
  for (const name of REPORTS) {
    const page = await open(name)
    const box = await page.locator('.verdict').boundingBox()
    assert.ok(box.y + box.height < 800, `${name}: ${JSON.stringify(box)}`)
    assert.equal(await page.locator('.verdict p').count(), 3)
    assert.equal(await page.locator('.notice').count(), name === 'doubtful' ? 3 : 0)
    await page.context().close()
  }
})

test('at 360 px no report scrolls sideways', async () => {
  for (const name of REPORTS) {
    const page = await open(name, { viewport: { width: 360, height: 740 } })
    const [content, window] = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.documentElement.clientWidth,
    ])
    assert.ok(content <= window, `${name} is ${content} px wide in ${window} px`)
    if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-narrow.png`), fullPage: true })
    await page.context().close()
  }
})

test('no text lies on another in a figure, and none leaves it', async () => {
  for (const name of REPORTS) {
    const page = await open(name)
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
    const page = await open(name, { colorScheme: 'dark', viewport: PAPER })
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    const faults = await page.evaluate(({ width, height }) => {
      const found = []
      for (const element of document.querySelectorAll('table, figure, pre, .verdict')) {
        if (element.closest('details')) continue
        const box = element.getBoundingClientRect()
        if (box.right > width + 1) found.push(`${element.id || element.className} ends at ${box.right}`)
        if (element.matches('figure') && box.height > height) found.push(`${element.id} is ${box.height} high`)
      }
      const paper = getComputedStyle(document.body).backgroundColor
      if (paper !== 'rgb(255, 255, 255)') found.push(`paper is ${paper}`)
      const heads = [...document.querySelectorAll('thead')].map((head) => getComputedStyle(head).display)
      if (heads.some((display) => display !== 'table-header-group')) found.push('heads are not repeated')
      return found
    }, PAPER)
    assert.deepEqual(faults, [], name)
    const pdf = await page.pdf({ preferCSSPageSize: true, path: PICTURES && join(PICTURES, `${name}.pdf`) })
    assert.match(pdf.toString('latin1'), /\/MediaBox \[0 0 59[45](\.\d+)? 84[12](\.\d+)?\]/)
    await page.context().close()
  }
})
