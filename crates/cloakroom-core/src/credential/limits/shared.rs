//! Counts in the store that several servers share (F119): what the store does for it, and what each server does.
//!
//! A token is taken by one statement, before the password is looked at; what became of it is written behind the answer, many
//! at once. A server that vanishes in between has spent its tokens, and others wait for its word no longer than [`UNDECIDED`].

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{Mutex, Notify, mpsc};

use super::{Counted, Empty, LimitKind, LimitSettings, Outcome, Rate};
use crate::{
    clock::{Boot, Clock, Timestamp},
    store::StoreError,
    tasks::{self, Over, Pulse},
};

/// How long a token can be undecided: an attempt takes no longer, but for its server's death.
pub const UNDECIDED: Duration = Duration::from_secs(10);
/// The most attempts that wait to be written as settled; a token past that comes back by itself, with time.
const QUEUE: usize = 4096;
/// The most of them in one statement.
const BATCH: usize = 256;
/// How long one statement may take; the store has shorter limits of its own.
const PATIENCE: Duration = Duration::from_secs(60);
/// Buckets that keys without room of their own share, of each limit.
const SHARES: u8 = 16;

/// Buckets of tokens, kept in a store for all servers that share it. Nothing in them needs to outlive the store's crash.
///
/// A bucket is a moment: when it will be full again. A full one says nothing, and need not be kept. Moments are the store's own
/// (`at` is `None`), so that no server's clock lends or takes time from others; tests give theirs.
#[async_trait]
pub trait SharedLimits: Send + Sync + 'static {
    /// Takes a token of the first bucket, and if it had one, also of the other. Atomic for each bucket, whoever else takes.
    async fn take(&self, first: &Bucket, then: Option<&Bucket>, at: Option<Timestamp>) -> Result<Taken, StoreError>;

    /// Notes that so many tokens of each bucket are decided, and that they are back by so much time earlier. No bucket
    /// stands in the list twice.
    async fn settle(&self, settled: &[(BucketKey, u32, Duration)]) -> Result<(), StoreError>;

    /// Forgets at most `limit` buckets that are full at this moment, and whose tokens are decided.
    async fn sweep(&self, at: Option<Timestamp>, limit: usize) -> Result<Swept, StoreError>;
}

/// A bucket to take a token from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Which.
    pub key: BucketKey,
    /// Which one to take where there is none of that key yet: the same, or one that many share because there are too many.
    pub instead: BucketKey,
    /// How fast it fills.
    pub rate: Rate,
}

/// The name of a bucket: its limit, and 128 bits of a keyed hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BucketKey([u8; 17]);

impl BucketKey {
    /// The bucket of a hash under a limit.
    pub fn new(limit: LimitKind, hash: [u8; 16]) -> Self {
        let mut key = [0; 17];
        key[0] = code(limit);
        key[1..].copy_from_slice(&hash);
        Self(key)
    }

    /// The bucket that this one shares with others where there is no room.
    #[must_use]
    pub fn coarse(self) -> Self {
        let mut key = [0; 17];
        (key[0], key[1]) = (self.0[0], self.0[1] % SHARES);
        Self(key)
    }

    /// Its bytes; no two limits have one in common, and the first byte is the limit's number.
    pub const fn bytes(&self) -> &[u8; 17] {
        &self.0
    }

    /// From bytes that a store held.
    pub const fn from_bytes(bytes: [u8; 17]) -> Self {
        Self(bytes)
    }
}

/// A token that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedToken {
    /// From which bucket.
    pub key: BucketKey,
    /// How long until it would be back by itself, at the latest.
    pub back: Duration,
}

/// What [`SharedLimits::take`] took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Of the first bucket.
    pub first: Result<SharedToken, Empty>,
    /// Of the other one; `None`: there is none, or the first was empty.
    pub then: Option<Result<SharedToken, Empty>>,
}

/// What a sweep did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// How many buckets it removed.
    pub removed: usize,
    /// How many are left, by the number of the limit.
    pub left: Vec<(u8, u64)>,
}

const fn code(limit: LimitKind) -> u8 {
    limit as u8 + 1
}

/// One server's way to the shared counts.
pub(super) struct Shared {
    store: Arc<dyn SharedLimits>,
    settings: LimitSettings,
    clock: Clock,
    /// How many more buckets of each limit this server may make until the next sweep has counted them.
    room: [AtomicI64; 4],
    settling: mpsc::Sender<(Tokens, Outcome)>,
}

/// What an attempt has taken.
pub(super) struct Tokens {
    held: [Option<(SharedToken, Duration)>; 2],
    taken: Boot,
}

