// What people and operators do with an account, each as a request and as a step of a model: so that what two did at once, or one whose
// client left, can be compared with what an order of them allows.
//
// A state of the model is { account: 'active' | 'disabled' | 'deleted', password, alive: names of sessions, successors: of which
// session which one took the place }. A step answers what may come of it: a list of { ok, state }, where `ok` says whether whoever asked
// was told that it is done (undefined: either).

import { PASSWORD } from '../lib/cloakroom.mjs';
import { acknowledged, app, given } from './stage.mjs';

/** Everybody's devices hold a session of each of these. `moved` had the method of `before`, and exchanges. */
export const apps = (refresh_grace) => {
  const same = app('web', 'session') + app('api', 'jwt', { refresh_grace });
  return {
    before: same + app('moved', 'session', { refresh_grace }),
    after: same + app('moved', 'jwt', { refresh_grace, migrate_from: ['session'] }),
  };
};
export const KINDS = ['web', 'api', 'moved'];

export const beginning = (sessions) => ({ account: 'active', password: 'first', alive: new Set(sessions), successors: {} });

const done = (state) => [{ ok: true, state }];
const refused = (state) => [{ ok: false, state }];
const open = (state, ...alive) => ({ ...state, alive: new Set([...state.alive, ...alive]) });
const only = (state, ...alive) => ({ ...state, alive: new Set(alive) });
/** An end of what was exchanged ends what took its place. */
const without = (state, session) => only(state, ...[...state.alive].filter((each) => each !== session && each !== state.successors[session]));
const mayAct = (state, { session }) => state.account === 'active' && state.alive.has(session);
const admits = (state, password) => state.account === 'active' && state.password === password;

/**
 * `by`: the sessions of a device with which it can be asked for. `request` and `command` take whoever asks: { who, tag, session, by, target }
 * and the sessions and passwords of the round.
 */
export const OPERATIONS = {
  'sign in': {
    request: (server, { name }) => server.requests.login(name, 'web'),
    model: (state, { tag }) => (admits(state, 'first') ? done(open(state, `new.${tag}`)) : refused(state)),
    /** Beside an end of everything it may be born ended, and says so (F060). */
    mayBeDropped: true,
  },
  'sign in, end others': {
    request: (server, { name }) => server.requests.login(name, 'web', { end_others: true }),
    model: (state, { tag }) => (admits(state, 'first') ? done(only(state, `new.${tag}`)) : refused(state)),
    mayBeDropped: true,
  },
  renew: {
    by: ['api'],
    request: (server, { held }) => server.requests.refresh(held.refresh_token),
    model: (state, asker) => (mayAct(state, asker) ? done(state) : refused(state)),
  },
  'change password': {
    by: ['web', 'moved'],
    request: (server, { held, passwords, tag }) => server.requests.changePassword(held, PASSWORD, passwords[`changed.${tag}`]),
    model: (state, asker) =>
      mayAct(state, asker) && state.password === 'first'
        ? done({ ...only(state, `new.${asker.tag}`), password: `changed.${asker.tag}` })
        : refused(state),
  },
  'delete account': {
    by: ['web', 'moved'],
    request: (server, { held }) => server.requests.deleteAccount(held),
    model: (state, asker) => (mayAct(state, asker) && state.password === 'first' ? done({ ...only(state), account: 'deleted' }) : refused(state)),
  },
  'end own': {
    by: KINDS,
    request: (server, { held }) => server.requests.logout(held),
    model: (state, { session }) => (state.alive.has(session) ? done(without(state, session)) : [...done(without(state, session)), ...refused(state)]),
  },
  'end one': {
    by: ['web', 'moved'],
    request: (server, { held, target, sessions }) => server.requests.endOne(held, sessions[target].session),
    model(state, asker) {
      if (!mayAct(state, asker)) return refused(state);
      return state.alive.has(asker.target) ? done(without(state, asker.target)) : [...done(without(state, asker.target)), ...refused(state)];
    },
  },
  'end others': {
    by: ['web', 'moved'],
    request: (server, { held, by }) => server.requests.endOthers(held, by),
    model: (state, asker) => (mayAct(state, asker) ? done(only(state, asker.session)) : refused(state)),
  },
  'end everything': {
    by: KINDS,
    request: (server, { held }) => server.requests.logout(held, { everywhere: true }),
    model: (state, asker) => (mayAct(state, asker) ? done(only(state)) : refused(state)),
  },
  exchange: {
    by: ['moved'],
    request: (server, { held }) => server.requests.exchange(held, 'moved'),
    model(state, asker) {
      const successor = `successor.${asker.who}`;
      // A repeat gets the same one.
      if (state.account === 'active' && state.alive.has(successor)) return done(state);
      if (!mayAct(state, asker)) return refused(state);
      return done({ ...open(without(state, asker.session), successor), successors: { ...state.successors, [asker.session]: successor } });
    },
  },
  disable: {
    command: (server, { email }) => server.command('account', 'disable', email),
    model: (state) => (state.account === 'deleted' ? [{ state }] : done({ ...only(state), account: 'disabled' })),
  },
  'set password': {
    command: (server, { email, passwords }) => server.commandWith(passwords.operator, 'account', 'password', email, '--password-stdin'),
    model: (state) => (state.account === 'deleted' ? [{ state }] : done({ ...only(state), password: 'operator' })),
  },
  'end the account': {
    command: (server, { email }) => server.command('session', 'revoke', '--account', email),
    model: (state) => [{ state: only(state) }],
  },
};

