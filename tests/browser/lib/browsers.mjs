// Real browsers: where they are, and a Chromium with an eye on what its console says.

import { chromium } from 'playwright-core'

/** The browsers' programs. */
export const CHROMIUM = process.env.CLOAKROOM_CHROMIUM ?? '/usr/bin/chromium'
export const FIREFOX = process.env.CLOAKROOM_FIREFOX ?? '/usr/bin/firefox-esr'

/** How long a page may take on a machine that is busy with other things, in milliseconds. */
export const PATIENCE = 60_000

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** What a browser is started with. */
export function flags(kind) {
  return kind === 'firefox' ? [] : FLAGS
}

export class Chromium {
  /** `trust` is the hash of a public key whose certificate is good for these tests. */
  static async launch({ trust } = {}) {
    const args = trust ? [...FLAGS, `--ignore-certificate-errors-spki-list=${trust}`] : FLAGS
    return new Chromium(await chromium.launch({ executablePath: CHROMIUM, args }))
  }

  /** What pages complained about: violations of the policy, errors of scripts. */
  complaints = []

  constructor(browser) {
    this.browser = browser
  }

  /** A browser profile of its own, with one page. */
  async person(options = {}) {
    const context = await this.browser.newContext({ locale: 'en-GB', ...options })
    context.setDefaultTimeout(PATIENCE)
    context.on('console', (message) => {
      if (/content security policy|refused to/i.test(message.text())) this.complaints.push(message.text())
    })
    context.on('weberror', (error) => this.complaints.push(String(error.error())))
    return await context.newPage()
  }

  async close() {
    await this.browser.close()
  }
}
