//! The set of what has ended, as a verifier holds it in memory.

use std::time::Duration;

use hashbrown::HashSet;

use super::{End, Marks, recent::Recent};
use crate::{
    clock::Boot,
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    method::Method,
};

/// What has ended and can still be presented: one entry for a subject, however often it ends. It is bounded; of what finds it
/// full it keeps [marks](Self::mark), so that nothing is forgotten.
#[derive(Clone, Debug)]
pub struct Ended {
    sessions: Recent<SessionId, ()>,
    accounts: Recent<AccountId, Epoch>,
    apps: Recent<(AppId, Option<Method>), Epoch>,
    /// Held for good: what a killed key has made may live for longer than anything else here.
    keys: HashSet<Kid>,
    marks: Marks,
    hold: Duration,
    capacity: usize,
}

/// Sessions and accounts end by anybody's doing, apps and keys by an operator's, and have room of their own: so many each.
const BY_OPERATORS: usize = 1024;

/// How many entries are let go of at once: those of a flood run out as fast as they came, and requests wait meanwhile.
const EXPIRE_AT_ONCE: usize = 10_000;

/// The longest hold that a feed may ask for.
const LONGEST_HOLD: Duration = Duration::from_secs(24 * 3600);

/// What an [`Ended`] set is asked about: the marks of one credential.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its session.
    pub session: SessionId,
    /// Its account and the epoch it carries.
    pub account: (AccountId, Epoch),
    /// Its app and the epoch it carries.
    pub app: (&'a AppId, Epoch),
    /// Its method.
    pub method: Method,
    /// The key that signed it, if one did.
    pub kid: Option<Kid>,
}

/// What an [`Ended`] set says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// None of its marks has ended.
    Goes,
    /// Its session was ended.
    Session,
    /// Everything of its account was ended, below an epoch that it does not reach.
    Account,
    /// Everything of its app was.
    App,
    /// Its key was killed.
    Key,
}

impl Ended {
    /// An empty set that holds at most `capacity` sessions and accounts, each for `hold` after it was heard.
    pub fn new(capacity: usize, hold: Duration) -> Self {
        Self {
            sessions: Recent::new(),
            accounts: Recent::new(),
            apps: Recent::new(),
            keys: HashSet::new(),
            marks: Marks::default(),
            hold,
            capacity,
        }
    }

    /// How many ends it holds.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.accounts.len() + self.apps.len() + self.keys.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last line that it could not hold and that may be about this credential; 0: there is none.
    #[inline]
    pub fn mark(&self, subject: &Subject<'_>, now: Boot) -> u64 {
        self.marks.line(subject, now, self.hold)
    }

    /// The last line of all that it could not hold: what is read after that knows of each.
    pub const fn latest_mark(&self) -> u64 {
        self.marks.latest()
    }

    /// How many places of its table of marks are marked.
    pub fn marks(&self, now: Boot) -> usize {
        self.marks.count(now, self.hold)
    }

    /// Whether a credential with these marks has ended, as far as is held here.
    #[inline]
    pub fn judge(&self, subject: &Subject<'_>) -> Verdict {
        if self.sessions.contains(&subject.session) {
            return Verdict::Session;
        }
        let below = |cut: Option<&Epoch>, epoch: Epoch| cut.is_some_and(|first| epoch < *first);
        if below(self.accounts.get(&subject.account.0), subject.account.1) {
            return Verdict::Account;
        }
        if !self.apps.is_empty() {
            let cut = |method| self.apps.get(&(subject.app.0.clone(), method));
            if below(cut(None), subject.app.1) || below(cut(Some(subject.method)), subject.app.1) {
                return Verdict::App;
            }
        }
        match subject.kid {
            Some(kid) if self.keys.contains(&kid) => Verdict::Key,
            _ => Verdict::Goes,
        }
    }

    /// Whether this session is among the ended ones that it holds.
    pub fn has_session(&self, session: SessionId) -> bool {
        self.sessions.contains(&session)
    }

    /// Whether this key is among the killed ones.
    pub fn has_key(&self, kid: Kid) -> bool {
        self.keys.contains(&kid)
    }

    /// From now on everything is held for so long at least, because whoever passes the log on asks for it.
    pub(super) fn hold_for(&mut self, hold: Duration) {
        self.hold = self.hold.max(hold.min(LONGEST_HOLD));
    }

    /// Takes in what a line ends; harmless when repeated or out of order. Without room for it, it leaves a mark.
    pub(super) fn insert(&mut self, line: u64, end: &End, now: Boot) {
        if self.holds(end) {
            return;
        }
        let has_room = self.sessions.len() + self.accounts.len() < self.capacity;
        match end {
            End::Session { session } if has_room => self.sessions.put(*session, (), now),
            End::Session { session } => self.marks.session(*session, line, now),
            End::Account { account, epoch } if has_room || self.accounts.contains(account) => {
                self.accounts.put(*account, *epoch, now);
            }
            End::Account { account, .. } => self.marks.account(*account, line, now),
            End::App { app, method, epoch } => {
                let key = (app.clone(), *method);
                if self.apps.len() < BY_OPERATORS || self.apps.contains(&key) {
                    self.apps.put(key, *epoch, now);
                } else {
                    self.marks.everybody(line, now);
                }
            }
            End::Key { kid } if self.keys.len() < BY_OPERATORS => {
                self.keys.insert(*kid);
            }
            End::Key { .. } => self.marks.everybody(line, now),
        }
    }

    /// Whether this end, or one that covers it, is held: it says nothing new.
    pub(crate) fn holds(&self, end: &End) -> bool {
        let covers = |cut: Option<&Epoch>, epoch: Epoch| cut.is_some_and(|first| *first >= epoch);
        match end {
            End::Session { session } => self.sessions.contains(session),
            End::Account { account, epoch } => covers(self.accounts.get(account), *epoch),
            End::App { app, method, epoch } => covers(self.apps.get(&(app.clone(), *method)), *epoch),
            End::Key { kid } => self.keys.contains(kid),
        }
    }

    /// Lets go of what nobody can present any more.
    pub(super) fn expire(&mut self, now: Boot) {
        self.sessions.expire(now, self.hold, EXPIRE_AT_ONCE);
        self.accounts.expire(now, self.hold, EXPIRE_AT_ONCE);
        self.apps.expire(now, self.hold, EXPIRE_AT_ONCE);
        self.marks.expire(now, self.hold);
    }

    /// Forgets what another log said, but for the killed keys: a log that has forgotten a kill undoes none.
    pub(super) fn clear(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        *self = Self { keys, ..Self::new(self.capacity, self.hold) };
    }

    /// What it holds and since when, for the model.
    #[cfg(test)]
    pub(super) fn image(&self) -> Vec<(u32, End)> {
        let sessions = self.sessions.iter().map(|(session, (), came)| (came, End::Session { session: *session }));
        let accounts = self.accounts.iter();
        let accounts = accounts.map(|(id, epoch, came)| (came, End::Account { account: *id, epoch: *epoch }));
        sessions.chain(accounts).collect()
    }

    /// The marks that it keeps, for the model.
    #[cfg(test)]
    pub(super) fn marks_image(&self) -> Vec<(u16, u64, Boot)> {
        self.marks.image()
    }
}
