// The pages below `/auth` on an app's own host, behind nginx by the recipe of docs/forward-auth.md: a person is sent to sign
// in, comes back to the page that was asked for, and signs out.

import assert from 'node:assert/strict';
import test from 'node:test';

import { PASSWORD } from '../lib/cloakroom.mjs';
import { startHouse, startProxy } from './recipes.mjs';

const ORIGIN = ['Origin', 'https://shop.example'];
const BROWSER = [
  ['Accept', 'text/html,*/*;q=0.8'],
  ['Accept-Language', 'en'],
  ['Sec-Fetch-Mode', 'navigate'],
  ['Sec-Fetch-Site', 'same-origin'],
];

test('pages: every link, form, style and redirect stays below the base path', async (t) => {
  const house = await startHouse(t);
  const proxy = await startProxy(t, 'nginx', house);
  await house.cloakroom.register('ada', { host: 'shop.example' });
  const signin = await proxy.ask('GET', '/cart?a=b&c=d', { headers: BROWSER });
  assert.equal(signin.status, 302);
  const address = new URL(signin.headers.location);
  assert.equal(address.origin + address.pathname, 'https://shop.example/auth/signin');
  const page = await proxy.ask('GET', address.pathname + address.search, { headers: BROWSER });
  assert.equal(page.status, 200);
  const links = [...page.text.matchAll(/(?:href|action|src)="([^"]*)"/g)].map((match) => match[1].replaceAll(/&(?:amp|#38);/g, '&'));
  assert.ok(links.length >= 3, page.text);
  for (const link of links) {
    const there = new URL(link, address);
    assert.equal(there.origin, 'https://shop.example', link);
    assert.ok(there.pathname.startsWith('/auth/'), link);
    const answer = await proxy.ask('GET', there.pathname + there.search, { headers: BROWSER });
    assert.ok([200, 303, 405].includes(answer.status), `${link}: ${answer.status}`);
  }
  const fields = new URLSearchParams(
    [...page.text.matchAll(/<input[^>]*>/g)]
      .map(([input]) => [/name="([^"]*)"/.exec(input)?.[1], /value="([^"]*)"/.exec(input)?.[1] ?? ''])
      .filter(([name]) => name)
      .map(([name, value]) => [name, value.replaceAll(/&(?:amp|#38);/g, '&')]),
  );
  fields.set('email', 'ada@example.com');
  fields.set('password', PASSWORD);
  const form = /<form[^>]*action="([^"]*)"/.exec(page.text)[1].replaceAll(/&(?:amp|#38);/g, '&');
  const target = new URL(form, address);
  const done = await proxy.ask('POST', target.pathname + target.search, { headers: [...BROWSER, ORIGIN], body: fields });
  assert.equal(done.status, 303, done.text);
  assert.equal(done.headers.location, 'https://shop.example/cart?a=b&c=d', 'back to the page that was asked for');
  const headers = [...BROWSER, ['Cookie', done.cookies.join('; ')]];
  const cart = await proxy.ask('GET', '/cart?a=b&c=d', { headers });
  assert.equal(cart.json.url, '/cart?a=b&c=d');
  const devices = await proxy.ask('GET', '/auth/devices', { headers });
  assert.equal(devices.status, 200);
  const front = await proxy.ask('GET', '/auth/', { headers });
  assert.ok([200, 303].includes(front.status), `${front.status}`);
  if (front.status === 303) assert.ok(new URL(front.headers.location, address).pathname.startsWith('/auth/'));
  const out = await proxy.ask('POST', '/auth/signout', { headers: [...headers, ORIGIN], body: new URLSearchParams() });
  assert.equal(out.status, 303, out.text);
  assert.ok(new URL(out.headers.location, address).pathname.startsWith('/auth/'), out.headers.location);
  assert.equal((await proxy.ask('GET', '/cart', { headers: [['Cookie', done.cookies.join('; ')]] })).status, 401);
});
