// What deploy/compose promises and a schema cannot show: that its servers start.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from '../../lib/cloakroom.mjs';

export const compose = {
  'compose-starts': {
    does: "a server starts with the compose file's own URL, and a PostgreSQL without TLS that is called `postgres`, as the image's is",
    findings: [],
    needs: 'root',
    async play(stage) {
      const postgres = await stage.postgres();
      await postgres.sql('CREATE ROLE cloakroom LOGIN');
      await postgres.sql('CREATE DATABASE cloakroom OWNER cloakroom');
      const [, written] = /CLOAKROOM_STORE__ACCOUNTS: (\S+)/.exec(fs.readFileSync(path.join(ROOT, 'deploy/compose/compose.yaml'), 'utf8'));
      const url = written.replace('${POSTGRES_PASSWORD}', 'deadbeef').replace('@postgres/', `@postgres:${postgres.port}/`);
      const hosts = path.join(stage.dir, 'hosts');
      fs.writeFileSync(hosts, '127.0.0.1 localhost\n127.0.0.1 postgres\n');
      // The name is known to this server alone.
      const prefix = ['unshare', '--mount', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$@"`, 'sh'];
      const server = await stage.prepare({ accounts: postgres, prefix, env: { CLOAKROOM_STORE__ACCOUNTS: url } });
      const started = await server.start().then(() => 'it starts', (error) => error.message);
      assert.equal(started, 'it starts');
    },
  },
};
