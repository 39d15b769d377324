//! Ports to storage: [`AccountStore`] (accounts, keys, revocation log, audit) and [`SessionStore`] (a few verbs).
//!
//! Adapters live in folders below; one conformance suite ([`conformance`]) is run against each of them. A port speaks in
//! the domain's types and holds no rule of its own: what a write does to a record is `Write::apply`'s business.

mod basis;
pub mod check;
#[expect(clippy::disallowed_methods, reason = "it is a suite of tests")]
pub mod conformance;
pub mod copy;
mod deletion;
mod ended;
mod exchange;
mod gate;
pub mod memory;
mod moving;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
pub mod sqlite;
mod vitals;
mod watched;
mod watermark;

use std::sync::Arc;

use async_trait::async_trait;
pub(crate) use basis::Present;
pub use basis::{Acting, Basis};
pub use deletion::{DeletionClock, DeletionTime};
pub(crate) use ended::{behind, forget_ended};
pub use exchange::{Exchange, Exchanged, PastExchange, Records};
pub(crate) use gate::Gate;
pub use moving::Moving;
use thiserror::Error;
pub(crate) use vitals::Batches;
pub(crate) use watched::Watch;
pub use {
    vitals::{Connections, Disk, Gathered, Vitals},
    watched::StoreOperation,
    watermark::{TooOld, Watermark},
};

use crate::{
    account::{Account, AccountState},
    audit,
    clock::{Clock, Timestamp},
    credential::{PasswordHash, SharedLimits},
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    key::{KeyRow, KeyStamp, Keys, WrappedKey},
    method::Method,
    revocation::{Answer, Entry, Hold, Lineage, Position, Since},
    session::{Found, Record, Write, Written},
};

/// Why a store gave no answer. Holds no bound value (F128).
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached, is closed, or took too long.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// It has no room left.
    #[error("the store is full: no room is left on its disk, or in the memory that it may use")]
    Full,
    /// It may not be written.
    #[error("the store is read-only")]
    ReadOnly,
    /// It is held by another server.
    #[error("{0}")]
    InUse(String),
    /// It is of a later release, or not Cloakroom's.
    #[error("{0}")]
    Foreign(String),
    /// It takes everything but this: trying again changes nothing.
    #[error("the store refuses what it was given: {0}")]
    Refused(String),
    /// It holds sessions and comes from a time that the revocation log no longer reaches.
    #[error(transparent)]
    TooOld(TooOld),
    /// Its contents are not what they must be.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// Where sessions stand. Each verb but [`list`](Self::list) and [`sweep`](Self::sweep) is about one record.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// The record of a session, expired or not; a record that cannot be read counts as none and is logged.
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError>;

    /// The same with how long ago its last rotation was. `at`: the time that a test gives; `None`: by the clock that rotations
    /// are noted by, which here is this machine's.
    async fn find(&self, id: SessionId, at: Option<Timestamp>) -> Result<Option<Found>, StoreError> {
        let record = self.read(id).await?;
        Ok(record.map(|record| Found::at(record, at.unwrap_or_else(|| Clock::system().now()))))
    }

    /// What the clock says that rotations are noted by.
    async fn time(&self) -> Result<Timestamp, StoreError> {
        Ok(Clock::system().now())
    }

    /// Does a [`Write`] atomically, exactly as `Write::apply` says. Answers when it is as durable as the store promises.
    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError>;

    /// Activity of many sessions at once; absent ones are left absent. May be less durable than [`Self::write`].
    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError>;

    /// An account's sessions, expired or not, newest first, and of one moment by descending id: at most `limit` of those
    /// that follow `before`, the last row of the page before (which may be gone by now). For display, never the authority
    /// for an end.
    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError>;

    /// Removes at most `limit` records whose `expires` is over by the clock of deletion; returns how many.
    async fn sweep(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError>;

    /// How far each part of it has surely seen the log. A mark must be as durable as the deletions before it: whatever undoes
    /// one of them takes the mark back too.
    async fn watermark(&self) -> Result<Watermark, StoreError>;

    /// Notes that every end up to a position has been done here since the watermark was `from`. Refuses to where another
    /// server has taken over since then, which may lack the deletions.
    async fn advance_watermark(&self, from: &Watermark, to: Position) -> Result<(), StoreError>;

    /// Whether a part of it whose mark the log does not reach holds a session that began before a moment.
    async fn holds_unseen(&self, log: &Lineage, before: Timestamp) -> Result<bool, StoreError> {
        if self.watermark().await?.is_in_reach(log) {
            return Ok(false);
        }
        let mut place = None;
        loop {
            let Stretch { sessions, next } = self.walk(place, moving::STEP).await?;
            if sessions.iter().any(|(_, record)| record.as_ref().is_some_and(|record| record.created < before)) {
                return Ok(true);
            }
            place = next;
            if place.is_none() {
                return Ok(false);
            }
        }
    }

    /// Changes whenever another server may have taken over, so that nobody need wait for the next look. `None`: that does not
    /// happen, or cannot be told.
    fn takeovers(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        None
    }

    /// Deletes these records; those that are not there are left so.
    async fn forget(&self, ids: &[SessionId]) -> Result<(), StoreError> {
        for id in ids {
            let _ = self.write(*id, Write::Delete).await?;
        }
        Ok(())
    }

    /// A stretch of a walk over all records: about `limit` of those behind a place, or the first ones. What stands there from
    /// before the walk begins until after its end is met once at least, and what comes or goes meanwhile perhaps; but in a
    /// cluster whose slots move, something may be missed.
    async fn walk(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError>;

    /// How it is, for operators; of a store made of others, how each of those is.
    fn vitals(&self) -> Vec<Vitals> {
        Vec::new()
    }

    /// How many records there are, by app and method; for operators.
    async fn count(&self) -> Result<Vec<(crate::ids::AppTag, Method, u64)>, StoreError>;
}

/// A place in a walk over a store's sessions, which that store alone can read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place(Vec<u8>);

/// A stretch of a walk over a store's sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// Sessions with their records; `None`: what stands there cannot be read.
    pub sessions: Vec<(SessionId, Option<Record>)>,
    /// Where the walk goes on; `None`: it is at its end.
    pub next: Option<Place>,
}

