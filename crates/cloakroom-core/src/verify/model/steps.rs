//! What can happen next, and what then is. Each step calls the core's own transitions; the model adds only when.

use std::{sync::Arc, time::Duration};

use super::{
    Flaw, SESSIONS, Setup,
    world::{Ending, Kept, Known, Request, Server, Token, World, account, at, id, record},
};
use crate::{
    ids::Epoch,
    revocation::{End, Heard, REQUEST_LIMIT, Vigil},
    session::{Record, Rotation, Write, Written},
    verify::{Basis, Fact, Finding, Judgement, judge, judge_unasked},
};

/// Something that happens; the first number is the server that it happens at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Time passes.
    Tick,
    /// A password is being checked; the account's epoch has been read.
    BeginLogin(usize),
    /// The login's record is made.
    FinishLogin(usize),
    /// A request reads the record of a session, together with the account's epoch.
    Read(usize, usize),
    /// It judges what it has read, and fills the cache.
    Judge(usize),
    /// A renewal reads the record of a session.
    BeginRenewal(usize, usize),
    /// It judges, rotates, and hands a token out.
    FinishRenewal(usize),
    /// A request that a cached fact admits counts as use of the session.
    Use(usize),
    /// That use is written.
    Touch(usize),
    /// The next part of the end of a session: log, delete and answer.
    End(usize, usize),
    /// Everything of the account is ended.
    EndEverywhere(usize),
    /// Everything but the first session is ended.
    EndOthers(usize),
    /// The first session is carried over into the new epoch.
    CarryOver(usize),
    /// The log is asked, and answers; the answer is under way.
    Ask(usize),
    /// The answer arrives.
    Hear(usize),
    /// The process dies and another takes its place.
    Restart(usize),
    /// The store fails over and has lost its last write.
    LoseLastWrite,
    /// The store is given the recent ends again.
    GiveEndsAgain,
}

/// What can happen next.
pub(super) fn steps(setup: &Setup, world: &World, out: &mut Vec<Step>) {
    let left = &world.left;
    let any = |out: &mut Vec<Step>, may: bool, step: Step| {
        if may {
            out.push(step);
        }
    };
    any(out, left.ticks > 0, Step::Tick);
    any(out, left.losses > 0 && world.store != world.store_before, Step::LoseLastWrite);
    any(out, world.suspect, Step::GiveEndsAgain);
    let readable = !world.suspect || setup.flaw == Flaw::SuspectReads;
    for (s, server) in world.servers.iter().enumerate() {
        any(out, left.logins > 0 && !world.marks[1].begun, Step::BeginLogin(s));
        any(out, server.login.is_some_and(|(_, since)| within_limit(world, since)), Step::FinishLogin(s));
        any(out, runs(server.reading.as_ref(), world), Step::Judge(s));
        any(out, runs(server.renewal.as_ref(), world), Step::FinishRenewal(s));
        for session in 0..SESSIONS {
            let stored = readable && world.store[session].is_some();
            let reads = stored && !setup.has_tokens() && left.reads > 0;
            any(out, reads && !runs(server.reading.as_ref(), world), Step::Read(s, session));
            let renews = stored && setup.has_tokens() && left.renewals > 0;
            any(out, renews && !runs(server.renewal.as_ref(), world), Step::BeginRenewal(s, session));
            let begins = server.ending.is_none() && left.ends > 0 && world.marks[session].begun;
            any(
                out,
                begins || server.ending.is_some_and(|e| e.session == session && within_limit(world, e.since)),
                Step::End(s, session),
            );
        }
        any(out, left.touches > 0 && server.facts[0].is_some() && server.touch.is_none(), Step::Use(s));
        any(out, server.touch.is_some(), Step::Touch(s));
        any(out, left.everywhere > 0, Step::EndEverywhere(s));
        any(out, left.others > 0 && world.marks[0].ended.is_none(), Step::EndOthers(s));
        any(out, server.carrying.is_some_and(|(.., since)| within_limit(world, since)), Step::CarryOver(s));
        any(out, left.questions > 0 && server.question.is_none() && !world.suspect, Step::Ask(s));
        any(out, server.question.is_some(), Step::Hear(s));
        any(out, left.restarts > 0, Step::Restart(s));
    }
}

