// Decides whether a history obeys the promise (ARCHITECTURE.md, "Ending"; docs/configuration.md, what each store promises).
//
// A history is a list of events, each a question and its answer with the moments at which it was asked and answered, by
// one clock in milliseconds. Nothing here knows of servers: a history may as well be made up, as history.test.mjs does.
//
// What was asked and not answered ("lost") may have happened at any moment after it was asked, or not at all.

/**
 * @typedef {object} Event
 * @property {'login'|'verify'|'refresh'|'end'} kind
 * @property {string} at whoever was asked
 * @property {number} begin
 * @property {number} end
 * @property {'yes'|'ended'|'no'|'unavailable'|'lost'} answer `ended`: refused because it had ended; `no`: refused otherwise
 * @property {string} app
 * @property {string} account
 * @property {string} [session] absent for an end of all of an account's sessions
 * @property {number} [expires] of an access token that was presented: its last moment
 *
 * @typedef {object} Spell a time in which something else holds
 * @property {number} from
 * @property {number} to
 * @property {string[]} [at] of whom; without it of all
 * @property {number|Record<'refuse'|'until_expiry', number>} [errors] the most of the verifications begun in it that may go
 *   unanswered, as a share; of all of them, or by what their app does without a feed
 * @property {boolean} [loses] logins acknowledged in it may be lost by the store
 * @property {string[]} [unrefused] who answers every question, of whatever kind, that is asked in it
 *
 * @typedef {object} Promise
 * @property {number} lag `max_revocation_lag`
 * @property {number} leeway on the expiry of a token
 * @property {Record<string, 'refuse'|'until_expiry'>} apps
 * @property {string[]} [crowds] those `at` which stand for several verifiers, as a load balancer does
 * @property {number} [errors] the most verifications that may go unanswered outside of all spells, as a share; without it none
 * @property {number} [healed] from here on everybody hears what has ended: then the lag counts under `until_expiry` too
 * @property {Spell[]} spells
 */

/**
 * Answers { violations, counts, ends, spells }: what broke the promise, how much there was, for each session that was ended how
 * long after the acknowledgement the last request began that was accepted anywhere (0: none), by what its app does without a
 * feed, and for each spell how many verifications there were and how many had no answer.
 *
 * @param {Event[]} events
 * @param {Promise} promise
 */
export function judge(events, promise) {
  const sessions = new Map();
  const ends = events.filter((event) => event.kind === 'end' && !['ended', 'no'].includes(event.answer));
  for (const event of events) {
    if (event.session === undefined) continue;
    const session = sessions.get(event.session) ?? { id: event.session, app: event.app, account: event.account, uses: [], ends: [], doubts: [] };
    sessions.set(event.session, session);
    if (event.kind === 'login') session.login = event;
    else if (event.kind !== 'end') session.uses.push(event);
    // A rotation whose answer was lost looks like theft when it is asked for again after its grace period.
    if (event.kind === 'refresh' && ['lost', 'unavailable'].includes(event.answer)) session.doubts.push(event);
  }
  const everything = ends.filter((end) => end.session === undefined);
  for (const end of ends) if (end.session !== undefined) sessions.get(end.session).ends.push(end);

  const violations = [];
  const lags = { refuse: [], until_expiry: [] };
  for (const session of sessions.values()) {
    session.uses.sort((one, other) => one.begin - other.begin);
    const covers = (end) => end.account === session.account && session.login && (end.answer !== 'yes' || end.end > session.login.begin);
    judgeSession(session, [...session.ends, ...everything.filter(covers)], promise, violations, lags);
  }
  const counts = {};
  for (const { kind, answer } of events) {
    counts[kind] ??= {};
    counts[kind][answer] = (counts[kind][answer] ?? 0) + 1;
  }
  const spells = judgeErrors(events, promise, violations);
  return { violations, counts, ends: lags, spells };
}

