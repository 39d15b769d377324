//! How often somebody may guess: limits on failed logins for each account and each network, and on registrations.
//!
//! An attempt takes its tokens before the password is looked at, and gets them back when it was right or came to nothing;
//! so guesses in parallel are counted one by one, and honest logins in parallel wait for each other instead of failing.
//! Nothing here locks anybody out for good, and nobody elsewhere can shut out an owner at a [familiar](Familiar) place.
//! Servers that share their accounts share the counts (`shared`, F119); a server that has its store for itself counts in its
//! own memory (`here`). Either way a key is a keyed hash, so that no list of addresses can be made of the counts.

mod here;
mod network;
mod settings;
mod shared;
mod table;

use std::{
    fmt,
    hash::Hasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use siphasher::sip128::{Hasher128, SipHasher24};
use thiserror::Error;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use self::{here::Here, shared::Shared};
pub use self::{
    network::Network,
    settings::{LimitSettings, Rate},
    shared::{Bucket, BucketKey, SharedLimits, SharedToken, Swept, Taken, UNDECIDED},
};
use crate::{
    account::EmailAddress,
    clock::Clock,
    seats::Seats,
    store::{AccountStore, StoreError},
    tasks,
};

/// The limits on logins and registrations; cheap to clone.
#[derive(Clone)]
pub struct FailureLimits(Arc<Inner>);

impl FailureLimits {
    /// Limits that are counted where the accounts are, if several servers can share those, and otherwise here. `key` hashes
    /// what is counted; servers that share the counts must have the same.
    ///
    /// # Panics
    /// Outside a Tokio runtime, if the counts are shared.
    pub fn new(settings: LimitSettings, store: &dyn AccountStore, key: [u8; 16], clock: Clock) -> Self {
        let Some(store) = store.limits() else { return Self::here(settings, key, clock) };
        let settled = Arc::new(Notify::new());
        let counts = Counts::Shared(Shared::start(store, settings, clock, Arc::clone(&settled)));
        Self::of(counts, key, settled)
    }

    fn here(settings: LimitSettings, key: [u8; 16], clock: Clock) -> Self {
        let settled = Arc::new(Notify::new());
        let counts = Counts::Here(Arc::new(Here::new(settings, clock, Arc::clone(&settled))));
        Self::of(counts, key, settled)
    }

    fn of(counts: Counts, key: [u8; 16], settled: Arc<Notify>) -> Self {
        let refused = std::array::from_fn(|_| AtomicU64::new(0));
        Self(Arc::new(Inner { counts, key, settled, waiting: Seats::new(MAX_WAITING), refused }))
    }

    /// Begins an attempt to prove who one is, before the secret is looked at.
    ///
    /// `account` is the address as typed, whether or not there is such an account; `None` where it is no address at all.
    /// Where tokens lack only because other attempts are not decided yet, this waits for those.
    ///
    /// # Errors
    /// [`LimitError::Limited`], and where the counts are shared, as of any store.
    pub async fn begin(
        &self,
        account: Option<&EmailAddress>,
        network: Network,
        familiar: Familiar,
    ) -> Result<Attempt, LimitError> {
        let of_account = account.map(|account| match familiar {
            Familiar::Yes => self.0.counted(LimitKind::Familiar, &[&network.key(), account.canonical().as_bytes()]),
            Familiar::No => self.0.counted(LimitKind::Account, &[account.canonical().as_bytes()]),
        });
        // The network first: one that is past its limit makes no entries for accounts, and takes no token of theirs.
        self.take(self.0.counted(LimitKind::Network, &[&network.key()]), of_account).await
    }

    /// Counts a registration from a network.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn registration(&self, network: Network) -> Result<(), LimitError> {
        let attempt = self.take(self.0.counted(LimitKind::Registration, &[&network.key()]), None).await?;
        attempt.wrong();
        Ok(())
    }

    /// How often each limit turned somebody away.
    pub fn refused(&self) -> [(LimitKind, u64); LimitKind::ALL.len()] {
        LimitKind::ALL.map(|limit| (limit, self.0.refused[limit as usize].load(Ordering::Relaxed)))
    }

    /// Forgets, where the counts are shared, what says nothing any more: at most `limit` of it. How much.
    ///
    /// # Errors
    /// As of any store.
    pub async fn sweep(&self, limit: usize) -> Result<usize, StoreError> {
        match &self.0.counts {
            // Forgetting goes along with remembering.
            Counts::Here(_) => Ok(0),
            Counts::Shared(shared) => shared.sweep(limit).await,
        }
    }

    /// A token of each, or of none.
    async fn take(&self, first: Counted, then: Option<Counted>) -> Result<Attempt, LimitError> {
        let until = Instant::now() + PATIENCE;
        let mut seat = None;
        let mut pause = PAUSES.0;
        loop {
            // It hears of what is settled from here on, so nothing is missed between looking and waiting.
            let settled = self.0.settled.notified();
            let (limit, empty) = match self.0.take(first, then).await? {
                Ok(attempt) => return Ok(attempt),
                Err(refused) => refused,
            };
            let limited = |retry_after| {
                self.0.refused[limit as usize].fetch_add(1, Ordering::Relaxed);
                LimitError::from(Limited { limit, retry_after })
            };
            if let Empty::Until(wait) = empty {
                return Err(limited(wait));
            }
            if seat.is_none() {
                seat = Some(self.0.waiting.take().ok_or_else(|| limited(Duration::from_secs(1)))?);
            }
            // Another server's attempts are settled without a word to this one.
            let shared = matches!(self.0.counts, Counts::Shared(_));
            let look = if shared { until.min(Instant::now() + pause) } else { until };
            pause = (pause * 2).min(PAUSES.1);
            if timeout_at(look, settled).await.is_err() && Instant::now() >= until {
                return Err(limited(Duration::from_secs(1)));
            }
        }
    }
}

