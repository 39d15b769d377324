// Access tokens are checked by programs that know the standards and nothing of Cloakroom: PyJWT and jose, by the key set.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import { fileURLToPath } from 'node:url';

import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

import { Cloakroom, folder } from '../lib/cloakroom.mjs';
import { run } from '../lib/process.mjs';
import { pythonWith } from '../lib/python.mjs';

const ALGORITHMS = ['EdDSA', 'ES256', 'RS256'];
const APPS = ALGORITHMS.map((algorithm) => `[[app]]\nid = "${algorithm.toLowerCase()}"\nmethod = "jwt"\nalgorithm = "${algorithm}"\n`).join('');
const script = fileURLToPath(new URL('verify.py', import.meta.url));
let python;
let server;

before(async () => {
  const dir = folder();
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  python = path.join(await pythonWith(dir, 'PyJWT==2.15.1', 'cryptography==50.0.2'), 'python');
});

const issuer = () => `http://localhost:${server.port}`;

/** What each program says of a token: its claims, or an error. */
async function said(token, audience) {
  const { code, output } = await run(python, [script, issuer(), audience, token]);
  const keys = createRemoteJWKSet(new URL(`${issuer()}/.well-known/jwks.json`));
  const options = { issuer: issuer(), audience, algorithms: ALGORITHMS, typ: 'at+jwt', clockTolerance: 5, requiredClaims: ['sub', 'iat', 'jti', 'sid'] };
  const jose = await jwtVerify(token, keys, options).then(
    ({ payload }) => payload,
    (error) => error,
  );
  return { pyjwt: code === 0 ? JSON.parse(output) : output, jose };
}

test('each algorithm is verified by PyJWT and by jose', async (t) => {
  server = await Cloakroom.start(t, { apps: APPS });
  await server.register('ada');
  for (const algorithm of ALGORITHMS) {
    const app = algorithm.toLowerCase();
    const who = await server.signIn('ada', app);
    const { pyjwt, jose } = await said(who.access_token, app);
    assert.equal(jose.sid, who.session, `${algorithm}: ${jose}`);
    assert.equal(jose.sub, who.account);
    assert.deepEqual(pyjwt, jose);

    // What is for one app is not for another, and what was changed is nobody's.
    const other = await said(who.access_token, 'another');
    assert.match(other.pyjwt, /InvalidAudienceError/);
    assert.equal(other.jose.claim, 'aud');
    const [header, payload, signature] = who.access_token.split('.');
    const claims = { ...JSON.parse(Buffer.from(payload, 'base64url')), exp: 4_000_000_000 };
    const changed = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
    const forged = await said(changed, app);
    assert.match(forged.pyjwt, /InvalidSignatureError/);
    assert.ok(forged.jose instanceof errors.JWSSignatureVerificationFailed, String(forged.jose));

    // A refresh token is no access token.
    const refresh = await said(who.refresh_token, app);
    assert.match(refresh.pyjwt, /DecodeError/);
    assert.ok(refresh.jose instanceof errors.JWSInvalid, String(refresh.jose));
  }
});

test('a rotated key verifies what it signed, and a killed one nothing', async (t) => {
  server = await Cloakroom.start(t, { apps: APPS });
  await server.register('ada');
  const old = await server.signIn('ada', 'eddsa');
  const rotated = await server.command('key', 'rotate', 'EdDSA');
  assert.equal(rotated.code, 0, rotated.output);
  assert.equal((await said(old.access_token, 'eddsa')).jose.sid, old.session);
  const kid = JSON.parse(Buffer.from(old.access_token.split('.')[0], 'base64url')).kid;
  const killed = await server.command('key', 'kill', kid);
  assert.equal(killed.code, 0, killed.output);
  const { pyjwt, jose } = await said(old.access_token, 'eddsa');
  assert.match(pyjwt, /PyJWKClientError/);
  assert.ok(jose instanceof errors.JWKSNoMatchingKey, String(jose));
});
