//! How often somebody may guess: limits on failed logins for each account and each network, and on whatever else is to
//! be limited by a key.
//!
//! An attempt takes its tokens before the password is looked at, and gets them back when it was right or came to nothing;
//! so guesses in parallel are counted one by one, and honest logins in parallel wait for each other instead of failing.
//! Nothing here locks anybody out for good, and nobody elsewhere can shut out an owner at a [familiar](Familiar) place.
//! The limits are those of one process.

mod network;
mod table;

use std::{
    fmt,
    hash::Hasher,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use siphasher::sip128::{Hasher128, SipHasher24};
use tokio::sync::Notify;

pub use self::network::Network;
use self::table::{Empty, Key, Outcome, Table, Token};
use crate::{account::EmailAddress, clock::Clock, random::Rng};

/// The limits on logins and registrations; cheap to clone.
#[derive(Clone)]
pub struct FailureLimits(Arc<Shared>);

impl FailureLimits {
    /// Limits with nothing counted yet.
    pub fn new(settings: LimitSettings, clock: Clock, rng: &Rng) -> Self {
        let table = |rate| Table::new(rate, settings.capacity);
        Self(Arc::new(Shared {
            tables: Mutex::new(Tables {
                network: table(settings.network),
                account: table(settings.account),
                familiar: table(settings.familiar),
            }),
            settled: Notify::new(),
            waiting: AtomicUsize::new(0),
            registrations: RateLimiter::new(settings.registration, settings.capacity, clock.clone(), rng),
            hashing: rng.bytes(),
            clock,
        }))
    }

    /// Begins an attempt to prove who one is, before the secret is looked at.
    ///
    /// `account` is the address as typed, whether or not there is such an account; `None` where it is no address at all.
    /// Where tokens lack only because other attempts are not decided yet, this waits for those.
    pub async fn begin(
        &self,
        account: Option<&EmailAddress>,
        network: Network,
        familiar: Familiar,
    ) -> Result<Attempt, Limited> {
        let keys = Keys {
            network: self.0.key(b"network", &[&network.key()]),
            account: account.map(|account| match familiar {
                Familiar::Yes => {
                    (LimitKind::Familiar, self.0.key(b"familiar", &[&network.key(), account.canonical().as_bytes()]))
                }
                Familiar::No => (LimitKind::Account, self.0.key(b"account", &[account.canonical().as_bytes()])),
            }),
        };
        let mut seat = None;
        loop {
            // It hears of what is settled from here on, so nothing is missed between looking and waiting.
            let settled = self.0.settled.notified();
            match self.0.take(&keys) {
                Ok(tokens) => return Ok(Attempt { limits: Arc::clone(&self.0), tokens: Some(tokens) }),
                Err((limit, Empty::Until(retry_after))) => return Err(Limited { limit, retry_after }),
                Err((limit, Empty::Undecided)) if seat.is_none() => {
                    seat = Some(Seat::take(&self.0).ok_or(Limited { limit, retry_after: Duration::from_secs(1) })?);
                }
                Err((_, Empty::Undecided)) => settled.await,
            }
        }
    }

    /// Counts a registration from a network.
    pub fn registration(&self, network: Network) -> Result<(), Limited> {
        self.0
            .registrations
            .take(&network.key())
            .map_err(|retry_after| Limited { limit: LimitKind::Registration, retry_after })
    }

    /// Keys in all tables together, for metrics.
    pub fn tracked(&self) -> usize {
        let tables = self.0.tables.lock();
        let logins = tables.network.len() + tables.account.len() + tables.familiar.len();
        drop(tables);
        logins + self.0.registrations.tracked()
    }
}

impl fmt::Debug for FailureLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureLimits").field("tracked", &self.tracked()).finish_non_exhaustive()
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
pub struct Attempt {
    limits: Arc<Shared>,
    tokens: Option<Tokens>,
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
        if let Some(tokens) = self.tokens.take() {
            self.limits.settle(&tokens, outcome);
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many attempts ({limit}); again in {} s", retry_after.as_secs_f32().ceil(), limit = limit.code())]
pub struct Limited {
    /// Which limit it was: for the operator, not for the client.
    pub limit: LimitKind,
    /// When the next attempt may be made.
    pub retry_after: Duration,
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

/// How the limits are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitSettings {
    /// Wrong secrets for one address, from all places that are not familiar together.
    pub account: Rate,
    /// Wrong secrets from one network.
    pub network: Rate,
    /// Wrong secrets for one account from one familiar network.
    pub familiar: Rate,
    /// Registrations from one network.
    pub registration: Rate,
    /// Keys that each limit keeps apart; further ones share a bucket. A key takes some 45 bytes.
    pub capacity: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            account: Rate::new(10, Duration::from_mins(1)),
            network: Rate::new(30, Duration::from_secs(10)),
            familiar: Rate::new(10, Duration::from_secs(30)),
            registration: Rate::new(20, Duration::from_mins(3)),
            capacity: 100_000,
        }
    }
}

/// How much of something is allowed: a burst, and then one more each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    burst: u32,
    every: Duration,
}