impl Stretch {
    /// A stretch of a walk in the order of ids, which goes on unless it has fewer than `limit`.
    fn by_id(sessions: Vec<(SessionId, Option<Record>)>, limit: usize) -> Self {
        let last = sessions.last().filter(|_| sessions.len() >= limit);
        let next = last.map(|(id, _)| Place(id.bytes().to_vec()));
        Self { sessions, next }
    }
}

/// An account as login needs it.
#[derive(Clone, Debug)]
pub struct Login {
    /// The account.
    pub account: Account,
    /// Its password; `None`: it has none.
    pub password: Option<PasswordHash>,
}

/// What a credential is held against when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The account.
    pub account: Account,
    /// The app's present epoch: what new sessions are born with.
    pub app_epoch: Epoch,
    /// The first epoch of the app that goes on, for the asked method.
    pub app_cut: Epoch,
    /// Whether the log holds an end of the asked session; of none, `false`.
    pub ended: bool,
}

/// A new account.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The account; its epoch is 0.
    pub account: Account,
    /// Its password.
    pub password: Option<PasswordHash>,
}

/// What is to end. The store settles epochs and sequence numbers under its own lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndRequest {
    /// One session.
    Session(SessionId),
    /// Another session of the account of the one that asks.
    Another(SessionId, AccountId, Acting),
    /// All of an account's: raises its epoch.
    Account(AccountId, Basis),
    /// All of an account's but the session that asks: raises its epoch and, where its record is in the same database,
    /// carries that over.
    Others(AccountId, Acting),
    /// All of an app's, of one method or of all: raises its epoch.
    App(AppId, Option<Method>),
}

impl EndRequest {
    /// The one session that is to end, if it is one.
    pub(crate) const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Session(session) | Self::Another(session, ..) => Some(*session),
            Self::Account(..) | Self::Others(..) | Self::App(..) => None,
        }
    }
}

/// A change of the keys. Each draws the number of the set anew, in the same transaction, so that every server hears of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyChange {
    /// One more, unless its purpose already has that ordinal: only one server makes the next (F044).
    Add(KeyRow),
    /// All that these keys have made is to end: marks their rows as killed, writes a line each into the revocation log, and
    /// adds the key that takes their place. Unknown keys are left out.
    Kill {
        /// Which.
        kids: Vec<Kid>,
        /// How long the lines must be held.
        hold: Hold,
        /// What takes their place, unless its purpose already has that ordinal.
        next: Option<KeyRow>,
    },
    /// Every living key wrapped anew, and the check of the master secret that they are under now.
    Rewrap {
        /// The check.
        check: WrappedKey,
        /// The keys; those that there are not are left out.
        wrapped: Vec<(Kid, WrappedKey)>,
    },
    /// These are forgotten for good.
    Remove(Vec<Kid>),
}

/// A change of an account; all but [`Rehash`](Self::Rehash) and `State(Active)` raise its epoch in the same transaction.
#[derive(Clone, Debug)]
pub enum AccountChange {
    /// Another password.
    Password {
        /// What the change goes by.
        basis: Basis,
        /// What it becomes.
        to: PasswordHash,
    },
    /// The same password under other parameters; done only if the stored one is still `from`.
    Rehash {
        /// What it must be.
        from: PasswordHash,
        /// What it becomes.
        to: PasswordHash,
    },
    /// May sign in, or not; an operator's word.
    State(AccountState),
    /// Gone for good; its id is never used again, and what was issued to it is refused (F065).
    Delete(Basis),
}