/** What is known of an answer: it was done, it was refused, or nothing. */
export function told(answer) {
  if (acknowledged(answer)) return true;
  const { status, code } = answer;
  if (status === undefined) return code === 1 ? false : undefined;
  return status >= 500 || status === 429 ? undefined : false;
}

/** An account with two devices and a bystander, who all hold sessions, and the passwords that these operations may give it. */
export async function person(stage, { before, a }, operations) {
  const name = stage.name('ada');
  await before.register(name);
  const sessions = {};
  for (const who of ['one', 'two']) {
    for (const kind of KINDS) sessions[`${who}.${kind}`] = await before.signIn(name, kind);
  }
  sessions['third.web'] = await a.signIn(name, 'web');
  const passwords = { first: PASSWORD };
  if (operations.includes('set password')) passwords.operator = `of an operator ${name} 5`;
  if (operations.includes('change password')) Object.assign(passwords, { 'changed.x': `of the first one ${name} 6`, 'changed.y': `of the second one ${name} 7` });
  return { name, email: `${name}@example.com`, sessions, passwords };
}

/** Sends it, and keeps the session that it gave out. Answers what is known of it. */
export async function does(server, operation, asker) {
  const { request, command } = OPERATIONS[operation];
  const answer = command ? await command(server, asker) : await server.send(request(server, asker)).catch(() => ({ status: 503 }));
  keep(operation, asker, answer);
  return { ok: told(answer), answer };
}

function keep(operation, { sessions, tag, who, session, clashes }, answer) {
  const got = answer.status === 200 && operation !== 'end own' ? given(answer) : undefined;
  if (!got) return;
  if (operation === 'renew') Object.assign(sessions[session], { access_token: got.access_token, refresh_token: got.refresh_token });
  else if (operation !== 'exchange') sessions[`new.${tag}`] = got;
  else if ((sessions[`successor.${who}`] ??= got).session !== got.session) clashes.push(`an exchange has two successors`);
}

/** A few at once. */
export async function crowd(rounds, work) {
  const left = [...rounds];
  const hand = async () => {
    for (let round = left.shift(); round; round = left.shift()) await work(round);
  };
  await Promise.all(Array.from({ length: 4 }, hand));
}

/** What can be seen of an account: which of its sessions live, at which server, and which passwords sign in. */
export async function seen({ name, sessions, passwords }, servers) {
  const alive = new Set();
  const strange = [];
  for (const [which, who] of Object.entries(sessions)) {
    const lives = [];
    for (const server of servers) {
      const token = (!who.refresh_token || who.access_token) && (await server.accepts(who));
      const renewed = who.refresh_token ? await server.renews(who) : token;
      if (token && !renewed) strange.push(`the token of ${which} is accepted, and its session has ended`);
      lives.push(renewed);
    }
    if (new Set(lives).size > 1) strange.push(`${which} lives at one server only`);
    if (lives.some(Boolean)) alive.add(which);
  }
  const works = [];
  for (const [which, password] of Object.entries(passwords)) {
    if ((await servers[0].does.login(name, 'web', { password })).status === 200) works.push(which);
  }
  return { alive, works, strange };
}

/** Whether what was seen is a state of the model, as far as there are credentials to see it by. */
export function isSeen(state, { alive, works }, sessions) {
  const visible = [...state.alive].filter((which) => sessions[which]);
  const working = state.account === 'active' ? [state.password] : [];
  return visible.length === alive.size && visible.every((which) => alive.has(which)) && String(works) === String(working);
}

export const describe = ({ alive, works }) => `alive: ${[...alive].sort().join(' ') || 'nothing'}; signs in with: ${works.join(' ') || 'nothing'}`;
