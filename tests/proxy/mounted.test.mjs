// Cloakroom below `/auth` on an app's own host, behind nginx by the recipe of docs/forward-auth.md.

import assert from 'node:assert/strict';
import test from 'node:test';

import { ask } from '../lib/ask.mjs';
import { PASSWORD, credential, signedIn } from '../lib/cloakroom.mjs';
import { folded, startHouse, startProxy } from './recipes.mjs';

const ORIGIN = ['Origin', 'https://shop.example'];
test('Cloakroom on the host of an app, behind nginx', async (t) => {
  const house = await startHouse(t);
  const proxy = await startProxy(t, 'nginx', house);
  const api = await startProxy(t, 'nginx', house, 'api');

  await t.test("the API: cookies are the host's own, and readable for no path but all", async () => {
    const account = { email: 'ada@example.com', password: PASSWORD };
    const registered = await proxy.ask('POST', '/auth/v1/accounts', { body: account, headers: [ORIGIN] });
    assert.equal(registered.status, 201, registered.text);
    const login = await proxy.ask('POST', '/auth/v1/login', { body: account, headers: [ORIGIN] });
    assert.equal(login.status, 200, login.text);
    assert.equal(login.headers['set-cookie'].length, 1);
    const [cookie, ...attributes] = login.headers['set-cookie'][0].split('; ');
    assert.match(cookie, /^__Host-cloakroom-web=/);
    assert.ok(attributes.includes('Path=/') && attributes.includes('Secure') && attributes.includes('HttpOnly'), attributes);
    assert.ok(!attributes.some((attribute) => attribute.startsWith('Domain')), attributes);
    const ada = signedIn(login);
    const seen = folded((await proxy.ask('GET', '/', { headers: credential(ada) })).json);
    assert.deepEqual(seen.X_AUTH_ACCOUNT, [ada.account]);
    const cross = await proxy.ask('POST', '/auth/v1/logout', { headers: [...credential(ada), ['Origin', 'https://evil.example']] });
    assert.equal(cross.status, 403);
    assert.equal((await proxy.ask('POST', '/auth/v1/logout', { headers: [...credential(ada), ORIGIN] })).status, 204);
  });

  await t.test('F140: issuer, key set and interface description lie below the base path', async () => {
    const login = await api.ask('POST', '/auth/v1/login', { body: { email: 'ada@example.com', password: PASSWORD, app: 'api' } });
    const ada = signedIn(login);
    const claims = JSON.parse(Buffer.from(ada.access_token.split('.')[1], 'base64url'));
    assert.equal(claims.iss, 'https://shop.example/auth');
    const keys = await proxy.ask('GET', '/auth/.well-known/jwks.json');
    const { kid } = JSON.parse(Buffer.from(ada.access_token.split('.')[0], 'base64url'));
    assert.ok(keys.json.keys.some((key) => key.kid === kid));
    const description = await proxy.ask('GET', '/auth/openapi.json');
    assert.equal(description.status, 200);
    const servers = (description.json.servers ?? []).map((server) => server.url);
    assert.deepEqual(servers, ['https://shop.example/auth']);
    const refreshed = await api.ask('POST', '/auth/v1/refresh', { body: { refresh_token: ada.refresh_token } });
    assert.equal(refreshed.status, 200);
  });

  await t.test('nothing of Cloakroom answers outside the base path', async () => {
    for (const where of ['/v1/login', '/signin', '/.well-known/jwks.json', '/readyz', '/healthz', '/openapi.json', '/metrics', '/assets/style.css']) {
      assert.equal((await ask({ port: house.cloakroom.port, path: where, host: 'shop.example' })).status, 404, where);
      const outside = await proxy.ask('GET', where);
      assert.equal(outside.status, 401, `${where} is the app's, and guarded`);
    }
    assert.equal((await proxy.ask('GET', '/auth/metrics')).status, 404, 'for operators only');
  });
});