impl AccountChange {
    /// What it goes by.
    pub(crate) const fn basis(&self) -> &Basis {
        match self {
            Self::Password { basis, .. } | Self::Delete(basis) => basis,
            // A rehash compares the hash itself.
            Self::Rehash { .. } | Self::State(_) => &Basis::Operator,
        }
    }
}

/// What became of an [`AccountChange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The account after it, or before its deletion.
    pub account: Account,
    /// The line it wrote into the revocation log, if it ended anything.
    pub entry: Option<Entry>,
}

/// A page of the sessions that have ended, as the log has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSessions {
    /// The last line that was removed from the log: what stood there is not known any more.
    pub pruned: u64,
    /// Line and session.
    pub sessions: Vec<(u64, SessionId)>,
}

/// What became of a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Creation {
    /// It exists now.
    Made,
    /// Another has this address.
    EmailTaken,
}

/// A service that may introspect, revoke and follow the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its public id.
    pub id: String,
    /// What the operator calls it.
    pub name: String,
    /// SHA-256 of its 256-bit random secret.
    pub secret_hash: [u8; 32],
    /// When it was added.
    pub created: Timestamp,
}

/// What a store knows about itself and its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Made once, with the store (F138).
    pub id: uuid::Uuid,
    /// A known text under the master secret, by which a wrong secret is recognised; `None` in a new store.
    pub secret_check: Option<WrappedKey>,
}

