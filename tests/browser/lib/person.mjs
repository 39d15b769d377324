// What a person does on the pages, by what stands on them.

import assert from 'node:assert/strict'

export const PASSWORD = 'correct horse battery staple'
export const NEW_PASSWORD = 'an unheard-of new passphrase'

let people = 0

/** An address that nobody has yet. */
export function newAddress() {
  people += 1
  return `person${people}@example.org`
}

/** The heading of the page. */
export function heading(page) {
  return page.locator('h1').innerText()
}

/** Presses a button, perhaps one in a part of the page, and waits for the page that it leads to. */
export async function press(part, name, page = part) {
  // The click answers before the form does.
  const arrived = page.waitForEvent('framenavigated')
  await part.getByRole('button', { name, exact: true }).click()
  await arrived
  await page.waitForLoadState('load')
}

export async function signUp(page, server, app, email = newAddress()) {
  await page.goto(`${server.url}/signup?app=${app}`)
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Name').fill('Ada Lovelace')
  await page.getByLabel('Password').fill(PASSWORD)
  await press(page, 'Create account')
  assert.equal(page.url(), `${server.url}/devices?app=${app}`)
  assert.equal(await heading(page), 'Your devices')
  return email
}

/** Fills in the sign-in form that is open. */
export async function fillSignIn(page, email, password = PASSWORD) {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await press(page, 'Sign in')
}

export async function signIn(page, server, app, email, password = PASSWORD) {
  await page.goto(`${server.url}/signin?app=${app}`)
  await fillSignIn(page, email, password)
}

/** Signs out over the question. */
export async function signOut(page) {
  await page.getByRole('link', { name: 'Sign out' }).click()
  await press(page, 'Sign out')
  assert.match(page.url(), /\/signin\?.*done=signed-out/)
  assert.equal(await heading(page), 'Sign in')
}