impl Shared {
    pub(super) fn start(
        store: Arc<dyn SharedLimits>,
        settings: LimitSettings,
        clock: Clock,
        settled: Arc<Notify>,
    ) -> Arc<Self> {
        let (settling, queue) = mpsc::channel(QUEUE);
        let (writes, ticks, queue) = (Arc::clone(&store), clock.clone(), Arc::new(Mutex::new(queue)));
        let life =
            move |pulse| settle(Arc::clone(&writes), ticks.clone(), Arc::clone(&queue), Arc::clone(&settled), pulse);
        tasks::keep("limits", PATIENCE, life).detach();
        let room = LimitKind::ALL.map(|_| AtomicI64::new(number(settings.capacity as u64)));
        Arc::new(Self { store, settings, clock, room, settling })
    }

    /// A token of each limit, or of none.
    pub(super) async fn take(
        &self,
        first: Counted,
        then: Option<Counted>,
    ) -> Result<Result<Tokens, (LimitKind, Empty)>, StoreError> {
        let (other, taken_at) = (then.map(|counted| self.bucket(counted)), self.clock.boot());
        let taken = self.store.take(&self.bucket(first), other.as_ref(), self.clock.by_hand()).await?;
        let tokens = |held| Tokens { held, taken: taken_at };
        let held = |counted: Counted, token: SharedToken| {
            self.room[counted.limit as usize].fetch_sub(1, Ordering::Relaxed);
            Some((token, self.settings.rate(counted.limit).every()))
        };
        let of_first = match taken.first {
            Ok(token) => held(first, token),
            Err(empty) => return Ok(Err((first.limit, empty))),
        };
        match then.zip(taken.then) {
            None => Ok(Ok(tokens([of_first, None]))),
            Some((then, Ok(token))) => Ok(Ok(tokens([of_first, held(then, token)]))),
            Some((then, Err(empty))) => {
                self.settle(tokens([of_first, None]), Outcome::GivenBack);
                Ok(Err((then.limit, empty)))
            }
        }
    }

    /// Has it written behind the answer.
    pub(super) fn settle(&self, tokens: Tokens, outcome: Outcome) {
        if self.settling.try_send((tokens, outcome)).is_err() {
            tracing::debug!("an attempt is not settled: the store does not keep up");
        }
    }

    pub(super) async fn sweep(&self, limit: usize) -> Result<usize, StoreError> {
        let swept = self.store.sweep(self.clock.by_hand(), limit).await?;
        for (limit, room) in LimitKind::ALL.into_iter().zip(&self.room) {
            let left = swept.left.iter().find(|(number, _)| *number == code(limit)).map_or(0, |(_, left)| *left);
            room.store(number(self.settings.capacity as u64) - number(left), Ordering::Relaxed);
        }
        Ok(swept.removed)
    }

    fn bucket(&self, counted: Counted) -> Bucket {
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&counted.key.0.to_be_bytes());
        hash[8..].copy_from_slice(&counted.key.1.to_be_bytes());
        let key = BucketKey::new(counted.limit, hash);
        let is_room = self.room[counted.limit as usize].load(Ordering::Relaxed) > 0;
        Bucket { key, instead: if is_room { key } else { key.coarse() }, rate: self.settings.rate(counted.limit) }
    }
}

/// Writes what became of attempts, for as long as anybody can make one.
async fn settle(
    store: Arc<dyn SharedLimits>,
    clock: Clock,
    queue: Arc<Mutex<mpsc::Receiver<(Tokens, Outcome)>>>,
    settled: Arc<Notify>,
    pulse: Pulse,
) -> Over {
    let mut queue = queue.lock().await;
    let mut attempts = Vec::new();
    while queue.recv_many(&mut attempts, BATCH).await > 0 {
        let now = clock.boot();
        let mut buckets = BTreeMap::<BucketKey, (u32, Duration)>::new();
        for (tokens, outcome) in attempts.drain(..) {
            for (token, every) in tokens.held.into_iter().flatten() {
                let (decided, earlier) = buckets.entry(token.key).or_default();
                *decided += 1;
                if outcome == Outcome::GivenBack {
                    // No more than is still missing of it: the rest has come back by itself, and may be another's by now.
                    *earlier += every.min(token.back.saturating_sub(now.since(tokens.taken)));
                }
            }
        }
        let list: Vec<_> = buckets.into_iter().map(|(key, (decided, earlier))| (key, decided, earlier)).collect();
        if let Err(error) = pulse.round(store.settle(&list)).await {
            tracing::warn!(%error, attempts = list.len(), "attempts to sign in could not be settled; they count as wrong");
        }
        settled.notify_waiters();
    }
    Over
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
