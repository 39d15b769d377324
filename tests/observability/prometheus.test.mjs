// A real Prometheus scrapes a real server and evaluates the alert rules; every query of the dashboard is put to it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { ask } from '../lib/ask.mjs';
import { Cloakroom, ROOT, folder } from '../lib/cloakroom.mjs';
import { Program, freePort, must, until } from '../lib/process.mjs';

const RULES = path.join(ROOT, 'docs/alerts.yml');
const BOARD = path.join(ROOT, 'deploy/grafana/cloakroom.json');

/** SQLite has no connections to servers elsewhere. */
const MAY_BE_EMPTY = [/cloakroom_store_connections/];

test('the alert rules are rules', async () => {
  assert.match(await must('promtool', ['check', 'rules', RULES]), /SUCCESS: \d+ rules found/);
});

test('a real Prometheus answers every query of the dashboard, and no alert fires at a server that is well', async (t) => {
  const dir = folder(t);
  const opsPort = await freePort();
  const server = await Cloakroom.start(t, { dir, top: `ops_listen = "127.0.0.1:${opsPort}"` });
  const port = await freePort();
  const config = { global: { scrape_interval: '250ms', evaluation_interval: '250ms' }, rule_files: [RULES] };
  config.scrape_configs = [{ job_name: 'cloakroom', static_configs: [{ targets: [`127.0.0.1:${opsPort}`] }] }];
  const file = path.join(dir, 'prometheus.yml');
  fs.writeFileSync(file, JSON.stringify(config));
  const program = new Program('prometheus', [
    `--config.file=${file}`,
    `--storage.tsdb.path=${path.join(dir, 'prometheus')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  t.after(() => program.stop('SIGKILL'));
  const get = (where) => ask({ port, path: where }).then(({ status, text, json }) => (assert.equal(status, 200, text), json));
  const query = (expression) => get(`/api/v1/query?query=${encodeURIComponent(expression)}`).then(({ data }) => data.result);
  await program.ready('Prometheus', () => ask({ port, path: '/-/ready' }).then(({ status }) => status === 200, () => false));

  await server.register('ada');
  const traffic = async () => {
    await server.verify(await server.signIn('ada', 'web'));
    const api = await server.signIn('ada', 'api');
    await server.ask('POST', '/v1/refresh', { body: { refresh_token: api.refresh_token } });
    await server.verify(api);
    await server.verify({ cookie: 'nothing=known' });
  };
  // A rate needs two scrapes of a series, and a change between them.
  await until('the second scrape after some traffic', async () => {
    await traffic();
    const [sample] = await query('min(count_over_time(cloakroom_sign_ins_total{app="api",outcome="ok"}[1m]))');
    return sample && Number(sample.value[1]) >= 3;
  });

  const { templating, panels } = JSON.parse(fs.readFileSync(BOARD, 'utf8'));
  assert.deepEqual(templating.list.map(({ name }) => name), ['datasource', 'instance']);
  const targets = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr]));
  assert.ok(targets.length > 50);
  for (const [title, expr] of targets) {
    const asked = expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*');
    const found = await query(asked);
    if (!MAY_BE_EMPTY.some((pattern) => pattern.test(expr))) assert.ok(found.length > 0, `${title}: ${asked} finds nothing`);
  }

  const { data } = await get('/api/v1/rules');
  const rules = data.groups.flatMap(({ rules }) => rules);
  assert.ok(rules.length >= 10);
  for (const { name, health, lastError, state } of rules) {
    assert.equal(health, 'ok', `${name}: ${lastError}`);
    assert.equal(state, 'inactive', name);
  }
});