impl fmt::Debug for FailureLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailureLimits(..)")
    }
}

/// Whether this account has signed in from this network before.
///
/// At a familiar place the account's own limit is not asked, which anybody can use up from anywhere, but one of this
/// account and network together; the limit of the network holds in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Familiar {
    /// It has.
    Yes,
    /// It has not, or nothing is known.
    No,
}

/// An attempt that is under way, and holds a token of each limit that concerns it.
///
/// Only [`Self::wrong`] counts: dropped without a word (the client hung up, the pool was full, a store failed), it gives
/// its tokens back as [`Self::right`] does.
#[must_use = "an attempt that is dropped is not counted"]
pub struct Attempt(Option<Held>);

/// Tokens, and where they came from.
enum Held {
    Here(Arc<Here>, here::Tokens),
    Shared(Arc<Shared>, shared::Tokens),
}

impl Attempt {
    /// The secret was wrong: the attempt counts.
    pub fn wrong(mut self) {
        self.settle(Outcome::Spent);
    }

    /// The secret was right: as if it had not been.
    pub fn right(mut self) {
        self.settle(Outcome::GivenBack);
    }

    fn settle(&mut self, outcome: Outcome) {
        match self.0.take() {
            Some(Held::Here(here, tokens)) => here.settle(&tokens, outcome),
            Some(Held::Shared(shared, tokens)) => shared.settle(tokens, outcome),
            None => {}
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt(..)")
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.settle(Outcome::GivenBack);
    }
}

/// Too many attempts: none is looked at for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("too many attempts ({limit}); again in {} s", retry_after.as_secs_f32().ceil(), limit = limit.code())]
pub struct Limited {
    /// Which limit it was: for the operator, not for the client.
    pub limit: LimitKind,
    /// When the next attempt may be made.
    pub retry_after: Duration,
}

/// Why there is no attempt.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LimitError {
    /// There have been too many.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// The shared counts cannot be had: then nobody can sign in, for the accounts are where they are.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The limits there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum LimitKind {
    /// Wrong secrets from one network, for whatever account.
    Network,
    /// Wrong secrets for one address from places that are not familiar.
    Account,
    /// Wrong secrets for one account from one familiar network.
    Familiar,
    /// Registrations from one network.
    Registration,
}

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Network, Self::Account, Self::Familiar, Self::Registration];

    /// The stable code of the limit.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Account => "account",
            Self::Familiar => "familiar",
            Self::Registration => "registration",
        }
    }
}

/// Why there is no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Empty {
    /// Some of those taken may come back early: it is worth waiting.
    Undecided,
    /// The next comes back after this time.
    Until(Duration),
}

/// What becomes of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Spent,
    GivenBack,
}

struct Inner {
    counts: Counts,
    key: [u8; 16],
    /// Rings whenever an attempt of this process has been settled.
    settled: Arc<Notify>,
    /// Attempts that wait for others' outcome.
    waiting: Seats,
    /// How often each limit has turned somebody away.
    refused: [AtomicU64; LimitKind::ALL.len()],
}

/// Where it is counted.
enum Counts {
    Here(Arc<Here>),
    Shared(Arc<Shared>),
}

/// What is counted: 128 bits of a keyed hash, and the limit that they fall under.
#[derive(Clone, Copy)]
struct Counted {
    limit: LimitKind,
    key: (u64, u64),
}

impl Inner {
    fn counted(&self, limit: LimitKind, parts: &[&[u8]]) -> Counted {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        for part in std::iter::once(&limit.code().as_bytes()).chain(parts) {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        let hash = hasher.finish128();
        Counted { limit, key: (hash.h1, hash.h2) }
    }

    async fn take(
        &self,
        first: Counted,
        then: Option<Counted>,
    ) -> Result<Result<Attempt, (LimitKind, Empty)>, StoreError> {
        match &self.counts {
            Counts::Here(here) => {
                let taken = here.take(first, then);
                Ok(taken.map(|tokens| Attempt(Some(Held::Here(Arc::clone(here), tokens)))))
            }
            Counts::Shared(shared) => {
                let shared = Arc::clone(shared);
                // In a task of its own: of a client that hangs up meanwhile no token stays taken.
                let taking = tasks::once("limits-take", async move {
                    let taken = shared.take(first, then).await?;
                    Ok(taken.map(|tokens| Attempt(Some(Held::Shared(shared, tokens)))))
                });
                taking.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
            }
        }
    }
}

/// Attempts that may wait for others at a time; past that they are refused, for a second.
pub(crate) const MAX_WAITING: usize = 64;
/// How long an attempt waits for others.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often shared counts are looked at again meanwhile: at first, and at least.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(400));

#[cfg(test)]
mod tests;
