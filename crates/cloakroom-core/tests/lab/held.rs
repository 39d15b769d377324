//! An account store one of whose verbs a test can hold up.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use cloakroom_core::{
    account::Account,
    audit,
    clock::Timestamp,
    ids::{AccountId, AppId, SessionId},
    key::{KeyStamp, Keys, WrappedKey},
    method::Method,
    revocation::{Answer, Entry, Hold, Lineage, Position, Since},
    store::{
        AccountChange, AccountStore, Changed, Creation, DeletionClock, DeletionTime, EndRequest, EndedSessions,
        Exchange, Exchanged, Installation, KeyChange, Login, NewAccount, PastExchange, Service, Standing, StoreError,
        Stores,
    },
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub(crate) struct Held {
    inner: Arc<dyn AccountStore>,
    verb: Mutex<Option<(&'static str, Moment)>>,
    waiting: AtomicUsize,
    gate: Semaphore,
}

/// When a verb waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// Before it is done.
    Before,
    /// When it is done, and before that is told.
    After,
}

impl Held {
    /// These stores with that around the accounts.
    pub(crate) fn over(stores: Stores) -> (Stores, Arc<Self>) {
        let held = Arc::new(Self {
            inner: stores.accounts,
            verb: Mutex::default(),
            waiting: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        });
        (Stores { accounts: Arc::clone(&held) as _, ..stores }, held)
    }

    /// From now on a verb waits.
    pub(crate) fn hold(&self, verb: &'static str, when: Moment) {
        *self.verb.lock() = Some((verb, when));
    }

    /// Until so many wait.
    pub(crate) async fn until_waiting(&self, times: usize) {
        while self.waiting.load(Ordering::SeqCst) < times {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// Those that wait wait on, and others do not.
    pub(crate) fn let_others_through(&self) {
        *self.verb.lock() = None;
    }

    /// Nothing waits any more.
    pub(crate) fn let_go(&self) {
        self.let_others_through();
        self.gate.add_permits(1000);
    }

    async fn wait(&self, verb: &'static str, when: Moment) {
        let held = *self.verb.lock();
        if held == Some((verb, when)) {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
        }
    }
}

macro_rules! passed_on {
    ($(async fn $verb:ident($($argument:ident: $kind:ty),* $(,)?) -> $answer:ty;)+) => {
        #[async_trait]
        impl AccountStore for Held {
            $(async fn $verb(&self, $($argument: $kind),*) -> Result<$answer, StoreError> {
                self.wait(stringify!($verb), Moment::Before).await;
                let done = self.inner.$verb($($argument),*).await;
                self.wait(stringify!($verb), Moment::After).await;
                done
            })+
        }
    };
}

passed_on! {
    async fn installation() -> Installation;
    async fn first_check(check: WrappedKey) -> bool;
    async fn create(new: NewAccount) -> Creation;
    async fn login(canonical_email: &str) -> Option<Login>;
    async fn account(id: AccountId) -> Option<Login>;
    async fn standing(id: AccountId, app: &AppId, method: Method, session: Option<SessionId>) -> Option<Standing>;
    async fn accounts(after: Option<AccountId>, limit: usize) -> Vec<Account>;
    async fn change(id: AccountId, change: AccountChange, hold: Hold, at: Option<Timestamp>) -> Option<Changed>;
    async fn end(ends: &[(EndRequest, Hold)], at: Option<Timestamp>) -> Vec<Entry>;
    async fn settled() -> ();
    async fn exchange(exchange: Exchange, at: Option<Timestamp>) -> Exchanged;
    async fn past_exchange(successor: SessionId, at: Option<Timestamp>) -> Option<PastExchange>;
    async fn log_since(since: Since, at: Option<Timestamp>) -> Answer;
    async fn log_head() -> Position;
    async fn lineage() -> Lineage;
    async fn ended_sessions(after: u64, limit: usize) -> EndedSessions;
    async fn deletion_clock(at: Option<Timestamp>) -> DeletionClock;
    async fn move_deletion_clock(from: Timestamp, to: Timestamp) -> bool;
    async fn prune_log(now: DeletionTime, limit: usize) -> usize;
    async fn keys() -> Keys;
    async fn change_keys(from: &KeyStamp, change: KeyChange, at: Option<Timestamp>) -> Option<Vec<Entry>>;
    async fn add_service(service: Service) -> ();
    async fn services() -> Vec<Service>;
    async fn remove_service(id: &str) -> bool;
    async fn audit(events: &[audit::Event]) -> ();
    async fn audit_page(filter: &audit::Filter, limit: usize) -> Vec<audit::Stored>;
    async fn origins(sessions: &[SessionId]) -> Vec<(SessionId, audit::Origin)>;
    async fn has_signed_in_from(id: AccountId, network: &str) -> bool;
    async fn prune_audit(before: DeletionTime, limit: usize) -> usize;
}