impl Rate {
    /// `burst` at once (1 or more), then one more after each time `every` (1 ms to a day; what is outside is moved in).
    pub fn new(burst: u32, every: Duration) -> Self {
        let every = every.clamp(Duration::from_millis(1), Duration::from_hours(24));
        // Whole milliseconds, as the clock counts.
        Self { burst: burst.max(1), every: Duration::from_millis(every.as_millis() as u64) }
    }

    /// The time in which an empty bucket becomes full.
    fn capacity(self) -> Duration {
        self.every.saturating_mul(self.burst)
    }

    fn shared_by(self, shares: u32) -> Self {
        Self::new(self.burst.saturating_mul(shares), self.every / shares)
    }
}

/// A limit by key for anything else: what is taken is not given back.
pub struct RateLimiter {
    table: Mutex<Table>,
    hashing: [u8; 16],
    clock: Clock,
}

impl RateLimiter {
    /// A limiter that keeps up to `capacity` keys apart.
    pub fn new(rate: Rate, capacity: usize, clock: Clock, rng: &Rng) -> Self {
        Self { table: Mutex::new(Table::new(rate, capacity)), hashing: rng.bytes(), clock }
    }

    /// Takes one for this key, or says when there will be another.
    pub fn take(&self, key: &[u8]) -> Result<(), Duration> {
        let key = keyed_hash(&self.hashing, b"", &[key]);
        self.table.lock().spend(key, self.clock.boot())
    }

    /// Keys that take room, for metrics.
    pub fn tracked(&self) -> usize {
        self.table.lock().len()
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("tracked", &self.tracked()).finish_non_exhaustive()
    }
}

struct Shared {
    tables: Mutex<Tables>,
    /// Rings whenever an attempt is settled.
    settled: Notify,
    waiting: AtomicUsize,
    registrations: RateLimiter,
    /// Of this process only: from a dump of the tables no list of addresses can be made without it.
    hashing: [u8; 16],
    clock: Clock,
}

struct Tables {
    network: Table,
    account: Table,
    familiar: Table,
}

struct Keys {
    network: Key,
    account: Option<(LimitKind, Key)>,
}

struct Tokens {
    network: Token,
    account: Option<(LimitKind, Token)>,
}

impl Shared {
    fn key(&self, what: &[u8], parts: &[&[u8]]) -> Key {
        keyed_hash(&self.hashing, what, parts)
    }

    /// A token of each limit, or of none.
    fn take(&self, keys: &Keys) -> Result<Tokens, (LimitKind, Empty)> {
        let mut tables = self.tables.lock();
        let now = self.clock.boot();
        // The network first: one that is past its limit makes no entries for accounts.
        let network = tables.network.take(keys.network, now).map_err(|empty| (LimitKind::Network, empty))?;
        let Some((kind, key)) = keys.account else {
            return Ok(Tokens { network, account: None });
        };
        match tables.of(kind).take(key, now) {
            Ok(token) => Ok(Tokens { network, account: Some((kind, token)) }),
            Err(empty) => {
                tables.network.settle(&network, Outcome::GivenBack, now);
                Err((kind, empty))
            }
        }
    }

    fn settle(&self, tokens: &Tokens, outcome: Outcome) {
        let mut tables = self.tables.lock();
        let now = self.clock.boot();
        tables.network.settle(&tokens.network, outcome, now);
        if let Some((kind, token)) = &tokens.account {
            tables.of(*kind).settle(token, outcome, now);
        }
        drop(tables);
        self.settled.notify_waiters();
    }
}

impl Tables {
    fn of(&mut self, kind: LimitKind) -> &mut Table {
        match kind {
            LimitKind::Familiar => &mut self.familiar,
            LimitKind::Account => &mut self.account,
            LimitKind::Network | LimitKind::Registration => &mut self.network,
        }
    }
}

/// The place of one that waits for others' attempts; there are so many of them.
struct Seat<'a>(&'a Shared);

impl<'a> Seat<'a> {
    fn take(shared: &'a Shared) -> Option<Self> {
        let seat = Self(shared);
        (shared.waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(seat)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn keyed_hash(key: &[u8; 16], what: &[u8], parts: &[&[u8]]) -> Key {
    let mut hasher = SipHasher24::new_with_key(key);
    for part in std::iter::once(&what).chain(parts) {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    let hash = hasher.finish128();
    (hash.h1, hash.h2)
}

/// Attempts that may wait for others at a time; past that they are refused, for a second.
const MAX_WAITING: usize = 256;

#[cfg(test)]
mod tests;