/// No request runs longer than the limit.
fn runs(request: Option<&Request>, world: &World) -> bool {
    request.is_some_and(|r| within_limit(world, r.kept.since.at.millis()))
}

fn within_limit(world: &World, since: u64) -> bool {
    Duration::from_millis(world.now - since) <= REQUEST_LIMIT
}

/// What is after a step; `None`: nothing has changed.
pub(super) fn step(setup: &Setup, before: &World, step: Step) -> Option<World> {
    let mut world = before.clone();
    match step {
        Step::Tick => {
            world.left.ticks -= 1;
            world.now += setup.tick.as_millis() as u64;
        }
        Step::BeginLogin(s) => {
            world.left.logins -= 1;
            world.marks[1].begun = true;
            world.servers[s].login = Some((world.epoch, world.now));
        }
        Step::FinishLogin(s) => {
            let (read_before, _) = world.servers[s].login.take()?;
            let epoch = if setup.flaw == Flaw::EpochReadLate { world.epoch } else { read_before };
            let _ = world.write(1, &Write::Create(record(setup, epoch, world.now)));
            if setup.has_tokens() {
                issue(setup, &mut world, 1, epoch);
            }
        }
        Step::Read(s, session) => {
            world.left.reads -= 1;
            world.servers[s].reading = Some(read(setup, &world, s, session)?);
        }
        Step::Judge(s) => {
            let mut reading = world.servers[s].reading.take()?;
            mark_again(setup, &world, s, &mut reading);
            if decide(setup, &world, &world.servers[s].vigil, &reading.kept, reading.session, Basis::JustNow)
                == Judgement::Accept
            {
                world.broken.accepted_here |= reading.known == Known::EndedHere;
                world.broken.accepted_late |= reading.known == Known::EndedLongAgo;
                world.servers[s].facts[reading.session] = Some(reading.kept);
            }
        }
        Step::BeginRenewal(s, session) => {
            world.left.renewals -= 1;
            world.servers[s].renewal = Some(read(setup, &world, s, session)?);
        }
        Step::FinishRenewal(s) => {
            let mut reading = world.servers[s].renewal.take()?;
            mark_again(setup, &world, s, &mut reading);
            renew(setup, &mut world, s, &reading);
        }
        Step::Use(s) => {
            let kept = world.servers[s].facts[0].clone()?;
            if decide(setup, &world, &world.servers[s].vigil, &kept, 0, Basis::Cached) != Judgement::Accept {
                return None;
            }
            world.left.touches -= 1;
            world.servers[s].touch = Some((at(world.now), kept.record));
        }
        Step::Touch(s) => {
            let (when, seen) = world.servers[s].touch.take()?;
            let written = world.write(0, &Write::Touch(when));
            if written == Written::Absent && setup.flaw == Flaw::WritesMakeRecords {
                world.put(0, Some(seen));
            }
        }
        Step::End(s, session) => end(setup, &mut world, s, session),
        Step::EndEverywhere(s) => {
            world.left.everywhere -= 1;
            raise(&mut world, s);
            for session in 0..SESSIONS {
                end_is_promised(&mut world, s, session);
            }
        }
        Step::EndOthers(s) => {
            world.left.others -= 1;
            let from = world.epoch;
            world.servers[s].carrying = Some((from, raise(&mut world, s), world.now));
            world.marks[0].uncertain = true;
            end_is_promised(&mut world, s, 1);
        }
        Step::CarryOver(s) => {
            let (from, to, _) = world.servers[s].carrying.take()?;
            world.marks[0].uncertain = false;
            let _ = world.write(0, &Write::CarryOver { from, to });
        }
        Step::Ask(s) => {
            world.left.questions -= 1;
            let answer = world.answer(setup, world.servers[s].vigil.question());
            world.servers[s].question = Some((world.boot(), answer));
        }
        Step::Hear(s) => {
            let (asked, answer) = world.servers[s].question.take()?;
            let asked = if setup.flaw == Flaw::LeaseFromTheAnswer { world.boot() } else { asked };
            // A gap makes the next question ask for a snapshot.
            let now = world.boot();
            let _ = world.servers[s].vigil.hear(asked, now, &answer);
        }
        Step::Restart(s) => {
            world.left.restarts -= 1;
            world.servers[s] = Server::start(setup);
        }
        Step::LoseLastWrite => {
            world.left.losses -= 1;
            world.store = world.store_before.clone();
            world.suspect = true;
        }
        Step::GiveEndsAgain => {
            world.suspect = false;
            for session in 0..SESSIONS {
                if world.log.iter().any(|entry| entry.end == End::Session { session: id(session) }) {
                    world.store[session] = None;
                }
            }
            world.store_before = world.store.clone();
        }
    }
    (world != *before).then_some(world)
}

