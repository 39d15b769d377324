//! A model check of the acceptance rule and the lease: two servers, a session store that can fail over, a log.
//!
//! Every order in which logins, requests, renewals, ends, questions to the log, crashes and time can fall is walked, up to
//! the budget of a [`Setup`]. What happens to records, sets of ends, leases and facts is done by the core's own
//! transitions ([`Write::apply`](crate::session::Write), [`Record::rotation`](crate::session::Record::rotation),
//! [`Vigil::hear`](crate::revocation::Vigil::hear), [`judge`]); the model says only when. A [`Flaw`] takes one part of the
//! design away, and the model must then find what goes wrong.

mod checks;
mod exchange;
mod image;
mod steps;
mod world;

use std::{sync::Arc, time::Duration};

use stateright::{Model, Property};

use self::{
    steps::{Step, decide, decide_token, would_be_accepted},
    world::{Budget, Known, World},
};
use super::{Basis, Judgement};
use crate::{
    app::{Admission, App, Registration},
    ids::AppId,
    method::{Check, Method, OnFeedLoss},
    token::Algorithm,
};

/// One is there at the beginning, a second may be made.
const SESSIONS: usize = 2;

/// A part of the design that is taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    /// None: the design as it is.
    Nothing,
    /// No lease is asked for: a cached fact is believed for as long as it lives.
    NoLease,
    /// The lease runs from when the answer came.
    LeaseFromTheAnswer,
    /// An end deletes first and writes the log then.
    DeleteBeforeLog,
    /// An end is acknowledged before it is in the log.
    AnswerBeforeLog,
    /// A write to a record that is not there makes one.
    WritesMakeRecords,
    /// A login takes the account's epoch when it makes the record, not before the password is checked.
    EpochReadLate,
    /// A store that may have lost a deletion is read before it has been given the recent ends again.
    SuspectReads,
    /// An end is held for as long as whoever wrote it believes that it can be presented: as long as a fact lives, for its own
    /// tokens live shorter than those of others.
    HeldByTheWriter,
    /// A snapshot has what ended for as long as its writer believed.
    SnapshotByTheWriter,
    /// What a full set could not hold is forgotten.
    NoMarks,
    /// A fact that was read before an end was heard counts as read after it.
    MarkOfTheJudgement,
    /// A record that is found is not looked for in the log, though its end is written there before it is deleted.
    RecordAlone,
}

/// What is checked: an app, how far time goes, and what may happen how often.
#[derive(Clone)]
struct Setup {
    app: Arc<App>,
    tick: Duration,
    budget: Budget,
    flaw: Flaw,
    /// How many ends a verifier can hold.
    capacity: usize,
}

impl Setup {
    /// An app of that method, which refuses without a lease; a lag of one tick.
    fn new(method: Method, tick: Duration, budget: Budget) -> Self {
        let app = App {
            id: AppId::parse("web").expect("a name"),
            method,
            registration: Registration::Closed,
            admission: Admission::default(),
            origins: vec![],
            idle_timeout: Duration::from_secs(86_400),
            absolute_timeout: Duration::from_secs(86_400),
            access_token_lifetime: Duration::from_secs(300),
            refresh_grace: Duration::ZERO,
            migrate_from: Vec::new(),
            max_revocation_lag: tick,
            on_feed_loss: OnFeedLoss::Refuse,
            algorithm: Algorithm::EdDsa,
        };
        Self { app: Arc::new(app), tick, budget, flaw: Flaw::Nothing, capacity: 8 }
    }

    fn with(mut self, flaw: Flaw) -> Self {
        self.flaw = flaw;
        if flaw == Flaw::NoLease {
            Arc::make_mut(&mut self.app).on_feed_loss = OnFeedLoss::UntilExpiry;
        }
        self
    }

    /// Verifiers that can hold nothing, and keep marks alone.
    fn of_marks(mut self) -> Self {
        self.capacity = 0;
        self
    }

    fn has_tokens(&self) -> bool {
        self.app.method.properties().check == Check::Signature
    }
}

impl Model for Setup {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::begin(self)]
    }

    fn actions(&self, world: &World, out: &mut Vec<Step>) {
        steps::steps(self, world, out);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        steps::step(self, world, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ENDED_HERE, |setup: &Setup, world: &World| {
                !world.broken.accepted_here && !accepts(setup, world, Known::EndedHere)
            }),
            Property::always(ENDED_LONG_AGO, |setup: &Setup, world: &World| {
                !world.broken.accepted_late && !accepts(setup, world, Known::EndedLongAgo)
            }),
            Property::always(STAYS_ENDED, |_, world: &World| {
                world.suspect || (0..SESSIONS).all(|x| !world.marks[x].deleted || world.store[x].is_none())
            }),
            Property::always(GOES_ON, |setup: &Setup, world: &World| {
                let lives = |x: &usize| {
                    let mark = &world.marks[*x];
                    world.store[*x].is_some() && mark.ended.is_none() && !mark.uncertain && !ending(world, *x)
                };
                world.suspect
                    || (0..SESSIONS).filter(lives).all(|x| (0..2).all(|s| would_be_accepted(setup, world, s, x)))
            }),
            Property::sometimes(ACCEPTED, |setup: &Setup, world: &World| accepts(setup, world, Known::Open)),
        ]
    }
}

const ENDED_HERE: &str = "the server that acknowledged an end refuses the session at once";
const ENDED_LONG_AGO: &str = "every server refuses an ended session after the lag";
const STAYS_ENDED: &str = "an ended session never comes back in the store";
const GOES_ON: &str = "a session that nobody ended is accepted after one question to the log";
const ACCEPTED: &str = "a session is accepted";

/// Whether some server lets a session in now, from its cache or by a signature, of which an onlooker knows this.
fn accepts(setup: &Setup, world: &World, known: Known) -> bool {
    world.servers.iter().enumerate().any(|(s, server)| {
        let knows = |session: usize| world.known(s, session, setup) == known;
        let cached = (0..SESSIONS).filter(|x| knows(*x)).any(|x| {
            let kept = server.facts[x].as_ref();
            kept.is_some_and(|kept| decide(setup, world, &server.vigil, kept, x, Basis::Cached) == Judgement::Accept)
        });
        let signed = world.tokens.iter().filter(|token| knows(token.session));
        cached || signed.into_iter().any(|token| decide_token(setup, world, &server.vigil, token) == Judgement::Accept)
    })
}

/// Whether an end of this session has begun; what it comes to is still open.
fn ending(world: &World, session: usize) -> bool {
    let id = world::id(session);
    let logged = world.log.iter().any(|entry| entry.end == crate::revocation::End::Session { session: id });
    logged || world.servers.iter().any(|server| server.ending.is_some_and(|e| e.session == session))
}
