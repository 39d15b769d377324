// docs/forward-auth.md as it stands, with real proxies: what reaches the app, and what does not.

import assert from 'node:assert/strict';
import test from 'node:test';

import { PASSWORD, credential, signedIn } from '../lib/cloakroom.mjs';
import { until, wait } from '../lib/process.mjs';
import { folded, startHouse, startProxy } from './recipes.mjs';

const BROWSING = [
  ['Accept', 'text/html,application/xhtml+xml,*/*;q=0.8'],
  ['Sec-Fetch-Mode', 'navigate'],
];
const IDENTITY = ['X-Auth-Account', 'X-Auth-Session', 'X-Auth-App', 'X-Auth-Token'];
/** All signs that a header name can have beside letters, digits and the dash (RFC 9110 section 5.6.2). */
const SIGNS = [..."!#$%&'*+.^_`|~"];

/** Signs in through the proxy, as a page of the app's host would. */
async function signIn(proxy, name, app, more = {}) {
  const answer = await proxy.ask('POST', '/auth/v1/login', {
    body: { email: `${name}@example.com`, password: PASSWORD, app },
    ...more,
  });
  assert.equal(answer.status, 200, answer.text);
  return signedIn(answer);
}

/** The app was reached, and saw this identity and no other in any spelling. */
function assertSees(answer, { account, session }, app, what = '') {
  assert.equal(answer.status, 200, `${what} ${answer.text}`);
  const seen = folded(answer.json);
  const expected = { X_AUTH_ACCOUNT: account, X_AUTH_SESSION: session, X_AUTH_APP: app };
  for (const [name, value] of Object.entries(expected)) {
    assert.deepEqual(seen[name], [value], `${what} ${name}`);
  }
  const token = (seen.X_AUTH_TOKEN ?? []).join();
  if (app === 'edge') {
    assert.equal(token.split('.').length, 3, `${what}: one signed token`);
  } else {
    assert.equal(token, '', `${what}: no token`);
  }
  assert.equal((seen.AUTHORIZATION ?? []).join(), '', `${what}: Authorization`);
  return seen;
}

