// Whether a page fits into its window.

import assert from 'node:assert/strict'

/** Nothing makes it scroll sideways. */
export async function seeNoOverflow(page, name) {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ])
  assert.ok(content <= window, `${name} is ${content} px wide in ${window} px`)
}
