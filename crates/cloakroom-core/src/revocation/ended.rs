//! The set of what has ended, as a verifier holds it in memory.

use std::{collections::BTreeMap, time::Duration};

use hashbrown::HashMap;
use thiserror::Error;

use super::{EXP_LEEWAY, End, Entry, FACT_LIFE, REQUEST_LIMIT};
use crate::{
    clock::{Boot, Timestamp},
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    method::Method,
};

/// What has ended and can still be presented. Bounded: when it is full nothing is dropped; the lease is lost instead.
#[derive(Clone, Debug)]
pub struct Ended {
    sessions: HashMap<SessionId, Held>,
    accounts: HashMap<AccountId, (Epoch, Held)>,
    apps: HashMap<(AppId, Option<Method>), (Epoch, Held)>,
    keys: HashMap<Kid, Held>,
    /// By when each may be let go of; the number tells those of one moment apart.
    order: BTreeMap<(Boot, u64), End>,
    taken: u64,
    capacity: usize,
}

/// How long an end is held.
#[derive(Clone, Copy, Default, Debug)]
struct Held {
    /// What its entry says.
    until: Timestamp,
    /// The same on the clock that nobody sets: a wall clock that leaps ahead lets go of nothing.
    let_go: Boot,
}

impl Held {
    fn extend(&mut self, by: Self) {
        self.until = self.until.max(by.until);
        self.let_go = self.let_go.max(by.let_go);
    }
}

/// An end is held for at least this long after it was heard: facts from before it are gone by then, whatever the wall
/// clock says.
const HOLD_AT_LEAST: Duration = FACT_LIFE.saturating_add(EXP_LEEWAY).saturating_add(REQUEST_LIMIT);

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

/// The set is full.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the set of what has ended is full; raise its bound, or the lease stays lost until entries expire")]
pub struct Full;

impl Ended {
    /// An empty set that holds at most `capacity` ends.
    pub fn new(capacity: usize) -> Self {
        Self {
            sessions: HashMap::new(),
            accounts: HashMap::new(),
            apps: HashMap::new(),
            keys: HashMap::new(),
            order: BTreeMap::new(),
            taken: 0,
            capacity,
        }
    }

    /// How many ends it holds.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether a credential with these marks has ended.
    #[inline]
    pub fn judge(&self, subject: &Subject<'_>) -> Verdict {
        if self.order.is_empty() {
            return Verdict::Goes;
        }
        if self.sessions.contains_key(&subject.session) {
            return Verdict::Session;
        }
        let below = |cut: Option<&(Epoch, Held)>, epoch: Epoch| cut.is_some_and(|(first, _)| epoch < *first);
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
            Some(kid) if self.keys.contains_key(&kid) => Verdict::Key,
            _ => Verdict::Goes,
        }
    }

    /// Whether this session is among the ended ones.
    pub fn has_session(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Whether this key is among the killed ones.
    pub fn has_key(&self, kid: Kid) -> bool {
        self.keys.contains_key(&kid)
    }

    /// Takes in an end that was heard at these moments; harmless when repeated or out of order, and what is held already
    /// takes no room.
    pub(super) fn insert(&mut self, entry: &Entry, wall: Timestamp, boot: Boot) -> Result<(), Full> {
        if self.holds(entry) {
            return Ok(());
        }
        if self.order.len() >= self.capacity {
            return Err(Full);
        }
        let let_go = boot + entry.until.since(wall).max(HOLD_AT_LEAST);
        let held = Held { until: entry.until, let_go };
        let raise = |at: &mut (Epoch, Held), epoch: Epoch| {
            at.0 = at.0.max(epoch);
            at.1.extend(held);
        };
        match &entry.end {
            End::Session { session } => self.sessions.entry(*session).or_default().extend(held),
            End::Account { account, epoch } => raise(self.accounts.entry(*account).or_default(), *epoch),
            End::App { app, method, epoch } => raise(self.apps.entry((app.clone(), *method)).or_default(), *epoch),
            End::Key { kid } => self.keys.entry(*kid).or_default().extend(held),
        }
        self.taken += 1;
        self.order.insert((let_go, self.taken), entry.end.clone());
        Ok(())
    }

    /// Whether this end, or one that covers it, is held for long enough: it says nothing new.
    pub(crate) fn holds(&self, entry: &Entry) -> bool {
        let long_enough = |held: Option<&Held>| held.is_some_and(|held| held.until >= entry.until);
        let covers = |cut: Option<&(Epoch, Held)>, epoch: Epoch| {
            cut.is_some_and(|(first, held)| *first >= epoch && held.until >= entry.until)
        };
        match &entry.end {
            End::Session { session } => long_enough(self.sessions.get(session)),
            End::Account { account, epoch } => covers(self.accounts.get(account), *epoch),
            End::App { app, method, epoch } => covers(self.apps.get(&(app.clone(), *method)), *epoch),
            End::Key { kid } => long_enough(self.keys.get(kid)),
        }
    }

    /// Lets go of what nobody can present any more.
    pub(super) fn expire(&mut self, now: Boot) {
        while let Some(first) = self.order.first_entry() {
            if first.key().0 > now {
                return;
            }
            match first.remove() {
                End::Session { session } => drop_if(&mut self.sessions, &session, now, |held| held.let_go),
                End::Account { account, .. } => drop_if(&mut self.accounts, &account, now, |(_, held)| held.let_go),
                End::App { app, method, .. } => drop_if(&mut self.apps, &(app, method), now, |(_, held)| held.let_go),
                End::Key { kid } => drop_if(&mut self.keys, &kid, now, |held| held.let_go),
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    /// What it holds and until when, for the model.
    #[cfg(test)]
    pub(super) fn image(&self) -> Vec<(Boot, End)> {
        self.order.iter().map(|((let_go, _), end)| (*let_go, end.clone())).collect()
    }
}

fn drop_if<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: &K, now: Boot, let_go: impl Fn(&V) -> Boot) {
    if map.get(key).is_some_and(|held| let_go(held) <= now) {
        map.remove(key);
    }
}
