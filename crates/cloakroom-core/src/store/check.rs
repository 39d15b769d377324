//! Reading all that stands in the stores, and noting what is not as it should be. Nothing is changed, and servers may serve
//! meanwhile: what looks wrong is looked at a second time, so that what just begins or ends is not taken for damage.

use std::{collections::HashSet, time::Duration};

use futures_util::TryStreamExt;

use super::{
    AccountStore, SessionStore, StoreError, TooOld,
    ended::{behind, ended},
    moving::STEP,
};
use crate::{
    app::Apps,
    clock::Timestamp,
    ids::{AccountId, SessionId},
    revocation::Since,
};

/// A record that is over is swept within a minute where a server runs; where none has run for a while it may wait.
const UNSWEPT: Duration = Duration::from_hours(1);
/// How many ids of each kind are named.
const NAMED: usize = 10;

/// Some sessions that have something in common.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Noted {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<SessionId>,
}

impl Noted {
    fn note(&mut self, id: SessionId) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(id);
        }
    }
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// How many accounts there are.
    pub accounts: u64,
    /// How many sessions there are, all of the following included.
    pub sessions: u64,
    /// Sessions whose record cannot be read: those devices sign in again.
    pub damaged: Noted,
    /// Sessions of accounts that are not there.
    pub orphans: Noted,
    /// Sessions of apps that the configuration does not have.
    pub strays: Noted,
    /// Sessions that have been over for an hour and are still there.
    pub unswept: Noted,
    /// Sessions that have ended, as the log says, and are still there.
    pub undead: Noted,
    /// The store of sessions comes from a time that the log no longer reaches.
    pub too_old: Option<TooOld>,
}

/// Reads everything. `at`: the moment that a test gives; `None`: the store's own time.
///
/// # Errors
/// [`StoreError::Corrupt`] when accounts, keys, services or the log cannot be read; otherwise as of any store.
pub async fn look(
    accounts: &dyn AccountStore,
    sessions: &dyn SessionStore,
    apps: &Apps,
    at: Option<Timestamp>,
) -> Result<Findings, StoreError> {
    accounts.keys().await?;
    accounts.services().await?;
    let now = accounts.log_since(Since::Ever, at).await?.time;
    let too_old = match behind(sessions, accounts, now).await {
        Ok(_) => None,
        Err(StoreError::TooOld(old)) => Some(old),
        Err(error) => return Err(error),
    };
    let mut findings = Findings { too_old, ..Findings::default() };
    let people = people(accounts).await?;
    findings.accounts = people.len() as u64;
    let ended: HashSet<_> = ended(accounts, 0).try_concat().await?.into_iter().collect();
    let mut place = None;
    loop {
        let stretch = sessions.walk(place, STEP).await?;
        for (id, record) in stretch.sessions {
            findings.sessions += 1;
            let Some(record) = record else {
                findings.damaged.note(id);
                continue;
            };
            if record.expires + UNSWEPT <= now {
                findings.unswept.note(id);
            }
            if apps.by_tag(record.app).is_none() {
                findings.strays.note(id);
            }
            let orphan = !people.contains(&record.account) && accounts.account(record.account).await?.is_none();
            if orphan && sessions.read(id).await?.is_some() {
                findings.orphans.note(id);
            }
            if ended.contains(&id) && sessions.read(id).await?.is_some() {
                findings.undead.note(id);
            }
        }
        place = stretch.next;
        if place.is_none() {
            return Ok(findings);
        }
    }
}

async fn people(accounts: &dyn AccountStore) -> Result<HashSet<AccountId>, StoreError> {
    let (mut people, mut after) = (HashSet::new(), None);
    loop {
        let page = accounts.accounts(after, STEP).await?;
        let Some(last) = page.last() else { return Ok(people) };
        after = Some(last.id);
        people.extend(page.iter().map(|account| account.id));
    }
}
