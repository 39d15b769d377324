//! What a batch of ends makes of what is there: pure, so that it can be looked at without a database.

use hashbrown::{HashMap, HashSet};

use super::{columns::method_code, log::Line, value::integer};
use crate::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, SessionId},
    method::Method,
    revocation::{End, Entry, Hold, line_that_stands},
    store::{self, Acting, Basis, EndRequest},
};

/// What a batch asks about.
#[derive(Default)]
pub(super) struct Asked<'a> {
    /// What is to end.
    pub(super) sessions: Vec<&'a [u8]>,
    /// The same, and the sessions that act.
    pub(super) lines: Vec<&'a [u8]>,
    pub(super) accounts: Vec<&'a [u8]>,
    pub(super) apps: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(ends: impl Iterator<Item = &'a (EndRequest, Hold)>) -> Self {
        let mut asked = Self::default();
        for (request, _) in ends {
            match request {
                EndRequest::Session(id) => asked.session(id),
                EndRequest::Another(id, account, acting) => {
                    asked.session(id);
                    asked.account(account, Some(acting));
                }
                EndRequest::Account(id, basis) => asked.account(id, basis.acting()),
                EndRequest::Others(id, acting) => asked.account(id, Some(acting)),
                EndRequest::App(app, _) => asked.apps.push(app.as_str()),
            }
        }
        asked
    }

    fn session(&mut self, id: &'a SessionId) {
        self.sessions.push(id.bytes());
        self.lines.push(id.bytes());
    }

    fn account(&mut self, id: &'a AccountId, acting: Option<&'a Acting>) {
        self.accounts.push(id.bytes());
        if let Some(acting) = acting {
            self.lines.push(acting.session.bytes());
            self.apps.push(acting.app.as_str());
        }
    }
}

/// What is there of that.
#[derive(Default)]
pub(super) struct Present {
    /// The last line that the log has had.
    pub(super) sequence: u64,
    /// The database's time.
    pub(super) time: Timestamp,
    /// Of each session that has ended, its lines.
    pub(super) sessions: HashMap<SessionId, Vec<Entry>>,
    /// What took the place of each that was exchanged, and how long that line is kept.
    pub(super) successors: HashMap<SessionId, (SessionId, Timestamp)>,
    /// Each account's epoch, and whether it is active.
    pub(super) accounts: HashMap<AccountId, (Epoch, bool)>,
    /// How far each app has been ended, by method; 0: all of them.
    pub(super) apps: HashMap<String, HashMap<i16, Epoch>>,
    /// The floor of all epochs.
    pub(super) floor: Epoch,
}

impl Present {
    /// A session's line in the log.
    pub(super) fn line(&mut self, session: SessionId, line: Entry) {
        self.sessions.entry(session).or_default().push(line);
    }

    /// How far an app has been ended, for one method or for any.
    fn app_epoch(&self, app: &AppId, counts: impl Fn(i16) -> bool) -> Epoch {
        let ends = self.apps.get(app.as_str()).into_iter().flatten();
        ends.filter(|(method, _)| counts(**method)).map(|(_, epoch)| *epoch).max().unwrap_or_default()
    }

    /// An account's epoch, if what a change of it goes by still stands.
    fn from(&self, account: AccountId, basis: &Basis) -> Option<Epoch> {
        let (epoch, active) = *self.accounts.get(&account)?;
        let acting = basis.acting();
        let ended = acting.is_some_and(|acting| self.sessions.contains_key(&acting.session));
        let app_cut = acting.map_or(Epoch::default(), |acting| {
            let code = method_code(Some(acting.method));
            self.app_epoch(&acting.app, |method| method == 0 || method == code)
        });
        basis.holds(&store::Present { epoch, active, ended, app_cut }).then_some(epoch)
    }
}

/// What is to be written.
pub(super) struct Plan {
    present: Present,
    pub(super) sequence: u64,
    /// New lines, in order, with when they were written.
    pub(super) entries: Vec<(Entry, Timestamp)>,
    /// Whose records go.
    pub(super) sessions: HashSet<SessionId>,
    pub(super) accounts: HashMap<AccountId, Epoch>,
    pub(super) apps: HashMap<(AppId, Option<Method>), Epoch>,
    /// Sessions that go on in a new epoch: from which, to which.
    pub(super) carried: Vec<(SessionId, Epoch, Epoch)>,
}

impl Plan {
    pub(super) fn new(present: Present) -> Self {
        let sequence = present.sequence;
        let (sessions, accounts, apps, carried) = Default::default();
        Self { present, sequence, entries: Vec::new(), sessions, accounts, apps, carried }
    }

