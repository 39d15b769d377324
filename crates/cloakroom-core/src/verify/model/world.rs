//! The state of the modelled system: two servers, one session store, one account with its log, and what an onlooker
//! knows of each session.

use std::time::Duration;

use super::{Flaw, SESSIONS, Setup};
use crate::{
    clock::{Boot, Timestamp},
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    revocation::{
        Answer, EXP_LEEWAY, End, Entry, FACT_LIFE, Incarnation, KeySet, Position, REQUEST_LIMIT, Reading, Since,
        VERIFIERS_HOLD, Vigil, reach,
    },
    session::{AuthMethods, ClientKind, Effect, Record, Write, Written},
    verify::Moment,
};

/// Everything there is.
#[derive(Clone)]
pub(super) struct World {
    /// Milliseconds since the beginning, on every clock.
    pub(super) now: u64,
    /// The account's epoch, in SQL beside the log.
    pub(super) epoch: Epoch,
    pub(super) log: Vec<Entry>,
    pub(super) store: [Option<Record>; SESSIONS],
    /// The store before its last write, which a failover brings back.
    pub(super) store_before: [Option<Record>; SESSIONS],
    /// The store may have lost a deletion and has not been given the recent ends again.
    pub(super) suspect: bool,
    pub(super) servers: [Server; 2],
    /// Access tokens that clients hold.
    pub(super) tokens: Vec<Token>,
    pub(super) marks: [Mark; SESSIONS],
    /// How often each kind of thing may still happen.
    pub(super) left: Budget,
    pub(super) broken: Broken,
}

/// One server: what it believes, and what it is in the middle of.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) vigil: Vigil,
    /// The near-cache.
    pub(super) facts: [Option<Kept>; SESSIONS],
    /// A request whose record has been read and that has not been judged.
    pub(super) reading: Option<Request>,
    /// A renewal whose record has been read and that has not been judged.
    pub(super) renewal: Option<Request>,
    /// A question to the log, and what is on its way back.
    pub(super) question: Option<(Boot, Answer)>,
    /// An end that has begun.
    pub(super) ending: Option<Ending>,
    /// A login whose password is being checked: the epoch, which was read before, and when that was.
    pub(super) login: Option<(Epoch, u64)>,
    /// The first session is to be carried over into this epoch, and since when.
    pub(super) carrying: Option<(Epoch, Epoch, u64)>,
    /// Activity of the first session that waits to be written, with the record that it was seen on.
    pub(super) touch: Option<(Timestamp, Record)>,
}

/// What a cache keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub(super) record: Record,
    pub(super) since: Reading,
}

/// A request between its reading and its judgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub(super) session: usize,
    pub(super) kept: Kept,
    /// What was known of the session when the request began.
    pub(super) known: Known,
}

/// Whether a request may be let in, as far as an onlooker can tell when it begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Known {
    /// It may.
    Open,
    /// This very server has acknowledged the end.
    EndedHere,
    /// The end has been seen longer ago than the lag.
    EndedLongAgo,
}

/// An end of one session that has begun and is not finished.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ending {
    pub(super) session: usize,
    /// How many of its steps are done.
    pub(super) done: u8,
    /// When its request began.
    pub(super) since: u64,
}

/// An access token in a client's hands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Token {
    pub(super) session: usize,
    pub(super) epoch: Epoch,
    pub(super) expires: Timestamp,
}

/// What an onlooker knows of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Mark {
    /// Its login has begun.
    pub(super) begun: bool,
    /// Since when its end can be seen: acknowledged, or its record deleted.
    pub(super) ended: Option<u64>,
    /// Which server has acknowledged the end.
    pub(super) acknowledged_by: Option<usize>,
    /// An end has deleted its record.
    pub(super) deleted: bool,
    /// It was about to be carried over; should that server die first, it has ended too, and nobody promised otherwise.
    pub(super) uncertain: bool,
}

/// How often each kind of thing may happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Budget {
    pub(super) ticks: u8,
    pub(super) reads: u8,
    pub(super) ends: u8,
    pub(super) everywhere: u8,
    pub(super) others: u8,
    pub(super) logins: u8,
    pub(super) renewals: u8,
    pub(super) touches: u8,
    pub(super) questions: u8,
    pub(super) restarts: u8,
    pub(super) losses: u8,
}

/// What must never happen and did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Broken {
    pub(super) accepted_here: bool,
    pub(super) accepted_late: bool,
}

impl World {
    /// One session is there and has been for a while; the second is for a login to begin.
    pub(super) fn begin(setup: &Setup) -> Self {
        let record = record(setup, Epoch(0), START);
        let expires = at(START) + setup.app.access_token_lifetime;
        let first = Token { session: 0, epoch: Epoch(0), expires };
        let tokens = setup.has_tokens().then_some(first).into_iter().collect();
        Self {
            now: START,
            epoch: Epoch(0),
            log: vec![],
            store: [Some(record.clone()), None],
            store_before: [Some(record), None],
            suspect: false,
            servers: [Server::start(setup), Server::start(setup)],
            tokens,
            marks: [Mark { begun: true, ..Mark::default() }, Mark::default()],
            left: setup.budget,
            broken: Broken::default(),
        }
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { wall: at(self.now), boot: self.boot() }
    }