/// Reads a record together with its account's epoch, as far as it holds.
fn read(setup: &Setup, world: &World, s: usize, session: usize) -> Option<Request> {
    let record = world.store[session].clone()?;
    if record.epoch < world.epoch || record.lapsed(&setup.app, at(world.now)).is_some() {
        return None;
    }
    // With room for every end this is not needed, and the model shows so.
    let asks_the_log = setup.capacity == 0 && setup.flaw != Flaw::RecordAlone;
    if asks_the_log && !world.goes_on(session, record.epoch) {
        return None;
    }
    let kept = Kept { record, since: world.servers[s].vigil.reading(world.boot()) };
    Some(Request { session, kept, known: world.known(s, session, setup) })
}

/// The acceptance rule, for what was read.
pub(super) fn decide(
    setup: &Setup,
    world: &World,
    vigil: &Vigil,
    kept: &Kept,
    session: usize,
    basis: Basis,
) -> Judgement {
    let fact = Fact::read(finding(setup, &kept.record, session), Arc::clone(&setup.app), kept.since);
    if setup.flaw == Flaw::NoMarks {
        return judge_unasked(&fact, basis, vigil, world.moment());
    }
    judge(&fact, basis, vigil, world.moment())
}

/// The flaw of a fact that counts as read when it is judged.
fn mark_again(setup: &Setup, world: &World, s: usize, request: &mut Request) {
    if setup.flaw == Flaw::MarkOfTheJudgement {
        request.kept.since.line = world.servers[s].vigil.reading(world.boot()).line;
    }
}

/// The acceptance rule, for a token whose signature has just been checked, and that is asked about where it is marked.
pub(super) fn decide_token(setup: &Setup, world: &World, vigil: &Vigil, token: &Token) -> Judgement {
    let mut found = finding(setup, &record(setup, token.epoch, world.now), token.session);
    found.expires = token.expires;
    found.last_active = None;
    let fact = Fact::checked(found, Arc::clone(&setup.app), vigil.reading(world.boot()));
    match judge(&fact, Basis::JustNow, vigil, world.moment()) {
        Judgement::Ask if setup.flaw == Flaw::NoMarks || world.goes_on(token.session, token.epoch) => {
            judge_unasked(&fact, Basis::JustNow, vigil, world.moment())
        }
        judgement => judgement,
    }
}

fn finding(setup: &Setup, record: &Record, session: usize) -> Finding {
    Finding {
        session: id(session),
        account: record.account,
        epoch: record.epoch,
        app_epoch: record.app_epoch,
        method: record.method,
        kid: None,
        amr: record.amr,
        auth_time: record.auth_time,
        expires: record.ends_at(&setup.app),
        last_active: Some(record.last_active),
    }
}