function judgeSession(session, ends, promise, violations, lags) {
  const say = (rule, event, why) => violations.push({ rule, session: session.id, app: session.app, at: event.at, begin: event.begin, why });
  // Those that were certainly after the login; a login beside an end may be born ended or not.
  const certain = ends.filter((end) => end.answer === 'yes' && (!session.login || end.begin >= session.login.end));
  const acknowledged = Math.min(...certain.map((end) => end.end));
  /** When it was first refused as ended, by anybody and by each. */
  let first = Infinity;
  const refused = new Map();
  const accepted = session.uses.filter((use) => use.answer === 'yes');

  for (const use of session.uses.filter((use) => use.answer === 'ended')) {
    first = Math.min(first, use.end);
    if (!promise.crowds?.includes(use.at)) refused.set(use.at, Math.min(use.end, refused.get(use.at) ?? Infinity));
  }
  for (const use of accepted) {
    if (use.expires !== undefined && use.begin > use.expires + promise.leeway) {
      say('beyond its life', use, `accepted ${ms(use.begin - use.expires)} after its token had expired`);
    }
    // Whoever has refused it as ended never accepts it again; others have their lag from then on, for it stands in the log.
    const known = Math.min(acknowledged, first);
    if (use.begin > (refused.get(use.at) ?? Infinity)) {
      say('resurrected', use, `accepted ${ms(use.begin - refused.get(use.at))} after the same had refused it as ended`);
    } else if (use.begin > known + promise.lag && !excused(use, promise)) {
      const lost = !session.uses.some((later) => later.begin > use.begin && ['ended', 'no'].includes(later.answer));
      say(lost ? 'lost end' : 'late', use, `accepted ${ms(use.begin - known)} after its end was known`);
    }
  }

  if (acknowledged < Infinity) {
    lags[promise.apps[session.app]].push(Math.max(0, ...accepted.map((use) => use.begin - acknowledged)));
  }

  if (session.login?.answer !== 'yes') return;
  for (const use of session.uses.filter((use) => ['ended', 'no'].includes(use.answer))) {
    if (ends.some((end) => end.begin < use.end) || session.doubts.some((doubt) => doubt.begin < use.begin)) break;
    if (use.answer === 'no' && use.expires !== undefined && use.end > use.expires - promise.leeway) continue;
    const mayBeLost = promise.spells.some((spell) => spell.loses && inSpell(spell, session.login.end) && use.end > spell.from);
    if (use.answer === 'no' && mayBeLost) continue;
    say('lost login', use, `refused (${use.answer}) though nobody had ended it`);
    break;
  }
}

/** Under `until_expiry` a token goes on where the feed does not come, and only its verifier knows when that is. */
function excused(use, promise) {
  return promise.apps[use.app] === 'until_expiry' && use.kind === 'verify' && use.begin < (promise.healed ?? -Infinity);
}

function judgeErrors(events, promise, violations) {
  const outside = { name: 'otherwise', from: -Infinity, to: Infinity, errors: promise.errors ?? 0 };
  const tallies = [...promise.spells.filter(({ errors }) => errors !== undefined), outside].flatMap(talliesOf);
  for (const event of events) {
    const unanswered = event.answer === 'unavailable' || event.answer === 'lost';
    if (unanswered && promise.spells.some((spell) => spell.unrefused?.includes(event.at) && inSpell(spell, event.begin))) {
      violations.push({ rule: 'refused request', at: event.at, app: event.app, session: event.session, begin: event.begin, why: `a ${event.kind} had no answer` });
    }
    if (event.kind !== 'verify') continue;
    // The first that allows for errors counts; a request that hung in a spell may have begun just before it.
    const spell = promise.spells.find((spell) => spell.errors !== undefined && overlaps(spell, event) && concerns(spell, event.at)) ?? outside;
    const tally = tallies.find((tally) => tally.spell === spell && (!tally.policy || tally.policy === promise.apps[event.app]));
    tally.asked += 1;
    if (!unanswered) continue;
    tally.unanswered += 1;
    tally.first ??= event;
  }
  return tallies.map(({ spell, policy, most, asked, unanswered, first }) => {
    if (asked && unanswered / asked > most) {
      const why = `${unanswered} of ${asked} verifications had no answer; a share of ${most} is allowed`;
      violations.push({ rule: 'errors', at: first.at, app: first.app, session: first.session, begin: first.begin, why });
    }
    const name = spell.name ?? 'spell';
    return { name: policy ? `${name}, ${policy}` : name, asked, unanswered };
  });
}

/** What is counted of a spell: each policy by itself where they may differ. */
function talliesOf(spell) {
  const tally = (most, policy) => ({ spell, policy, most, asked: 0, unanswered: 0, first: undefined });
  if (typeof spell.errors === 'number') return [tally(spell.errors)];
  return Object.entries(spell.errors).map(([policy, most]) => tally(most, policy));
}

const inSpell = (spell, moment) => moment >= spell.from && moment <= spell.to;
const overlaps = (spell, event) => event.begin <= spell.to && event.end >= spell.from;
const concerns = (spell, at) => !spell.at || spell.at.includes(at);
const ms = (time) => `${Math.round(time)} ms`;
