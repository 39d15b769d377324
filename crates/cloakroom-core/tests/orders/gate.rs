//! Stores at whose gate a server's calls wait, so that a test says which server's turn it is.

use std::sync::Arc;

use async_trait::async_trait;
use cloakroom_core::{
    account::Account,
    audit,
    clock::Timestamp,
    credential::SharedLimits,
    ids::{AccountId, AppId, AppTag, SessionId},
    key::{KeyStamp, Keys, WrappedKey},
    method::Method,
    revocation::{Answer, Entry, Hold, Lineage, Position, Since},
    session::{Found, Record, Write, Written},
    store::{
        AccountChange, AccountStore, Basis, Creation, DeletionClock, DeletionTime, EndRequest, EndedSessions, Exchange,
        Exchanged, Installation, KeyChange, Login, NewAccount, PastExchange, Place, Service, SessionStore, Standing,
        StoreError, Stores, Stretch, Watermark,
    },
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

/// What a server asks of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    pub(crate) verb: &'static str,
    pub(crate) writes: bool,
}

impl Call {
    /// Whether it makes no difference which of the two comes first.
    pub(crate) fn commutes_with(self, other: Self) -> bool {
        !self.writes && !other.writes
    }
}

/// What is taken away from the design.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Flaw {
    /// Nothing.
    #[default]
    Nothing,
    /// A change of an account goes by an operator's word, whatever was read (F3, F4, F13, M5, M15).
    Uncompared,
}

/// One server's gate.
pub(crate) struct Gate {
    state: Mutex<State>,
    turns: Semaphore,
    changed: watch::Sender<()>,
    flaw: Flaw,
}

#[derive(Default)]
struct State {
    shut: bool,
    dead: bool,
    waiting: Vec<(u64, Call)>,
    inside: usize,
    last: u64,
    trace: Vec<Call>,
}

/// A call that waits, or is inside; what becomes of it is noted when this is dropped.
struct Passing<'a> {
    gate: &'a Gate,
    number: u64,
}

impl Gate {
    pub(crate) fn new(flaw: Flaw) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), turns: Semaphore::new(0), changed: watch::Sender::new(()), flaw })
    }

    /// These stores, behind the gate.
    pub(crate) fn before(self: &Arc<Self>, stores: &Stores) -> Stores {
        let Stores { accounts, sessions, end_deletes } = stores.clone();
        let (one, other) = (Arc::clone(self), Arc::clone(self));
        Stores {
            accounts: Arc::new(Gated { store: accounts, gate: one }),
            sessions: Arc::new(Gated { store: sessions, gate: other }),
            end_deletes,
        }
    }

    /// From now on every call waits for its turn.
    pub(crate) fn shut(&self) {
        let mut state = self.state.lock();
        state.shut = true;
        state.trace.clear();
    }

    /// Nothing waits any more. What was called since it was shut.
    pub(crate) fn open(&self) -> Vec<Call> {
        let mut state = self.state.lock();
        state.shut = false;
        self.turns.add_permits(state.waiting.len());
        state.inside += state.waiting.len();
        state.waiting.clear();
        std::mem::take(&mut state.trace)
    }

    /// The server dies: nothing that it asks from now on is heard, and what waits never goes on. What was called before.
    pub(crate) fn die(&self) -> Vec<Call> {
        let mut state = self.state.lock();
        state.dead = true;
        std::mem::take(&mut state.trace)
    }

    /// The call whose turn would be next.
    pub(crate) fn next(&self) -> Option<Call> {
        self.state.lock().waiting.first().map(|(_, call)| *call)
    }

    /// Lets the one that has waited for longest go on.
    pub(crate) fn let_one_pass(&self) {
        let mut state = self.state.lock();
        let (_, call) = state.waiting.remove(0);
        state.inside += 1;
        state.trace.push(call);
        self.turns.add_permits(1);
    }

    /// Whether nothing is inside.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state.lock().inside == 0
    }

    /// Tells when something has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn call_out(&self) {
        self.changed.send_replace(());
    }

    async fn pass(&self, call: Call) -> Option<Passing<'_>> {
        let (number, dead) = {
            let mut state = self.state.lock();
            if !state.shut {
                return None;
            }
            state.last += 1;
            let number = state.last;
            if !state.dead {
                state.waiting.push((number, call));
            }
            (number, state.dead)
        };
        if dead {
            std::future::pending::<()>().await;
        }
        let passing = Passing { gate: self, number };
        self.call_out();
        self.turns.acquire().await.expect("it is never closed").forget();
        Some(passing)
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        match state.waiting.iter().position(|(number, _)| *number == self.number) {
            Some(at) => drop(state.waiting.remove(at)),
            None => state.inside -= 1,
        }
        drop(state);
        self.gate.call_out();
    }
}

struct Gated<S: ?Sized> {
    store: Arc<S>,
    gate: Arc<Gate>,
}

/// What an end goes by, if nothing is compared.
fn uncompared(request: &EndRequest) -> EndRequest {
    match request {
        EndRequest::Another(session, ..) => EndRequest::Session(*session),
        EndRequest::Account(account, _) | EndRequest::Others(account, _) => {
            EndRequest::Account(*account, Basis::Operator)
        }
        other => other.clone(),
    }
}