for (const kind of ['nginx', 'caddy']) {
  test(`${kind} by the recipe of the documentation`, async (t) => {
    const house = await startHouse(t);
    const { cloakroom, upstream } = house;
    const [web, edge, api] = await Promise.all(['web', 'edge', 'api'].map((app) => startProxy(t, kind, house, app)));
    const direct = { host: 'shop.example' };
    await cloakroom.register('ada', direct);
    const ada = await signIn(web, 'ada', 'web');
    const who = { web: ada, edge: await signIn(web, 'ada', 'edge'), api: await signIn(web, 'ada', 'api') };
    const proxies = { web, edge, api };

    await t.test('F107: whoever is not signed in does not reach the app', async () => {
      const before = upstream.count;
      const signin = '/auth/signin?app=web&return_to=https%3A%2F%2Fshop.example%2Fcart%3Fa%3Db%26c%3D%2525d%26return_to%3D%2F%2Fevil.example';
      const person = await web.ask('GET', '/cart?a=b&c=%25d&return_to=//evil.example', { headers: BROWSING });
      assert.equal(person.status, 302);
      assert.equal(person.headers.location, `https://shop.example${signin}`);
      assert.equal((await web.ask('GET', '/cart')).status, 401, 'a program');
      assert.equal((await web.ask('POST', '/cart', { headers: BROWSING, body: 'a=b' })).status, 401, 'a form');
      assert.equal((await web.ask('HEAD', '/cart')).status, 401);
      for (const cookie of ['__Host-cloakroom-web=garbage', ada.cookie.slice(0, -2), ada.cookie.replace('__Host-', ''), ada.cookie.replace('-web=', '-api=')]) {
        assert.equal((await web.ask('GET', '/', { headers: [['Cookie', cookie]] })).status, 401, cookie);
      }
      assert.equal((await web.ask('GET', '/', { headers: [['Cookie', who.edge.cookie]] })).status, 401, "another app's");
      assert.equal(upstream.count, before);
    });

    await t.test('F109: whoever is signed in is told to the app by each method', async () => {
      for (const app of ['web', 'edge', 'api']) {
        assertSees(await proxies[app].ask('GET', '/a?b=c', { headers: credential(who[app]) }), who[app], app, app);
      }
      const answer = await web.ask('GET', '/a%2Fb/../c?d=%20&app=api', { headers: credential(ada) });
      assert.equal(answer.json.url, '/a%2Fb/../c?d=%20&app=api', 'the address is left as it is');
    });

    await t.test('F109, F110: no spelling of an identity header passes', async () => {
      const spellings = IDENTITY.flatMap((name) => {
        const [x, auth, last] = name.split('-');
        const mixed = SIGNS.flatMap((sign) => [`${x}${sign}${auth}${sign}${last}`, `${x}-${auth}${sign}${last}`, `${x}${sign}${auth}-${last}`]);
        return [name, name.toLowerCase(), name.toUpperCase(), ...mixed];
      });
      for (const app of ['web', 'edge', 'api']) {
        const forged = spellings.map((name) => [name, 'forged']);
        for (let at = 0; at < forged.length; at += 50) {
          const headers = [...credential(who[app]), ...forged.slice(at, at + 50)];
          const answer = await proxies[app].ask('GET', '/', { headers });
          assertSees(answer, who[app], app, `${app} with ${headers[1][0]}…`);
        }
        const one = [...credential(who[app]), ['x-auth-token', 'a.b.c'], ['X_Auth_Token', 'a.b.c'], ['X-Auth-Token', 'd.e.f']];
        const seen = assertSees(await proxies[app].ask('GET', '/', { headers: one }), who[app], app);
        assert.ok(!JSON.stringify(seen).includes('d.e.f'));
      }
      const nobody = await web.ask('GET', '/', { headers: [['X-Auth-Account', ada.account], ['X-Auth-App', 'web']] });
      assert.equal(nobody.status, 401);
    });

    await t.test("Cloakroom's cookies stay with the proxy, and the others pass", async () => {
      const [mine, edges] = [ada.cookie, who.edge.cookie];
      for (const [sent, left] of [
        [`${mine}`, ''],
        [`${mine}; theme=dark; lang=ko`, 'theme=dark; lang=ko'],
        [`theme=dark; ${mine}; lang=ko`, 'theme=dark; lang=ko'],
        [`theme=dark; lang=ko; ${mine}`, 'theme=dark; lang=ko'],
        [`${mine}; ${edges}; theme=dark`, 'theme=dark'],
        [`${edges}; theme=dark; ${mine}`, 'theme=dark'],
        [`theme=dark; ${edges}; ${mine}`, 'theme=dark'],
        [`a=1; ${edges}; b=2; ${mine}; c=3; cloakroom-web=x; d=4`, 'a=1; b=2; c=3; d=4'],
        [`__Host-cloakroom-web=junk; ${mine}; __Host-cloakroom-web=junk; a=1`, 'a=1'],
        [`my-cloakroom-web=1; ${mine}; __Host-mine=2`, 'my-cloakroom-web=1; __Host-mine=2'],
      ]) {
        const seen = assertSees(await web.ask('GET', '/', { headers: [['Cookie', sent]] }), ada, 'web', sent);
        assert.equal((seen.COOKIE ?? []).join('; '), left, sent);
      }
      const large = `${'x'.repeat(3000)}=${'y'.repeat(3000)}`;
      const seen = assertSees(await web.ask('GET', '/', { headers: [['Cookie', `${large}; ${mine}`]] }), ada, 'web');
      assert.equal(seen.COOKIE.join('; '), large);
    });

    await t.test('an unsafe method must come from a page of the app, and the original one is judged', async () => {
      const post = (headers, method = 'POST') => web.ask(method, '/buy', { headers: [...credential(ada), ...headers], body: 'a=b' });
      const before = upstream.count;
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
        assert.equal((await post([], method)).status, 403, method);
        assert.equal((await post([['Origin', 'https://evil.example']], method)).status, 403, method);
        assert.equal((await post([['Sec-Fetch-Site', 'cross-site']], method)).status, 403, method);
      }
      for (const spoof of [
        ['X-Forwarded-Method', 'GET'],
        ['X-Original-Method', 'GET'],
        ['X-HTTP-Method-Override', 'GET'],
        ['X-Forwarded-Host', 'evil.example'],
        ['Connection', 'close, X-Forwarded-Method'],
        ['Connection', 'close, Origin'],
      ]) {
        const answer = await post([['Origin', 'https://evil.example'], spoof]);
        assert.ok([400, 403].includes(answer.status), `${spoof}: ${answer.status}`);
      }
      const answer = await post([['Sec-Fetch-Site', 'same-origin'], ['X-Forwarded-Host', 'evil.example']]);
      assert.notEqual(answer.status, 500);
      assert.equal(upstream.count, before + (answer.status === 200 ? 1 : 0));
      for (const headers of [[['Origin', 'https://shop.example']], [['Sec-Fetch-Site', 'same-origin']]]) {
        const good = await post(headers);
        assert.equal(good.json.method, 'POST');
        assertSees(good, ada, 'web');
      }
      const bearer = await api.ask('POST', '/buy', { headers: credential(who.api), body: 'a=b' });
      assertSees(bearer, who.api, 'api');
    });

    await t.test('F104, F108, F111: headers of the client about where it goes change nothing', async () => {
      for (const spoof of [
        ['X-Forwarded-Uri', '/public'],
        ['X-Original-URI', '/public'],
        ['X-Original-URL', 'https://shop.example/public'],
        ['X-Forwarded-Host', 'evil.example'],
        ['X-Forwarded-Proto', 'http'],
        ['X-Forwarded-Prefix', '/public'],
        ['Forwarded', 'for=6.6.6.6;host=evil.example;proto=http'],
        ['X-Forwarded-Method', 'OPTIONS'],
        ['X-Rewrite-URL', '/public'],
        ['User-Agent', 'kube-probe/1.29'],
      ]) {
        const answer = await web.ask('GET', '/a', { headers: [...BROWSING, spoof] });
        assert.equal(answer.status, 302, `${spoof}`);
        assert.equal(answer.headers.location, 'https://shop.example/auth/signin?app=web&return_to=https%3A%2F%2Fshop.example%2Fa', `${spoof}`);
        assertSees(await web.ask('GET', '/a', { headers: [...credential(ada), spoof] }), ada, 'web', `${spoof}`);
      }
      // No client takes the identity away that the app counts on.
      for (const name of [...IDENTITY, 'Cookie', 'X-Forwarded-Uri', 'X-Forwarded-Host', 'X-Forwarded-For']) {
        const answer = await web.ask('GET', '/a', { headers: [...credential(ada), ['Connection', `close, ${name}`]] });
        if (answer.status === 200) assertSees(answer, ada, 'web', `Connection: ${name}`);
        else assert.ok([400, 401].includes(answer.status), `Connection: ${name}: ${answer.status}`);
      }
      const other = await web.ask('GET', '/', { host: 'evil.example', headers: BROWSING }).catch(() => ({ status: 421, headers: {} }));
      assert.ok(!(other.headers.location ?? '').includes('evil'), other.headers.location);
    });

    await t.test('F105, F106: no spelling of a path reaches the app without a credential', async () => {
      const before = upstream.count;
      for (const where of [
        '/auth/../admin', '/auth/%2e%2e/admin', '/auth/..%2fadmin', '/auth%2f..%2fadmin', '/auth/..;/admin', '//auth/../admin',
        '/auth/./../admin', '/auth/x/../../admin', '/auth/%2e%2e%2fadmin', '/auth/..%5cadmin', '/auth/..\\admin', '/auth//../admin',
        '/auth;/admin', '/AUTH/admin', '/auth.', '/auth', '/authx', '/admin?x=/auth/', '/admin%23/auth/', '/admin%3f/auth/', '/admin;/auth/',
        '/_cloakroom', '/%5fcloakroom', '/_cloakroom/', '/_cloakroom?app=api', '/@signin', '/healthz', '/auth/%00', '/%ff', '/%', '//', '/.', '*',
      ]) {
        const answer = await web.ask('GET', where);
        assert.ok(answer.status >= 300 && answer.status < 500, `${where}: ${answer.status}`);
      }
      assert.equal(upstream.count, before);
      for (const where of ['/auth/metrics', '/auth/../metrics']) {
        assert.ok((await web.ask('GET', where)).status >= 400, `${where} is for operators`);
      }
    });

    await t.test("F112: the client's address is the one that the proxy saw", async () => {
      for (const spoof of [[], [['X-Forwarded-For', '6.6.6.6']], [['X-Forwarded-For', '6.6.6.6, 127.0.0.1']], [['Forwarded', 'for=6.6.6.6']], [['X-Real-IP', '6.6.6.6']]]) {
        const bob = await signIn(web, 'ada', 'web', { from: '127.0.0.2', headers: spoof });
        // The address stands in the audit log, which is written a moment later.
        let address = null;
        await until('the address in the list of devices', async () => {
          const devices = await web.ask('GET', '/auth/v1/sessions', { headers: credential(bob) });
          address = devices.json.sessions.find((session) => session.current).address;
          return address !== null;
        });
        assert.equal(address, '127.0.0.2', `${spoof}`);
      }
    });

    await t.test('ending a session closes the way to the app', async () => {
      const eve = await signIn(web, 'ada', 'web');
      assertSees(await web.ask('GET', '/', { headers: credential(eve) }), eve, 'web');
      const headers = [...credential(eve), ['Origin', 'https://shop.example']];
      assert.equal((await web.ask('POST', '/auth/v1/logout', { headers })).status, 204);
      assert.equal((await web.ask('GET', '/', { headers: credential(eve) })).status, 401);
    });
  });

  test(`F113: ${kind}: a session that is used only through the proxy does not die early`, async (t) => {
    const house = await startHouse(t, { app: 'idle_timeout = "4s"\n' });
    const proxy = await startProxy(t, kind, house);
    await house.cloakroom.register('ada', { host: 'shop.example' });
    const [used, resting] = [await signIn(proxy, 'ada', 'web'), await signIn(proxy, 'ada', 'web')];
    for (let second = 0; second < 7; second += 1) {
      await wait(1000);
      assertSees(await proxy.ask('GET', '/', { headers: credential(used) }), used, 'web', `after ${second + 1} s`);
    }
    assert.equal((await proxy.ask('GET', '/', { headers: credential(resting) })).status, 401, 'a resting one does');
  });
}

test('F104: from a peer that is no configured proxy, headers about the request are noise', async (t) => {
  const { cloakroom } = await startHouse(t);
  const told = [...BROWSING, ['X-Forwarded-Host', 'shop.example'], ['X-Forwarded-Uri', '/a'], ['X-Forwarded-Proto', 'https']];
  const query = '/v1/verify?app=web&redirect=1';
  const trusted = await cloakroom.ask('GET', query, { headers: told });
  assert.equal(trusted.headers.location, 'https://shop.example/auth/signin?app=web&return_to=https%3A%2F%2Fshop.example%2Fa');
  const stranger = await cloakroom.ask('GET', query, { headers: told, from: '127.0.0.2' });
  assert.equal(stranger.headers.location, 'https://shop.example/auth/signin?app=web');
});
