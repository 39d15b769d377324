// The files in deploy/: each is held against a validator of its own kind, and what they configure against the binary.
// No container engine and no systemd run here; what only they would show is not shown. scripts/image-check runs the image.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { BIN, ENVIRONMENT, ROOT, folder } from '../lib/cloakroom.mjs';
import { must, run } from '../lib/process.mjs';
import { pythonWith } from '../lib/python.mjs';

const deploy = path.join(ROOT, 'deploy');
const read = (...names) => fs.readFileSync(path.join(ROOT, ...names), 'utf8');
const succeed = (command, args, env) => must(command, args, { env: { ...ENVIRONMENT, ...env } });

test('the systemd unit is well formed and leaves the server little', async (t) => {
  const at = folder(t);
  const unit = path.join(at, 'cloakroom.service');
  // The unit names the installed binary; to be verified it must name one that is there.
  fs.writeFileSync(unit, read('deploy/systemd/cloakroom.service').replace('/usr/bin/cloakroom', BIN));
  const said = await succeed('systemd-analyze', ['verify', '--man=no', unit]);
  assert.doesNotMatch(said, /cloakroom\.service/);
  // 'Exposure' from 0 to 10, in tenths; systemd itself calls less than 2 good.
  await succeed('systemd-analyze', ['security', '--offline=true', '--threshold=16', unit]);
});

test('the Debian package has all of it, and its binary runs', async (t) => {
  const at = folder(t);
  const output = await succeed(path.join(ROOT, 'scripts/deb'), [BIN, at]);
  const file = output.trim().split('\n').at(-1);
  assert.match(path.basename(file), /^cloakroom_\d+\.\d+\.\d+_\w+\.deb$/);
  const contents = await succeed('dpkg-deb', ['--contents', file]);
  for (const [mode, name] of [
    ['-rwxr-xr-x root/root', './usr/bin/cloakroom'],
    ['-rw-r--r-- root/root', './lib/systemd/system/cloakroom.service'],
    ['-rw-r--r-- root/root', './etc/cloakroom/cloakroom.toml'],
    ['-rw-r--r-- root/root', './usr/share/doc/cloakroom/copyright'],
  ]) {
    const line = contents.split('\n').find((entry) => entry.endsWith(` ${name}`));
    assert.ok(line?.startsWith(mode), `${name}: ${line}`);
  }
  await succeed('lintian', ['--fail-on', 'error', file]);
  const unpacked = path.join(at, 'unpacked');
  await succeed('dpkg-deb', ['--extract', file, unpacked]);
  const installed = path.join(unpacked, 'usr/bin/cloakroom');
  assert.match(await succeed(installed, ['--version']), /^cloakroom \d/);
  await succeed(installed, ['config', 'check', '--config', path.join(unpacked, 'etc/cloakroom/cloakroom.toml')]);
});

test('the Kubernetes manifest is of the schema, and its configuration is one', async (t) => {
  const at = folder(t);
  const manifest = path.join(deploy, 'kubernetes/cloakroom.yaml');
  const programs = await pythonWith(at, 'kubernetes-validate==1.37.0');
  await succeed(path.join(programs, 'kubernetes-validate'), ['--strict', manifest]);
  const script = 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))';
  const documents = JSON.parse(await succeed(path.join(programs, 'python'), ['-c', script, manifest]));
  const of = (kind) => documents.find((document) => document.kind === kind);
  const config = path.join(at, 'cloakroom.toml');
  fs.writeFileSync(config, of('ConfigMap').data['cloakroom.toml']);
  const secret = crypto.randomBytes(32).toString('base64');
  const env = { CLOAKROOM_SECRET: secret, CLOAKROOM_STORE__ACCOUNTS: 'postgres://cloakroom:x@db.example/cloakroom' };
  await succeed(BIN, ['config', 'check', '--config', config], env);

  const { replicas, template } = of('Deployment').spec;
  const { securityContext: pod, containers: [container] } = template.spec;
  assert.equal(pod.runAsNonRoot, true);
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  // Under a storm of sign-ins, hashing takes no more than half of what there is; one thread more may take over.
  const threads = Number(of('ConfigMap').data['cloakroom.toml'].match(/^threads = (\d+)$/m)[1]);
  assert.ok((threads + 1) * 64 <= Number(container.resources.limits.memory.match(/^(\d+)Gi$/)[1]) * 512);
  assert.deepEqual(Object.keys(env), container.env.map(({ name }) => name));
  assert.ok(of('PodDisruptionBudget').spec.minAvailable < replicas);
});

test('the compose file is of the schema, and its nginx takes its configuration', async (t) => {
  const compose = path.join(deploy, 'compose/compose.yaml');
  await succeed('docker-compose', ['-f', compose, 'config', '--quiet'], { CLOAKROOM_SECRET: 'x', POSTGRES_PASSWORD: 'y' });
  const { code, output } = await run('docker-compose', ['-f', compose, 'config', '--quiet'], { env: ENVIRONMENT });
  assert.notEqual(code, 0, 'it starts without a secret');
  assert.match(output, /see the head of this file/);

  const at = folder(t);
  const config = path.join(at, 'nginx.conf');
  // The servers' names are known in the network of the containers only.
  const text = read('deploy/compose/nginx.conf').replace(/server (one|two):/g, 'server 127.0.0.1:');
  fs.writeFileSync(config, `pid ${at}/nginx.pid;\nerror_log stderr;\n${text}`);
  await succeed('nginx', ['-t', '-c', config, '-p', at]);
});

test('the container is built by the pinned toolchain, and runs as nobody in particular', () => {
  const file = read('deploy/container/Dockerfile');
  const [, channel] = read('rust-toolchain.toml').match(/channel = "(\d+\.\d+)/);
  assert.match(file, new RegExp(`^FROM rust:${channel.replace('.', '\\.')}-bookworm AS build$`, 'm'));
  const last = file.slice(file.lastIndexOf('FROM '));
  assert.match(last, /^USER 65532:65532$/m);
  assert.doesNotMatch(last, /^RUN /m);
});