/// A port whose verbs wait at the gate. What is marked `free` is asked by others than operations, or changes nothing.
macro_rules! gated {
    (
        $port:ident;
        $($(@$kind:ident)? async fn $verb:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty;)+
        ; $($plain:tt)*
    ) => {
        #[async_trait]
        impl $port for Gated<dyn $port> {
            $(async fn $verb(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                gated!(@pass self, $verb, $($kind)?);
                self.store.$verb($($argument),*).await
            })+
            $($plain)*
        }
    };
    (@pass $port:ident, $verb:ident, free) => {};
    (@pass $port:ident, $verb:ident, writes) => {
        let _passing = $port.gate.pass(Call { verb: stringify!($verb), writes: true }).await;
    };
    (@pass $port:ident, $verb:ident,) => {
        let _passing = $port.gate.pass(Call { verb: stringify!($verb), writes: false }).await;
    };
}

gated! {
    SessionStore;
    async fn read(id: SessionId) -> Option<Record>;
    async fn find(id: SessionId, at: Option<Timestamp>) -> Option<Found>;
    async fn list(
        account: AccountId, before: Option<(Timestamp, SessionId)>, limit: usize
    ) -> Vec<(SessionId, Record)>;
    @free async fn touch(touches: &[(SessionId, Timestamp)]) -> ();
    @free async fn time() -> Timestamp;
    @free async fn count() -> Vec<(AppTag, Method, u64)>;
    @free async fn sweep(now: DeletionTime, limit: usize) -> usize;
    @free async fn watermark() -> Watermark;
    @free async fn advance_watermark(from: &Watermark, to: Position) -> ();
    @free async fn holds_unseen(log: &Lineage, before: Timestamp) -> bool;
    @free async fn forget(ids: &[SessionId]) -> ();
    @free async fn walk(from: Option<Place>, limit: usize) -> Stretch;
    ;
    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        let verb = match &write {
            Write::Create(_) => "create record",
            Write::Rotate { .. } => "rotate",
            Write::CarryOver { .. } => "carry over",
            Write::Delete => "delete record",
            Write::Touch(_) => "touch",
        };
        let _passing = self.gate.pass(Call { verb, writes: true }).await;
        self.store.write(id, write).await
    }
}

gated! {
    AccountStore;
    async fn login(canonical_email: &str) -> Option<Login>;
    async fn account(id: AccountId) -> Option<Login>;
    async fn standing(id: AccountId, app: &AppId, method: Method, session: Option<SessionId>) -> Option<Standing>;
    async fn past_exchange(successor: SessionId, at: Option<Timestamp>) -> Option<PastExchange>;
    @writes async fn create(new: NewAccount) -> Creation;
    @writes async fn exchange(exchange: Exchange, at: Option<Timestamp>) -> Exchanged;
    @writes async fn change_keys(from: &KeyStamp, change: KeyChange, at: Option<Timestamp>) -> Option<Vec<Entry>>;
    @writes async fn add_service(service: Service) -> ();
    @writes async fn remove_service(id: &str) -> bool;
    @free async fn installation() -> Installation;
    @free async fn first_check(check: WrappedKey) -> bool;
    @free async fn accounts(after: Option<AccountId>, limit: usize) -> Vec<Account>;
    @free async fn settled() -> ();
    @free async fn log_since(since: Since, at: Option<Timestamp>) -> Answer;
    @free async fn log_head() -> Position;
    @free async fn lineage() -> Lineage;
    @free async fn ended_sessions(after: u64, limit: usize) -> EndedSessions;
    @free async fn deletion_clock(at: Option<Timestamp>) -> DeletionClock;
    @free async fn move_deletion_clock(from: Timestamp, to: Timestamp) -> bool;
    @free async fn prune_log(now: DeletionTime, limit: usize) -> usize;
    @free async fn keys() -> Keys;
    @free async fn services() -> Vec<Service>;
    @free async fn audit(events: &[audit::Event]) -> ();
    @free async fn audit_page(filter: &audit::Filter, limit: usize) -> Vec<audit::Stored>;
    @free async fn origins(sessions: &[SessionId]) -> Vec<(SessionId, audit::Origin)>;
    @free async fn has_signed_in_from(id: AccountId, network: &str) -> bool;
    @free async fn prune_audit(before: DeletionTime, limit: usize) -> usize;
    ;
    async fn change(
        &self,
        id: AccountId,
        mut change: AccountChange,
        hold: Hold,
        at: Option<Timestamp>,
    ) -> Result<Option<cloakroom_core::store::Changed>, StoreError> {
        if self.gate.flaw == Flaw::Uncompared
            && let AccountChange::Password { basis, .. } | AccountChange::Delete(basis) = &mut change
        {
            *basis = Basis::Operator;
        }
        let _passing = self.gate.pass(Call { verb: "change account", writes: true }).await;
        self.store.change(id, change, hold, at).await
    }

    async fn end(&self, ends: &[(EndRequest, Hold)], at: Option<Timestamp>) -> Result<Vec<Entry>, StoreError> {
        let _passing = self.gate.pass(Call { verb: "end", writes: true }).await;
        if self.gate.flaw == Flaw::Uncompared {
            let ends: Vec<_> = ends.iter().map(|(request, hold)| (uncompared(request), *hold)).collect();
            return self.store.end(&ends, at).await;
        }
        self.store.end(ends, at).await
    }

    fn log_calls(&self) -> Option<watch::Receiver<u64>> {
        self.store.log_calls()
    }

    fn limits(&self) -> Option<Arc<dyn SharedLimits>> {
        self.store.limits()
    }
}