    /// Settles what one request ends, after those before it; the lines that say so.
    pub(super) fn take(&mut self, ends: &[(EndRequest, Hold)], at: Timestamp) -> Vec<Entry> {
        let mut lines = Vec::with_capacity(ends.len());
        for (request, hold) in ends {
            let until = hold.until(at);
            let ended = self.take_one(request, at, until);
            let followed = request.session().filter(|_| ended.is_some());
            lines.extend(ended);
            if let Some(session) = followed {
                self.follow(session, at, until, &mut lines);
            }
        }
        lines
    }

    /// Ends what took an ended session's place, and the place of that. It can live as long as the line is kept that names it.
    fn follow(&mut self, first: SessionId, at: Timestamp, until: Timestamp, lines: &mut Vec<Entry>) {
        let mut session = first;
        let mut met: HashSet<_> = [first].into();
        while let Some((successor, kept)) = self.present.successors.get(&session).copied()
            && met.insert(successor)
        {
            lines.extend(self.take_one(&EndRequest::Session(successor), at, kept.max(until)));
            session = successor;
        }
    }

    fn take_one(&mut self, request: &EndRequest, at: Timestamp, until: Timestamp) -> Option<Entry> {
        match request {
            EndRequest::Session(session) => {
                self.sessions.insert(*session);
                let lines = self.present.sessions.get(session).map_or(&[][..], Vec::as_slice);
                if let Some(line) = line_that_stands(lines, at, until) {
                    return Some(line.clone());
                }
                let line = self.append(End::Session { session: *session }, at, until);
                self.present.line(*session, line.clone());
                Some(line)
            }
            EndRequest::Another(session, account, acting) => {
                self.present.from(*account, &Basis::Session(acting.clone()))?;
                self.take_one(&EndRequest::Session(*session), at, until)
            }
            EndRequest::Account(account, basis) => self.raise(*account, basis, at, until).map(|(entry, _)| entry),
            EndRequest::Others(account, acting) => {
                let (entry, epoch) = self.raise(*account, &Basis::Session(acting.clone()), at, until)?;
                self.carried.push((acting.session, acting.epoch, epoch));
                Some(entry)
            }
            EndRequest::App(app, method) => {
                let present = self.present.app_epoch(app, |_| true);
                let epoch = present.raised(at, self.present.floor);
                self.present.apps.entry_ref(app.as_str()).or_default().insert(method_code(*method), epoch);
                self.apps.insert((app.clone(), *method), epoch);
                Some(self.append(End::App { app: app.clone(), method: *method, epoch }, at, until))
            }
        }
    }

    fn raise(&mut self, account: AccountId, basis: &Basis, at: Timestamp, until: Timestamp) -> Option<(Entry, Epoch)> {
        let epoch = self.present.from(account, basis)?.raised(at, self.present.floor);
        self.present.accounts.insert(account, (epoch, self.present.accounts.get(&account)?.1));
        self.accounts.insert(account, epoch);
        Some((self.append(End::Account { account, epoch }, at, until), epoch))
    }

    fn append(&mut self, end: End, at: Timestamp, until: Timestamp) -> Entry {
        self.sequence += 1;
        let entry = Entry { sequence: self.sequence, end, at: Some(at), until };
        self.entries.push((entry.clone(), at));
        entry
    }

    /// The new lines, column by column.
    pub(super) fn lines(&self) -> Lines<'_> {
        let mut lines = Lines::default();
        for (entry, at) in &self.entries {
            let line = Line::of(&entry.end);
            lines.sequences.push(integer(entry.sequence));
            lines.kinds.push(line.kind);
            lines.subjects.push(line.subject);
            lines.methods.push(line.method);
            lines.epochs.push(line.epoch);
            lines.at.push(integer(at.millis()));
            lines.until.push(integer(entry.until.millis()));
        }
        lines
    }

    /// The new epochs of apps, column by column.
    pub(super) fn apps(&self) -> Apps<'_> {
        let mut apps = Apps::default();
        for ((app, method), epoch) in &self.apps {
            apps.names.push(app.as_str());
            apps.methods.push(method_code(*method));
            apps.epochs.push(epoch.0.into());
        }
        apps
    }
}

/// Lines of the log, column by column.
#[derive(Default)]
pub(super) struct Lines<'a> {
    pub(super) sequences: Vec<i64>,
    pub(super) kinds: Vec<i16>,
    pub(super) subjects: Vec<&'a [u8]>,
    pub(super) methods: Vec<i16>,
    pub(super) epochs: Vec<i64>,
    pub(super) at: Vec<i64>,
    pub(super) until: Vec<i64>,
}

/// Epochs of apps, column by column.
#[derive(Default)]
pub(super) struct Apps<'a> {
    pub(super) names: Vec<&'a str>,
    pub(super) methods: Vec<i16>,
    pub(super) epochs: Vec<i64>,
}