/// As the engine renews: a fresh lease, the rule, the rotation, one swap.
fn renew(setup: &Setup, world: &mut World, s: usize, reading: &Request) {
    let (held, session) = (&reading.kept.record, reading.session);
    let fresh = world.servers[s].vigil.is_fresh(world.boot(), setup.app.max_revocation_lag);
    let judged = decide(setup, world, &world.servers[s].vigil, &reading.kept, session, Basis::JustNow);
    if !fresh || judged != Judgement::Accept {
        return;
    }
    let rotation = held.rotation(held.generation, at(world.now).since(held.rotated), setup.app.refresh_grace);
    if rotation == Rotation::Advance {
        let (from, to) = (held.generation, held.generation.next());
        match world.write(session, &Write::Rotate { from, to, at: Some(at(world.now)), active: Some(at(world.now)) }) {
            Written::Done(_) => {}
            Written::Absent if setup.flaw == Flaw::WritesMakeRecords => world.put(session, Some(held.clone())),
            Written::Absent | Written::Conflict(_) => return,
        }
    }
    issue(setup, world, session, held.epoch);
}

fn issue(setup: &Setup, world: &mut World, session: usize, epoch: Epoch) {
    let expires = at(world.now) + setup.app.access_token_lifetime;
    world.tokens.push(Token { session, epoch, expires });
}

/// One part of ending a session: log, delete and answer, or whichever order a flaw has.
fn end(setup: &Setup, world: &mut World, s: usize, session: usize) {
    let done = world.servers[s].ending.map_or(0, |ending| ending.done);
    if done == 0 {
        world.left.ends -= 1;
    }
    let (first, second): (&[Part], &[Part]) = match setup.flaw {
        Flaw::DeleteBeforeLog => (&[Part::Delete], &[Part::Log, Part::Answer]),
        Flaw::AnswerBeforeLog => (&[Part::Answer], &[Part::Log, Part::Delete]),
        _ => (&[Part::Log], &[Part::Delete, Part::Answer]),
    };
    for part in if done == 0 { first } else { second } {
        match part {
            Part::Log => {
                let entry = world.append(End::Session { session: id(session) });
                world.servers[s].vigil.hear_own(world.boot(), &entry);
            }
            Part::Delete => {
                let _ = world.write(session, &Write::Delete);
                world.marks[session].deleted = true;
                world.show_end(session);
            }
            Part::Answer => end_is_promised(world, s, session),
        }
    }
    world.servers[s].ending = (done == 0).then_some(Ending { session, done: 1, since: world.now });
}

enum Part {
    Log,
    Delete,
    Answer,
}

/// Raises the account's epoch and writes it into the log, in one transaction.
fn raise(world: &mut World, s: usize) -> Epoch {
    world.epoch = world.epoch.next();
    let entry = world.append(End::Account { account: account(), epoch: world.epoch });
    world.servers[s].vigil.hear_own(world.boot(), &entry);
    world.epoch
}

/// The end of a session is acknowledged, if its login had begun before.
fn end_is_promised(world: &mut World, s: usize, session: usize) {
    if world.marks[session].begun {
        world.show_end(session);
        world.marks[session].acknowledged_by.get_or_insert(s);
    }
}

/// What a live session is in for: after one round trip to the log, is it let in at this server, and then from the cache?
pub(super) fn would_be_accepted(setup: &Setup, world: &World, s: usize, session: usize) -> bool {
    let mut vigil = world.servers[s].vigil.clone();
    for _ in 0..2 {
        let answer = world.answer(setup, vigil.question());
        if vigil.hear(world.boot(), world.boot(), &answer) == Ok(Heard::All) {
            break;
        }
    }
    if setup.has_tokens() {
        let tokens = world.tokens.iter().filter(|t| t.session == session && t.epoch >= world.epoch);
        let mut alive = tokens.filter(|t| at(world.now) < t.expires);
        return alive.all(|token| decide_token(setup, world, &vigil, token) == Judgement::Accept);
    }
    let Some(mut reading) = read(setup, world, s, session) else { return false };
    reading.kept.since = vigil.reading(world.boot());
    [Basis::JustNow, Basis::Cached]
        .into_iter()
        .all(|basis| decide(setup, world, &vigil, &reading.kept, session, basis) == Judgement::Accept)
}
