//! What accounts and apps stand at, kept in memory: the file belongs to this process alone, so whatever changes them
//! passes by here, and a session that is read again costs no second read for its account.
//!
//! A value may go in only if nothing has changed since its reading began. A change holds a [`Pending`] which, when the
//! commit is over and before the change is answered (or when nobody waits for the answer any more), takes out what it may
//! have made untrue.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::RwLock;
use quick_cache::sync::Cache;

use crate::{
    account::Account,
    ids::{AccountId, AppId, Epoch},
    method::Method,
    revocation::Hold,
    store::{AccountChange, EndRequest, Standing},
};

/// The most accounts that are kept; some 2 MiB.
const ACCOUNTS: usize = 8_192;

/// The standings that are known.
pub(super) struct Standings {
    accounts: Cache<AccountId, Arc<Account>>,
    apps: RwLock<Apps>,
}

#[derive(Default)]
struct Apps {
    /// How often something has changed.
    changes: u64,
    epochs: HashMap<(AppId, Method), (Epoch, Epoch)>,
}

/// The state of things when a reading began.
#[derive(Clone, Copy)]
pub(super) struct Since(u64);

/// A change that is under way; dropped when it is over, whether it was done or not.
pub(super) struct Pending {
    standings: Arc<Standings>,
    accounts: Vec<AccountId>,
    apps: bool,
}

impl Standings {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { accounts: Cache::new(ACCOUNTS), apps: RwLock::default() })
    }

    /// What is known, or the moment from which it must be read.
    pub(super) fn get(&self, id: AccountId, app: &AppId, method: Method) -> Result<Standing, Since> {
        let apps = self.apps.read();
        let since = Since(apps.changes);
        let (app_epoch, app_cut) = *apps.epochs.get(&(app.clone(), method)).ok_or(since)?;
        let account = self.accounts.get(&id).ok_or(since)?;
        Ok(Standing { account: Account::clone(&account), app_epoch, app_cut, ended: false })
    }

    /// Keeps what was read, unless something has changed since.
    pub(super) fn keep(&self, since: Since, app: &AppId, method: Method, read: &Standing) {
        let mut apps = self.apps.write();
        if apps.changes == since.0 {
            apps.epochs.insert((app.clone(), method), (read.app_epoch, read.app_cut));
            self.accounts.insert(read.account.id, Arc::new(read.account.clone()));
        }
    }

    /// A change of one account begins.
    pub(super) fn changing(self: &Arc<Self>, id: AccountId, change: &AccountChange) -> Option<Pending> {
        // Another hash of the same password is nothing that a standing says.
        let says = !matches!(change, AccountChange::Rehash { .. });
        says.then(|| Pending { standings: Arc::clone(self), accounts: vec![id], apps: false })
    }

    /// These ends begin.
    pub(super) fn ending(self: &Arc<Self>, ends: &[(EndRequest, Hold)]) -> Option<Pending> {
        let accounts: Vec<_> = ends
            .iter()
            .filter_map(|(end, _)| match end {
                EndRequest::Account(id, _) | EndRequest::Others(id, _) => Some(*id),
                _ => None,
            })
            .collect();
        let apps = ends.iter().any(|(end, _)| matches!(end, EndRequest::App(..)));
        (apps || !accounts.is_empty()).then(|| Pending { standings: Arc::clone(self), accounts, apps })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut apps = self.standings.apps.write();
        apps.changes = apps.changes.wrapping_add(1);
        if self.apps {
            apps.epochs.clear();
        }
        for id in &self.accounts {
            self.standings.accounts.remove(id);
        }
    }
}
