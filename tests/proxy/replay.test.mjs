// Traefik and Envoy are not run: the requests that they document for their recipes in docs/forward-auth.md are replayed,
// and the answers are judged by what each of them does with one.

import assert from 'node:assert/strict';
import test from 'node:test';

import { credential } from '../lib/cloakroom.mjs';
import { document, startHouse } from './recipes.mjs';

const HOST = { host: 'shop.example' };
const BROWSING = [
  ['Accept', 'text/html,*/*;q=0.8'],
  ['Sec-Fetch-Mode', 'navigate'],
];

/** The one quoted address of the documentation that begins with this key. */
function setting(key, begins) {
  const found = [...document().matchAll(new RegExp(`${key}: "(${begins}[^"]*)"`, 'g'))].map((match) => match[1]);
  assert.equal(found.length, 1, key);
  return found[0];
}

/** forwardAuth: a GET to `address` with the client's headers and the original request in X-Forwarded-*. */
function traefik(cloakroom, method, uri, headers = []) {
  const { pathname, search } = new URL(setting('address', 'http://'));
  const told = [
    ['X-Forwarded-Method', method],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'shop.example'],
    ['X-Forwarded-Uri', uri],
    ['X-Forwarded-For', '203.0.113.9'],
    ['X-Forwarded-Port', '443'],
    ['X-Forwarded-Server', 'gate'],
    ['X-Real-Ip', '203.0.113.9'],
    ['Accept-Encoding', 'gzip'],
  ];
  return cloakroom.ask('GET', pathname.slice('/auth'.length) + search, { host: '127.0.0.1:8080', headers: [...headers, ...told] });
}

/** ext_authz: the original method and host, the original path behind `path_prefix`, the allowed headers, no body. */
function envoy(cloakroom, method, uri, headers = []) {
  const told = [
    ['x-forwarded-for', '203.0.113.9'],
    ['x-envoy-internal', 'true'],
    ['content-length', '0'],
  ];
  return cloakroom.ask(method, setting('path_prefix', '/auth').slice('/auth'.length) + uri, { ...HOST, headers: [...headers, ...told] });
}

for (const [name, replay] of Object.entries({ traefik, envoy })) {
  test(`the documented request of ${name}`, async (t) => {
    const { cloakroom } = await startHouse(t);
    await cloakroom.register('ada', HOST);
    const ada = await cloakroom.signIn('ada', 'web', HOST);
    const edge = await cloakroom.signIn('ada', 'edge', HOST);
    const cookies = [['Cookie', `theme=dark; ${edge.cookie}; ${ada.cookie}`]];

    const good = await replay(cloakroom, 'GET', '/cart?a=b', cookies);
    assert.equal(good.status, 200, good.text);
    assert.equal(good.headers['x-auth-account'], ada.account);
    assert.equal(good.headers['x-auth-session'], ada.session);
    assert.equal(good.headers['x-auth-app'], 'web');
    assert.equal(good.headers['x-auth-token'], '', 'there, so that it takes the place of one that a client sent (F109)');
    assert.equal(good.headers.cookie, 'theme=dark', 'takes the place of the cookies');

    assert.equal((await replay(cloakroom, 'GET', '/cart')).status, 401, 'a program');
    const person = await replay(cloakroom, 'GET', '/cart?a=b', BROWSING);
    assert.equal(person.status, 302);
    const back = 'return_to=https%3A%2F%2Fshop.example%2Fcart%3Fa%3Db';
    assert.equal(person.headers.location, `https://shop.example/auth/signin?app=web&${back}`);

    // What stands in the address of an app is the app's: a link by mail may carry a token of its own.
    for (const uri of ['/reset?token=abc', '/reset?x=1&token=abc', '/?access_token=x']) {
      assert.equal((await replay(cloakroom, 'GET', uri, cookies)).status, 200, uri);
    }

    for (const [headers, expected] of [
      [[], 403],
      [[['Origin', 'https://evil.example']], 403],
      [[['Origin', 'https://shop.example']], 200],
      [[['Sec-Fetch-Site', 'same-origin']], 200],
      [[['Sec-Fetch-Site', 'cross-site']], 403],
    ]) {
      for (const method of ['POST', 'PUT', 'DELETE']) {
        const answer = await replay(cloakroom, method, '/cart', [...cookies, ...headers]);
        assert.equal(answer.status, expected, `${method} ${headers}`);
      }
    }

    // F108: what a client puts into its own address chooses no other app, and asks for nothing.
    for (const uri of ['/a?app=edge', '/a?x=&app=edge', '/a&app=edge', '/a?redirect=0&cookies=0', '/?app=none', '/a#?app=edge', '/a%3Fapp=edge', '//a?app=edge']) {
      const other = await replay(cloakroom, 'GET', uri, [['Cookie', edge.cookie]]);
      assert.ok([400, 401].includes(other.status), `${uri}: ${other.status}`);
      const own = await replay(cloakroom, 'GET', uri, cookies);
      assert.equal(own.status, 200, uri);
      assert.equal(own.headers['x-auth-app'], 'web', uri);
      assert.equal(own.headers.cookie, 'theme=dark', uri);
    }
    // F106, F107: whatever the path, no 2xx without an identity.
    for (const uri of ['/auth/../x', '/%2e%2e/%2e%2e/healthz', '/..;/', '/%00', '/%ff', '/%', '//evil.example/', '/healthz', '/?access_token=x']) {
      const answer = await replay(cloakroom, 'GET', uri);
      assert.ok(answer.status >= 400 && answer.status < 500, `${uri}: ${answer.status}`);
    }
  });
}

test('by a bearer token too, whose holder needs no cookie', async (t) => {
  const { cloakroom } = await startHouse(t, { method: 'jwt' });
  await cloakroom.register('ada', HOST);
  const ada = await cloakroom.signIn('ada', 'web', HOST);
  for (const replay of [traefik, envoy]) {
    const answer = await replay(cloakroom, 'POST', '/cart', credential(ada));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers['x-auth-account'], ada.account);
    assert.equal(answer.headers.cookie, '');
  }
});
