// Reports as files: made-up ones to open, and the paper that they are printed on.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { Chromium } from './browsers.mjs'
import { binary } from './cloakroom.mjs'
import { seeNoOverflow } from './width.mjs'

/** A4 at 96 px an inch, less the margins that the sheet asks for. */
export const PAPER = { width: 695, height: 1009 }

/** Where pictures of reports go, if anybody wants them. */
const PICTURES = process.env.CLOAKROOM_SCREENSHOTS ? join(tmpdir(), 'cloakroom-report') : undefined

/** Made-up reports in a folder, and a browser to open them in. */
export class Reports {
  static async write() {
    if (PICTURES) mkdirSync(PICTURES, { recursive: true })
    const folder = mkdtempSync(join(tmpdir(), 'cloakroom-report-'))
    execFileSync(join(dirname(binary()), 'examples', 'sample-report'), [folder])
    return new Reports(folder, await Chromium.launch())
  }

  constructor(folder, chromium) {
    Object.assign(this, { folder, chromium })
  }

  /** Opens a report. */
  async open(name, options = {}) {
    const page = await this.chromium.person({ viewport: { width: 1100, height: 800 }, ...options })
    page.requests = []
    page.on('request', (request) => page.requests.push(request.url()))
    await page.goto(pathToFileURL(join(this.folder, name, 'report.html')).href)
    return page
  }

  async close() {
    await this.chromium.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Where a picture of a report goes, or nowhere. */
export function picture(name) {
  return PICTURES && join(PICTURES, name.replace('/', '-'))
}

/** Takes a picture of the whole page, where pictures are wanted. */
export async function show(page, name) {
  if (PICTURES) await page.screenshot({ path: picture(`${name}.png`), fullPage: true })
}

/** The verdict, in three sentences, stands on the first screen, with so many notices before it. */
export async function seeVerdictFirst(page, name, notices) {
  const box = await page.locator('.verdict').boundingBox()
  assert.ok(box.y + box.height < 800, `${name}: ${JSON.stringify(box)}`)
  assert.equal(await page.locator('.verdict p').count(), 3)
  assert.equal(await page.locator('.notice').count(), notices)
}

/** At 360 px nothing makes the page scroll sideways. */
export async function seeNarrow(reports, name) {
  const page = await reports.open(name, { viewport: { width: 360, height: 740 } })
  await seeNoOverflow(page, name)
  await show(page, `${name}-narrow`)
  await page.context().close()
}

/** What is printed: nothing wider than the paper, no figure higher, heads of tables repeated, and paper is light. */
export async function seeGoodPrint(page, name, path) {
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
  const faults = await page.evaluate(({ width, height }) => {
    const found = []
    for (const element of document.querySelectorAll('table, figure, pre, .verdict, article')) {
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
  const pdf = await page.pdf({ preferCSSPageSize: true, path })
  assert.match(pdf.toString('latin1'), /\/MediaBox \[0 0 59[45](\.\d+)? 84[12](\.\d+)?\]/)
}
