//! The set of what has ended, as a verifier holds it in memory.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use thiserror::Error;

use super::{End, Entry};
use crate::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    method::Method,
};

/// What has ended and can still be presented. Bounded: when it is full nothing is dropped; the lease is lost instead.
#[derive(Clone, Debug)]
pub struct Ended {
    sessions: HashMap<SessionId, Timestamp>,
    accounts: HashMap<AccountId, (Epoch, Timestamp)>,
    apps: HashMap<(AppId, Option<Method>), (Epoch, Timestamp)>,
    keys: HashMap<Kid, Timestamp>,
    /// By when each may be let go of; the number tells those of one moment apart.
    order: BTreeMap<(Timestamp, u64), End>,
    taken: u64,
    capacity: usize,
}

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
        let below = |cut: Option<&(Epoch, Timestamp)>, epoch: Epoch| cut.is_some_and(|(first, _)| epoch < *first);
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

    /// Until when this session's end is held, if it is among the ended ones.
    pub fn session_held_until(&self, session: SessionId) -> Option<Timestamp> {
        self.sessions.get(&session).copied()
    }

    /// Whether this key is among the killed ones.
    pub fn has_key(&self, kid: Kid) -> bool {
        self.keys.contains_key(&kid)
    }

    /// Takes an end in; harmless when repeated or out of order.
    pub(super) fn insert(&mut self, entry: &Entry) -> Result<(), Full> {
        if self.order.len() >= self.capacity {
            return Err(Full);
        }
        let until = entry.until;
        let raise = |at: &mut (Epoch, Timestamp), epoch: Epoch| *at = (at.0.max(epoch), at.1.max(until));
        match &entry.end {
            End::Session { session } => {
                let held = self.sessions.entry(*session).or_insert(until);
                *held = (*held).max(until);
            }
            End::Account { account, epoch } => raise(self.accounts.entry(*account).or_default(), *epoch),
            End::App { app, method, epoch } => raise(self.apps.entry((app.clone(), *method)).or_default(), *epoch),
            End::Key { kid } => {
                let held = self.keys.entry(*kid).or_insert(until);
                *held = (*held).max(until);
            }
        }
        self.taken += 1;
        self.order.insert((until, self.taken), entry.end.clone());
        Ok(())
    }

    /// Lets go of what nobody can present any more.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some(first) = self.order.first_entry() {
            if first.key().0 > now {
                return;
            }
            match first.remove() {
                End::Session { session } => drop_if(&mut self.sessions, &session, now, |t| *t),
                End::Account { account, .. } => drop_if(&mut self.accounts, &account, now, |t| t.1),
                End::App { app, method, .. } => drop_if(&mut self.apps, &(app, method), now, |t| t.1),
                End::Key { kid } => drop_if(&mut self.keys, &kid, now, |t| *t),
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }
}

fn drop_if<K: std::hash::Hash + Eq, V>(
    map: &mut HashMap<K, V>,
    key: &K,
    now: Timestamp,
    until: impl Fn(&V) -> Timestamp,
) {
    if map.get(key).is_some_and(|held| until(held) <= now) {
        map.remove(key);
    }
}
