// What people and apps do all the time, and the history of it: sign in, renew, sign out here or everywhere, through nginx or at
// one of the servers; and apps that ask about their credentials at every server and verifier.

import http from 'node:http';

import { PASSWORD, credential } from '../lib/cloakroom.mjs';
import { ask } from '../lib/ask.mjs';
import { generator } from '../lib/generator.mjs';
import { until, wait } from '../lib/process.mjs';
import { LAG, ON_FEED_LOSS } from './cluster.mjs';

const APPS = Object.keys(ON_FEED_LOSS);
const PEOPLE = 6;
/** Beyond so many living sessions somebody signs out before signing in again. */
const SESSIONS = 6;
/** Longer than anything may hang, so that what is lost is lost indeed. */
const PATIENCE = 5000;
const UNANSWERED = new Set(['lost', 'unavailable']);

export class Load {
  static async start(cluster, seed = Date.now()) {
    const load = new Load();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    Object.assign(load, { cluster, agent, seed, events: [], sessions: [], besides: new Set(), running: true, strange: [] });
    load.places = cluster.places();
    load.entries = load.places.filter(({ name }) => !name.startsWith('v'));
    const people = [];
    for (let at = 0; at < PEOPLE; at += 1) {
      const email = `ada${at}@example.com`;
      people.push({ email, account: await cluster.register(email) });
    }
    const random = generator(seed);
    load.loops = people.map((person) => load.live(person, generator(random() * 2 ** 32)));
    load.loops.push(...load.places.map((place) => load.check(place, generator(random() * 2 ** 32))));
    return load;
  }

  now() {
    return performance.now();
  }

  /** Everybody finishes what they are doing. */
  async stop() {
    this.running = false;
    await Promise.all(this.loops);
    await Promise.all(this.besides);
  }

  close() {
    this.agent.destroy();
  }

  // --- What people do, one thing after the other ---

  async live(person, random) {
    const sessions = [];
    while (this.running) {
      const dice = random();
      const living = sessions.filter(({ state }) => state === 'alive');
      const one = living[Math.floor(random() * living.length)];
      // Half of them come through the load balancer.
      const entry = this.entries.at(random() < 0.5 ? -1 : Math.floor(random() * (this.entries.length - 1)));
      const renewable = living.filter(({ refresh_token }) => refresh_token);
      if (!one || (dice < 0.3 && living.length < SESSIONS)) await this.login(entry, person, APPS[Math.floor(random() * APPS.length)], sessions);
      else if (dice < 0.6 && renewable.length) await this.refresh(entry, renewable[Math.floor(random() * renewable.length)]);
      else if (dice < 0.9) await this.logout(entry, one);
      else if (dice < 0.93) await this.logoutEverywhere(entry, one, living);
      await wait(20 + random() * 100);
    }
  }

  async login(entry, { email, account }, app, sessions) {
    const body = { email, password: PASSWORD, app };
    const { answer, event } = await this.record('login', entry, { account, app }, { method: 'POST', path: '/v1/login', body });
    if (event.answer !== 'yes') return;
    const session = { id: answer.json.session.id, account, app, cookie: answer.cookies[0], state: 'alive' };
    event.session = session.id;
    this.takeTokens(session, answer.json);
    sessions.push(session);
    // Now everybody has it in their cache, which is what an end has to reach.
    await this.beside(this.everywhere(session));
    this.sessions.push(session);
  }

  async refresh(entry, session) {
    const { id, account, app, refresh_token } = session;
    const request = { method: 'POST', path: '/v1/refresh', body: { refresh_token } };
    const { answer, event } = await this.record('refresh', entry, { session: id, account, app }, request);
    if (event.answer === 'yes') this.takeTokens(session, answer.json);
    else if (!UNANSWERED.has(event.answer)) session.state = 'gone';
  }

  takeTokens(session, { access_token, refresh_token, expires_in }) {
    if (!access_token) return;
    Object.assign(session, { access_token, refresh_token, expires: this.now() + expires_in * 1000 });
  }

  async logout(entry, session) {
    const { id, account, app } = session;
    await this.end(entry, session, { session: id, account, app }, undefined, [session]);
  }