/// Where accounts, keys, the revocation log and the audit log stand: SQL.
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// The store's own id and its check of the master secret.
    async fn installation(&self) -> Result<Installation, StoreError>;
    /// Sets the check of the master secret in a store that has none; whether it had none. Of several servers that start at
    /// once with different secrets one wins, and the others are told so (F047).
    async fn first_check(&self, check: WrappedKey) -> Result<bool, StoreError>;

    /// A new account, unless another has its canonical address.
    async fn create(&self, new: NewAccount) -> Result<Creation, StoreError>;
    /// The account of a canonical address.
    async fn login(&self, canonical_email: &str) -> Result<Option<Login>, StoreError>;
    /// The account of an id, with its password.
    async fn account(&self, id: AccountId) -> Result<Option<Login>, StoreError>;
    /// An account's and an app's present state in one reading, from a primary, and whether the log holds an end of a session;
    /// `None`: there is no such account.
    async fn standing(
        &self,
        id: AccountId,
        app: &AppId,
        method: Method,
        session: Option<SessionId>,
    ) -> Result<Option<Standing>, StoreError>;
    /// Accounts by id, those after `after`.
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError>;
    /// Changes an account, and raises its epoch with it where the change ends sessions; `None`: there is no such account, or
    /// what the change goes by has changed. `at`: as in [`Self::end`].
    async fn change(
        &self,
        id: AccountId,
        change: AccountChange,
        hold: Hold,
        at: Option<Timestamp>,
    ) -> Result<Option<Changed>, StoreError>;

    /// Writes ends into the revocation log, durably, each with how long the log holds it. Unknown accounts are left
    /// out of the answer, and so is what went by something that has changed. What took an ended session's place in an
    /// exchange ends with it, in the same transaction, and follows it in the answer. `at`: the moment that a test gives; `None`:
    /// the store's own time, because those of its servers may disagree.
    async fn end(&self, ends: &[(EndRequest, Hold)], at: Option<Timestamp>) -> Result<Vec<Entry>, StoreError>;
    /// Ends a session in favour of its successor, by one line of the log, if no other line ends it and it stands as it was read.
    /// `at`: as in [`Self::end`].
    async fn exchange(&self, exchange: Exchange, at: Option<Timestamp>) -> Result<Exchanged, StoreError>;
    /// The exchange that a session came from, as long as the log has its line. `at`: as in [`Self::end`].
    async fn past_exchange(
        &self,
        successor: SessionId,
        at: Option<Timestamp>,
    ) -> Result<Option<PastExchange>, StoreError>;
    /// Answers when everything that was visible before this was asked is as durable as a write of one's own: for an
    /// acknowledgement that rests on what somebody else wrote. One commit for all who ask at a time. The verbs of this port that
    /// find a thing done already (an address that is taken, a line that is there) wait so themselves.
    async fn settled(&self) -> Result<(), StoreError>;
    /// What has ended since, at most a [page](crate::revocation::PAGE) of it. A snapshot has what ended since
    /// [`reach`](crate::revocation::reach) of the clock of deletion, whatever became of the server that wrote it. The head is
    /// read in the same transaction. `at`: as in [`Self::end`].
    async fn log_since(&self, since: Since, at: Option<Timestamp>) -> Result<Answer, StoreError>;
    /// The store's own time. `at`: as in [`Self::end`].
    async fn time(&self, at: Option<Timestamp>) -> Result<Timestamp, StoreError> {
        let head = self.log_head().await?;
        Ok(self.log_since(Since::Line(head), at).await?.time)
    }
    /// The head of the log.
    async fn log_head(&self) -> Result<Position, StoreError>;
    /// What the log was called before. Whoever writes the first line of an incarnation notes the one before it, in the same
    /// transaction.
    async fn lineage(&self) -> Result<Lineage, StoreError>;
    /// The sessions that the log says have ended, in the order of their lines: at most `limit` behind line `after`.
    async fn ended_sessions(&self, after: u64, limit: usize) -> Result<EndedSessions, StoreError>;
    /// The clock that deletion goes by, and the store's time. `at`: as in [`Self::end`].
    async fn deletion_clock(&self, at: Option<Timestamp>) -> Result<DeletionClock, StoreError>;
    /// Moves the clock that deletion goes by on, if it still stands at `from`; whether it did.
    async fn move_deletion_clock(&self, from: Timestamp, to: Timestamp) -> Result<bool, StoreError>;
    /// Removes lines that nobody needs: older than the log's life and past their `until` by the clock of deletion; at most
    /// `limit`.
    async fn prune_log(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError>;
    /// Changes whenever any server may have written into the log, so that followers need not wait for their next question.
    /// Calls may be lost: asking at intervals stays the promise. `None`: the store does not call.
    fn log_calls(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        None
    }

    /// All keys, the killed and the retired too, and which set they are; in one reading, from a primary.
    async fn keys(&self) -> Result<Keys, StoreError>;
    /// Changes the keys, if the store still holds those that the change was made `from`, under that secret; all or nothing.
    /// The lines that it wrote into the revocation log; `None`: they are others by now, and nothing was changed. `at`: as in
    /// [`Self::end`].
    async fn change_keys(
        &self,
        from: &KeyStamp,
        change: KeyChange,
        at: Option<Timestamp>,
    ) -> Result<Option<Vec<Entry>>, StoreError>;

    /// Adds a service.
    async fn add_service(&self, service: Service) -> Result<(), StoreError>;
    /// All services.
    async fn services(&self) -> Result<Vec<Service>, StoreError>;
    /// Removes a service; whether there was one.
    async fn remove_service(&self, id: &str) -> Result<bool, StoreError>;

    /// Appends to the audit log; in the order given.
    async fn audit(&self, events: &[audit::Event]) -> Result<(), StoreError>;
    /// Reads the audit log, newest first.
    async fn audit_page(&self, filter: &audit::Filter, limit: usize) -> Result<Vec<audit::Stored>, StoreError>;
    /// The sign-ins by which these sessions began, as far as the audit log still holds them.
    async fn origins(&self, sessions: &[SessionId]) -> Result<Vec<(SessionId, audit::Origin)>, StoreError>;
    /// Whether an account has signed in from an address of this network (text form as in the audit log's network column).
    async fn has_signed_in_from(&self, id: AccountId, network: &str) -> Result<bool, StoreError>;
    /// Removes audit lines from before a moment by the clock of deletion; at most `limit`.
    async fn prune_audit(&self, before: DeletionTime, limit: usize) -> Result<usize, StoreError>;

    /// How it is, for operators.
    fn vitals(&self) -> Vec<Vitals> {
        Vec::new()
    }

    /// Where failed sign-ins are counted for all servers that share this store. `None`: one server has it for itself, and
    /// counts in its own memory.
    fn limits(&self) -> Option<Arc<dyn SharedLimits>> {
        None
    }
}

/// By how much the epochs of all accounts are raised when what a backup brings back is to end: more than any has risen
/// since the backup, so that nothing of a later epoch goes on either; and small enough to stay short in tokens and records.
const LEAP: u32 = 10_000;

impl Stores {
    /// Whether a record that is found may be of a session that has ended: an end is two writes, of which a crash can leave
    /// out the second, and another server may have ended what it keeps no record of. Then the log is asked about every record
    /// that is found, and the ends that a store may have missed are done again from its watermark on.
    pub fn may_diverge(&self) -> bool {
        !self.end_deletes
    }

    /// Where the account store is to look for the records of sessions.
    pub(crate) const fn records(&self) -> Records {
        if self.end_deletes { Records::Here } else { Records::Elsewhere }
    }
}

/// The two stores of a server.
#[derive(Clone)]
pub struct Stores {
    /// Accounts, keys, revocation log, audit.
    pub accounts: Arc<dyn AccountStore>,
    /// Sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Whether ending a session in the log deletes its record in the same transaction, because both are one database.
    pub end_deletes: bool,
}
