//! Stores whose operations are counted and timed: both ports with numbers for operators, and spans of traces. What is asked of a
//! store of sessions that may not be used is refused here, whoever asks.
//!
//! The engine puts this around whatever stores it is given, so that no adapter counts by itself.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};

use super::{
    AccountChange, AccountStore, Changed, Creation, DeletionClock, DeletionTime, EndRequest, EndedSessions, Exchange,
    Exchanged, Gate, Installation, KeyChange, Login, NewAccount, PastExchange, Place, Service, SessionStore, Standing,
    StoreError, Stores, Stretch, Vitals, Watermark,
};
use crate::{
    account::Account,
    audit,
    clock::Timestamp,
    credential::{Bucket, BucketKey, SharedLimits, Swept, Taken},
    ids::{AccountId, AppId, AppTag, SessionId},
    key::{KeyStamp, Keys, WrappedKey},
    method::Method,
    revocation::{Answer, Entry, Hold, Lineage, Position, Since},
    session::{Found, Record, Write, Written},
    tally::{TimeCounts, Times},
    trace::{Outcome, span_of},
};

/// What was asked of the stores so far, by port and operation.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    ports: [(&'static str, Arc<Operations>); 3],
    /// Whether the store of sessions may be used.
    pub(crate) sessions: Arc<Gate>,
}

/// How often a store was asked for something, and how long it took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreOperation {
    /// `accounts`, `sessions` or `limits`.
    pub port: &'static str,
    /// The name of the port's method.
    pub operation: &'static str,
    /// How long it took, the failed ones too.
    pub times: TimeCounts,
    /// How often it failed.
    pub failed: u64,
}

#[derive(Default)]
struct Operations {
    known: RwLock<BTreeMap<&'static str, Arc<Operation>>>,
    /// When something last found no room, or was not allowed to be written.
    lacked_room: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Operation {
    times: Times,
    failed: AtomicU64,
}

/// A port that is watched.
struct Watched<S: ?Sized> {
    store: Arc<S>,
    operations: Arc<Operations>,
    /// Of the limits that belong to it.
    limits: Arc<Operations>,
    /// Shut while the store may not be used.
    gate: Arc<Gate>,
}

impl<S: ?Sized> Watched<S> {
    /// Does something only while the store may be used. Looked at after it too: what was read meanwhile may be of a store that
    /// has just been found to be too old.
    async fn gated<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.gate.pass()?;
        let done = work.await?;
        self.gate.pass()?;
        Ok(done)
    }
}

impl Watch {
    /// Watches stores from now on.
    pub(crate) fn over(stores: &Stores) -> (Stores, Self) {
        let ports = ["accounts", "sessions", "limits"].map(|port| (port, Arc::default()));
        let watch = Self { ports, sessions: Arc::default() };
        let [(_, accounts), (_, sessions), (_, limits)] = watch.ports.clone();
        let watched = Stores {
            accounts: Arc::new(Watched {
                store: Arc::clone(&stores.accounts),
                operations: accounts,
                limits: Arc::clone(&limits),
                gate: Arc::default(),
            }),
            sessions: Arc::new(Watched {
                store: Arc::clone(&stores.sessions),
                operations: sessions,
                limits,
                gate: Arc::clone(&watch.sessions),
            }),
            end_deletes: stores.end_deletes,
        };
        (watched, watch)
    }

    /// How long ago something last found no room in what `holds` names: `accounts`, `sessions` or `both`.
    pub(crate) fn lacked_room(&self, holds: &str) -> Option<Duration> {
        let ports = self.ports.iter().filter(|(port, _)| *port == holds || (holds == "both" && *port != "limits"));
        ports.filter_map(|(_, operations)| *operations.lacked_room.lock()).map(|at| at.elapsed()).min()
    }