  async logoutEverywhere(entry, session, sessions) {
    await this.end(entry, session, { account: session.account, app: session.app }, { everywhere: true }, sessions);
  }

  async end(entry, session, about, body, sessions) {
    // Whatever happens to the request, nobody builds on these any more.
    sessions.forEach((each) => (each.state = 'open'));
    const headers = [...credential(session), ['Origin', this.cluster.publicUrl]];
    for (let tries = 0; tries < 3; tries += 1) {
      const { event } = await this.record('end', entry, about, { method: 'POST', path: '/v1/logout', headers, body });
      if (event.answer === 'yes') await this.beside(Promise.all(sessions.slice(0, 3).map((each) => this.watch(each))));
      if (!UNANSWERED.has(event.answer)) return;
      // Whoever is not answered tries again.
      await wait(200);
    }
  }

  /** People do not wait for those who hang. */
  beside(work) {
    const done = work.finally(() => this.besides.delete(done));
    this.besides.add(done);
    return Promise.race([done, wait(500)]);
  }

  /** Asks everybody about it until they know that it has ended, or should have known for long. */
  async watch(session) {
    const since = this.now();
    await Promise.all(
      this.places.map(async (place) => {
        while (this.now() < since + 1.5 * LAG) {
          const { answer } = await this.verify(place, session);
          if (answer !== 'yes' && !UNANSWERED.has(answer)) return;
          await wait(UNANSWERED.has(answer) ? 200 : 5);
        }
      }),
    );
  }

  // --- What apps do ---

  async check(place, random) {
    while (this.running) {
      const session = this.sessions[Math.floor(random() * this.sessions.length)];
      if (session) await this.verify(place, session);
      await wait(25);
    }
  }

  everywhere(session) {
    return Promise.all(this.places.map((place) => this.verify(place, session)));
  }

  /** Waits until everybody has a fresh lease: a new token, which nobody's cache knows, is taken everywhere that is up. */
  async healed() {
    const [email, app] = ['ada0@example.com', 'strict'];
    await until('everybody hears what has ended', async () => {
      const request = { method: 'POST', path: '/v1/login', body: { email, password: PASSWORD, app } };
      const { answer, event } = await this.record('login', this.entries.at(-1), { account: undefined, app }, request);
      if (event.answer !== 'yes') return false;
      const { account, session, access_token } = answer.json;
      Object.assign(event, { account: account.id, session: session.id });
      const found = await this.everywhere({ id: session.id, account: account.id, app, access_token });
      return found.every(({ answer }) => answer === 'yes');
    });
    return this.now();
  }

  /** Everything that there is, at every place. */
  async sweep() {
    const left = [...this.sessions];
    const work = async () => {
      for (let session = left.pop(); session; session = left.pop()) await this.everywhere(session);
    };
    await Promise.all(Array.from({ length: 8 }, work));
  }

  async verify(place, session) {
    const { id, account, app, access_token, cookie, expires } = session;
    const about = { session: id, account, app, expires };
    const { answer, event } = await this.record('verify', place, about, { path: place.path(app), headers: credential({ access_token, cookie }) });
    if (event.answer === 'yes' && !answer.text.includes(id)) this.strange.push(`${place.name} took ${id} for ${answer.text}`);
    return event;
  }

  async record(kind, place, about, request) {
    const event = { kind, at: place.name, ...about, begin: this.now() };
    let answer;
    try {
      answer = await ask({ port: place.port, host: this.cluster.host, agent: this.agent, timeout: PATIENCE, ...request });
      event.answer = this.meaning(kind, place, answer);
      if (event.answer === 'unavailable') event.why = `${answer.status} ${answer.text}`;
    } catch (error) {
      event.answer = 'lost';
      event.why = error.code ?? error.message;
    }
    event.end = this.now();
    this.events.push(event);
    return { answer, event };
  }

  meaning(kind, place, { status, text }) {
    if (status === 200 || status === 204) return 'yes';
    if (status >= 500) return 'unavailable';
    if (status === 401) return text.includes('"session_revoked"') ? 'ended' : 'no';
    this.strange.push(`${place.name} answered ${kind} with ${status}: ${text}`);
    return 'no';
  }
}