    pub(super) fn boot(&self) -> Boot {
        Boot::from_millis(self.now)
    }

    /// What the log answers.
    pub(super) fn answer(&self, setup: &Setup, since: Since) -> Answer {
        let head = Position { incarnation: INCARNATION, sequence: self.log.len() as u64 };
        let now = at(self.now);
        let reach = if setup.flaw == Flaw::SnapshotByTheWriter { now - BY_THE_WRITER } else { reach(now) };
        let (snapshot, entries) = match since {
            Since::Line(after) => (false, self.log[after.sequence as usize..].to_vec()),
            _ => (true, self.log.iter().filter(|entry| entry.at >= Some(reach)).cloned().collect()),
        };
        let hold = if setup.flaw == Flaw::HeldByTheWriter { BY_THE_WRITER } else { VERIFIERS_HOLD };
        Answer { head, time: now, keys: KeySet::default(), snapshot, rest: None, hold, entries }
    }

    /// What a primary says when it is asked whether a session goes on.
    pub(super) fn goes_on(&self, session: usize, epoch: Epoch) -> bool {
        epoch >= self.epoch && self.log.iter().all(|entry| entry.end != End::Session { session: id(session) })
    }

    /// Writes a line into the log.
    pub(super) fn append(&mut self, end: End) -> Entry {
        let now = at(self.now);
        let entry = Entry { sequence: self.log.len() as u64 + 1, end, at: Some(now), until: now };
        self.log.push(entry.clone());
        entry
    }

    /// What the session store does.
    pub(super) fn write(&mut self, session: usize, write: &Write) -> Written {
        let (effect, written) = write.apply(self.store[session].as_ref(), || at(self.now));
        let after = match effect {
            Effect::Leave => return written,
            Effect::Put(record) => Some(record),
            Effect::Remove => None,
        };
        self.put(session, after);
        written
    }

    pub(super) fn put(&mut self, session: usize, after: Option<Record>) {
        self.store_before = self.store.clone();
        self.store[session] = after;
    }

    /// An end can be seen from now on.
    pub(super) fn show_end(&mut self, session: usize) {
        self.marks[session].ended.get_or_insert(self.now);
    }

    /// What an onlooker expects of a request for this session that begins now at this server.
    pub(super) fn known(&self, server: usize, session: usize, setup: &Setup) -> Known {
        let mark = &self.marks[session];
        let lag = setup.app.max_revocation_lag.as_millis() as u64;
        match mark.ended {
            Some(_) if mark.acknowledged_by == Some(server) => Known::EndedHere,
            Some(since) if self.now >= since + lag => Known::EndedLongAgo,
            _ => Known::Open,
        }
    }
}

impl Budget {
    pub(super) fn numbers(self) -> [u8; 11] {
        let Self { ticks, reads, ends, everywhere, others, logins, renewals, touches, questions, restarts, losses } =
            self;
        [ticks, reads, ends, everywhere, others, logins, renewals, touches, questions, restarts, losses]
    }
}

impl Server {
    /// A server that has just been started: all it knew is gone.
    pub(super) fn start(setup: &Setup) -> Self {
        let hold = if setup.flaw == Flaw::HeldByTheWriter { BY_THE_WRITER } else { VERIFIERS_HOLD };
        Self {
            vigil: Vigil::new(setup.capacity, hold),
            facts: [None, None],
            reading: None,
            renewal: None,
            question: None,
            ending: None,
            login: None,
            carrying: None,
            touch: None,
        }
    }
}

/// A session's id.
pub(super) fn id(session: usize) -> SessionId {
    SessionId::from_bytes([session as u8 + 1; 16])
}

/// The account of both sessions.
pub(super) fn account() -> AccountId {
    AccountId::from_bytes([9; 16])
}

/// A moment of the wall clock.
pub(super) const fn at(now: u64) -> Timestamp {
    Timestamp::from_millis(now)
}

/// The record of a login at this moment.
pub(super) fn record(setup: &Setup, epoch: Epoch, now: u64) -> Record {
    Record {
        account: account(),
        epoch,
        app: AppId::parse("web").expect("a name").tag(),
        app_epoch: Epoch(0),
        method: setup.app.method,
        created: at(now),
        last_active: at(now),
        expires: (at(now) + setup.app.absolute_timeout).whole_secs(),
        generation: Generation(0),
        rotated: at(now),
        auth_time: at(now).whole_secs(),
        amr: AuthMethods::PASSWORD,
        client: ClientKind::default(),
    }
}

/// What a writer holds for enough whose own access tokens are short.
const BY_THE_WRITER: Duration = FACT_LIFE.saturating_add(EXP_LEEWAY).saturating_add(REQUEST_LIMIT);
pub(super) const START: u64 = 1_000_000_000;
const INCARNATION: Incarnation = Incarnation(1);