    /// Everything that was asked for at least once.
    pub(crate) fn operations(&self) -> Vec<StoreOperation> {
        let of_port = |(port, operations): &(&'static str, Arc<Operations>)| {
            let of_operation = |(operation, counted): (&&'static str, &Arc<Operation>)| StoreOperation {
                port,
                operation,
                times: counted.times.counts(),
                failed: counted.failed.load(Ordering::Relaxed),
            };
            operations.known.read().iter().map(of_operation).collect::<Vec<_>>()
        };
        self.ports.iter().flat_map(of_port).collect()
    }
}

impl Operations {
    async fn time<T>(
        &self,
        [name, span]: [&'static str; 2],
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let failed = |outcome: &Result<T, StoreError>| if outcome.is_err() { Outcome::Failed } else { Outcome::Done };
        let outcome = span_of(span, work, failed).await;
        self.count(name, begun.elapsed(), outcome.is_err());
        if matches!(outcome, Err(StoreError::Full | StoreError::ReadOnly)) {
            *self.lacked_room.lock() = Some(Instant::now());
        }
        outcome
    }

    fn count(&self, name: &'static str, took: Duration, failed: bool) {
        let known = self.known.read().get(name).cloned();
        let operation = known.unwrap_or_else(|| Arc::clone(self.known.write().entry(name).or_default()));
        operation.times.observe(took);
        operation.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
    }
}

/// A port whose verbs are timed, and whose other methods are passed on as they are.
macro_rules! watched {
    (
        $port:ident;
        $($(@$gate:ident)? async fn $verb:ident($($argument:ident: $kind:ty),* $(,)?) -> $answer:ty;)+
        ; $($plain:tt)*
    ) => {
        #[async_trait]
        impl $port for Watched<dyn $port> {
            $(async fn $verb(&self, $($argument: $kind),*) -> Result<$answer, StoreError> {
                let names = [stringify!($verb), concat!("store ", stringify!($port), "::", stringify!($verb))];
                let work = self.operations.time(names, self.store.$verb($($argument),*));
                $(let work = self.$gate(work);)?
                work.await
            })+
            $($plain)*
        }
    };
}

watched! {
    SessionStore;
    // What people and operators want of it.
    @gated async fn read(id: SessionId) -> Option<Record>;
    @gated async fn find(id: SessionId, at: Option<Timestamp>) -> Option<Found>;
    @gated async fn write(id: SessionId, write: Write) -> Written;
    @gated async fn touch(touches: &[(SessionId, Timestamp)]) -> ();
    @gated async fn list(
        account: AccountId, before: Option<(Timestamp, SessionId)>, limit: usize
    ) -> Vec<(SessionId, Record)>;
    @gated async fn count() -> Vec<(AppTag, Method, u64)>;
    // What finds out whether it may be used, and what it is rid of.
    async fn time() -> Timestamp;
    async fn sweep(now: DeletionTime, limit: usize) -> usize;
    async fn watermark() -> Watermark;
    async fn advance_watermark(from: &Watermark, to: Position) -> ();
    async fn holds_unseen(log: &Lineage, before: Timestamp) -> bool;
    async fn forget(ids: &[SessionId]) -> ();
    async fn walk(from: Option<Place>, limit: usize) -> Stretch;
    ;
    fn takeovers(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        self.store.takeovers()
    }
    fn vitals(&self) -> Vec<Vitals> {
        self.store.vitals()
    }
}

watched! {
    AccountStore;
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
    ;
    fn log_calls(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        self.store.log_calls()
    }
    fn limits(&self) -> Option<Arc<dyn SharedLimits>> {
        let store = self.store.limits()?;
        let [operations, limits] = [(); 2].map(|()| Arc::clone(&self.limits));
        Some(Arc::new(Watched { store, operations, limits, gate: Arc::default() }))
    }
    fn vitals(&self) -> Vec<Vitals> {
        self.store.vitals()
    }
}

watched! {
    SharedLimits;
    async fn take(first: &Bucket, then: Option<&Bucket>, at: Option<Timestamp>) -> Taken;
    async fn settle(settled: &[(BucketKey, u32, Duration)]) -> ();
    async fn sweep(at: Option<Timestamp>, limit: usize) -> Swept;
    ;
}
