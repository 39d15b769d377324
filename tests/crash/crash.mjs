// kill -9 at random moments under load: whatever the server acknowledged must hold when it is back.
//
// Workers sign in, refresh, verify and sign out, and note each answer that came. Then the server is killed, at a moment
// that nobody chose, and started again on the same folder; then every note is checked. What was asked and not answered
// may have happened or not, and counts as open.

import { createHash } from 'node:crypto';

import { Cloakroom, credential, signedIn } from '../lib/cloakroom.mjs';
import { generator } from '../lib/generator.mjs';
import { wait } from '../lib/process.mjs';

/** Refreshes must rotate: the shortest grace period, so that a generation is soon old enough. */
const APPS = `
[[app]]
id = "web"
method = "session"
[[app]]
id = "api"
method = "jwt"
refresh_grace = "1s"
[[app]]
id = "stateless"
method = "jwt-stateless"
`;
const IDS = ['web', 'api', 'stateless'];
const WORKERS = 6;
/** Sessions that are checked again after each later crash too. */
const KEPT = 40;

/**
 * Kills the server `times` times. `progress` is told after each. Answers how much was acknowledged and held; throws at
 * the first thing that did not.
 */
export async function crash(t, times, { seed = Date.now(), progress = () => {} } = {}) {
  const random = generator(seed);
  const server = await Cloakroom.prepare(t, { apps: APPS });
  const sum = { kills: 0, logins: 0, refreshes: 0, logouts: 0, everywhere: 0, thefts: 0, longestStart: 0 };
  const people = [];
  await server.start();
  for (let at = 0; at < WORKERS; at += 1) {
    await server.register(`ada${at}`);
    people.push(new Person(server, `ada${at}`, at));
  }
  for (let kill = 1; kill <= times; kill += 1) {
    const load = people.map((person) => person.live(random, sum));
    await wait(200 + random() * 1800);
    await server.stop('SIGKILL');
    await Promise.all(load);
    const began = Date.now();
    await server.start();
    sum.longestStart = Math.max(sum.longestStart, Date.now() - began);
    try {
      await Promise.all(people.map((person) => person.check(sum)));
    } catch (error) {
      error.message = `after kill ${kill} of seed ${seed}: ${error.message}\n${server.output}`;
      throw error;
    }
    sum.kills = kill;
    progress(sum);
  }
  await server.stop();
  return sum;
}

/** One account, whose requests come one after the other. */
class Person {
  constructor(server, name, number) {
    Object.assign(this, { server, name, from: `127.0.0.${10 + number}`, sessions: [] });
  }

  /** Does what people do until the server is gone. */
  async live(random, sum) {
    for (;;) {
      try {
        await this.act(random(), random(), sum);
      } catch (error) {
        if (!['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code) && !/hang up|aborted/.test(error.message)) throw error;
        return;
      }
    }
  }

  async act(dice, which, sum) {
    const living = this.sessions.filter((session) => session.state === 'alive');
    const one = living[Math.floor(which * living.length)];
    if (!one || dice < 0.25) return this.login(which, sum);
    if (dice < 0.6) return this.refresh(living.find((session) => session.app === 'api') ?? one, sum);
    if (dice < 0.7) return this.logout(one, sum);
    if (dice < 0.72) return this.logoutEverywhere(living, one, sum);
    return expect(await this.server.verify(one), 200, `${this.name} verifies`);
  }

  async login(which, sum) {
    const app = IDS[Math.floor(which * IDS.length)];
    const answer = await this.server.login(this.name, app, { from: this.from });
    if (answer.status === 503) return;
    expect(answer, 200, 'login');
    this.sessions.push({ ...signedIn(answer), app, state: 'alive', spent: [] });
    sum.logins += 1;
  }

  async refresh(session, sum) {
    if (!session.refresh_token) return this.login(0, sum);
    const before = session.refresh_token;
    session.open = true;
    const answer = expect(await this.renew(before), 200, 'refresh');
    const { access_token, refresh_token } = answer.json;
    Object.assign(session, { access_token, refresh_token, open: false });
    if (session.refresh_token !== before) {
      session.spent.push(before);
      sum.refreshes += 1;
    }
  }

  async logout(session, sum) {
    session.state = 'open';
    expect(await this.server.ask('POST', '/v1/logout', { headers: this.acting(session) }), 204, 'logout');
    session.state = 'ended';
    sum.logouts += 1;
  }

  async logoutEverywhere(living, session, sum) {
    living.forEach((each) => (each.state = 'open'));
    const request = { headers: this.acting(session), body: { everywhere: true } };
    expect(await this.server.ask('POST', '/v1/logout', request), 204, 'logout everywhere');
    living.forEach((each) => (each.state = 'ended'));
    sum.everywhere += 1;
  }

  /** After a restart: what lives, lives; what ended, stays ended; what was spent, is known as spent. */
  async check(sum) {
    for (const session of this.sessions) {
      const what = `${this.name}'s session ${session.session} of ${session.app}, ${session.state}`;
      if (session.state === 'alive') {
        const seen = expect(await this.server.verify(session), 200, what).json;
        if (seen.session !== session.session) throw new Error(`${what}: verified as ${seen.session}`);
        if (session.refresh_token) await this.checkRefresh(session, what, sum);
      } else if (session.state === 'ended') {
        expect(await this.server.verify(session), 401, what);
        if (session.refresh_token) expect(await this.renew(session.refresh_token), 401, `${what}, refreshed`);
      }
    }
    this.sessions = this.sessions.filter((session) => session.state !== 'open').slice(-KEPT);
  }

  async checkRefresh(session, what, sum) {
    const answer = await this.renew(session.refresh_token);
    // A rotation that was asked for and whose answer was lost: by now its grace period is over, and this looks like theft.
    if (session.open && answer.status === 401) {
      session.state = 'open';
      return;
    }
    expect(answer, 200, `${what}, refreshed`);
    const next = answer.json.refresh_token;
    if (next !== session.refresh_token) {
      session.spent.push(session.refresh_token);
      sum.refreshes += 1;
    }
    Object.assign(session, { refresh_token: next, access_token: answer.json.access_token, open: false });
    // A generation before the last one is theft, and ends the session. Only some are tried, since it costs one.
    const spent = session.spent.length >= 3 ? session.spent[0] : undefined;
    if (spent && toss(session)) {
      expect(await this.renew(spent), 401, `${what}, by a spent generation`);
      expect(await this.renew(session.refresh_token), 401, `${what}, after theft`);
      session.state = 'ended';
      sum.thefts += 1;
    }
  }

  renew(refresh_token) {
    return this.server.ask('POST', '/v1/refresh', { body: { refresh_token }, from: this.from });
  }

  acting(session) {
    return [...credential(session), ['Origin', `http://localhost:${this.server.port}`]];
  }
}

function expect(answer, status, what) {
  if (answer.status !== status) throw new Error(`${what}: ${answer.status} instead of ${status}: ${answer.text}`);
  return answer;
}

/** One in four sessions, always the same ones. */
const toss = ({ session }) => createHash('sha256').update(session).digest()[0] < 64;
