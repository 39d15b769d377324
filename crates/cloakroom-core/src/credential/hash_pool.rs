//! Where passwords are hashed: a few threads that give way to everything else, each with one block of memory that it uses
//! again and again, behind a short queue.
//!
//! Hashing is slow on purpose, so a storm of logins must cost no more than this pool: threads × memory, nothing else waits
//! for it, and who finds the queue full is told when to come back. Every check costs one Argon2 run, whether there is an
//! account, a password, or neither. What a failed check means is decided elsewhere.
//!
//! On a machine whose processors are all busy with something else such threads stand still. A [reserve](threads::reserve),
//! one thread more that competes with the others, takes over what has stood still for too long: so logins become slow
//! then, but do not stop.

mod job;
mod queue;
mod threads;

use std::{
    fmt, io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use self::{
    job::{Reply, Task},
    queue::State,
};
use super::{
    hash::{HashParameters, PasswordHash},
    password::{LoginPassword, NewPassword, PasswordError},
};
use crate::{
    random::Rng,
    tally::{TimeCounts, Times},
    tasks::{self, Pulse},
};

/// The pool; when it is dropped, what is queued is given up and its threads end.
pub struct HashPool {
    shared: Arc<Shared>,
}

impl HashPool {
    /// Starts the threads. Their memory is taken when first needed, and given back after a minute without work.
    pub fn start(settings: PoolSettings, rng: Rng) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            decoy: PasswordHash::decoy(settings.parameters, &rng),
            rng,
            settings,
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            waiting: Condvar::new(),
            outsized: Mutex::new(()),
            runs: AtomicU64::new(0),
            taken_over: AtomicU64::new(0),
            waits: Times::default(),
            times: Times::default(),
            average_micros: AtomicU64::new(FIRST_ESTIMATE_MICROS),
            cost_micros: AtomicU64::new(FIRST_ESTIMATE_MICROS),
        });
        let pool = Self { shared };
        for n in 0..settings.threads.get() {
            pool.begin("hash", Some(n), threads::work)?;
        }
        pool.begin("hash-reserve", None, threads::reserve)?;
        Ok(pool)
    }

    /// Judges a password that somebody chooses, as [`NewPassword::choose`] does, but on the pool: the estimate of a
    /// contrived one takes some tens of milliseconds.
    pub async fn choose(
        &self,
        text: String,
        context: Vec<String>,
    ) -> Result<Result<NewPassword, PasswordError>, PoolError> {
        let text = Zeroizing::new(text);
        self.submit(|reply| Task::Choose(text, context, reply)).await
    }

    /// Hashes a password for keeping, with the pool's parameters and a fresh salt.
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, PoolError> {
        self.submit(|reply| Task::Hash(password, reply)).await
    }

    /// Checks a password at the cost of one run. Where there is nothing to check `against` (no such account, no
    /// password, a stored hash that cannot be parsed), or the password is unusable, a decoy of the same cost is computed.
    ///
    /// A hash that was made with other parameters costs what those cost; after its owner's next login it no longer does.
    pub async fn check(&self, password: LoginPassword, against: Option<PasswordHash>) -> Result<Checked, PoolError> {
        self.submit(|reply| Task::Check(password, against, reply)).await
    }

    /// What new hashes cost.
    pub fn parameters(&self) -> HashParameters {
        self.shared.settings.parameters
    }

    /// Argon2 runs begun so far, but for those that did a job [again](Self::taken_over).
    pub fn runs(&self) -> u64 {
        self.shared.runs.load(Ordering::Relaxed)
    }

    /// Argon2 runs of jobs that another thread had begun and stood still at.
    pub fn taken_over(&self) -> u64 {
        self.shared.taken_over.load(Ordering::Relaxed)
    }

    /// How long jobs waited for a thread.
    pub fn waits(&self) -> TimeCounts {
        self.shared.waits.counts()
    }

    /// How long runs took, by the clock.
    pub fn times(&self) -> TimeCounts {
        self.shared.times.counts()
    }

    /// Jobs that wait for a thread.
    pub fn queued(&self) -> usize {
        self.shared.state.lock().queued()
    }

    /// Jobs that a thread is at; never more than there are threads, but for one that the reserve may be at.
    pub fn running(&self) -> usize {
        self.shared.state.lock().running()
    }

    async fn submit<T>(&self, task: impl FnOnce(Reply<T>) -> Task) -> Result<T, PoolError> {
        let (reply, answer) = oneshot::channel();
        self.shared.enqueue(task(Reply::new(reply)))?;
        answer.await.unwrap_or(Err(PoolError::Failed))
    }

    fn begin(&self, name: &'static str, number: Option<usize>, life: fn(&Shared, &Pulse)) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        tasks::thread(name, number, ROUND, move |pulse| life(&shared, pulse)).map(|_| ())
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.state.lock().stop();
        self.shared.work.notify_all();
        self.shared.waiting.notify_all();
    }
}

/// How a [`HashPool`] is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolSettings {
    /// What new hashes cost.
    pub parameters: HashParameters,
    /// Threads, and so runs at a time; by default one for each core.
    pub threads: NonZeroUsize,
    /// Jobs that may wait, besides one for each thread that is free; by default four for each thread, and 24 or more, so that a handful of people who sign in at
    /// the same moment do not notice.
    pub queue: usize,
    /// How long a job may stand still before the reserve takes it over: by default a second, and never less than four
    /// times what a run costs.
    pub patience: Duration,
    /// How much lower than the process's own priority the reserve's is, in steps of `nice`. With the default of 10 a
    /// thread that has something else to do gets a core nine times as readily.
    pub niceness: i32,
}

impl Default for PoolSettings {
    fn default() -> Self {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            parameters: HashParameters::DEFAULT,
            threads,
            queue: threads.get().saturating_mul(4).max(24),
            patience: Duration::from_secs(1),
            niceness: 10,
        }
    }
}

/// What checking a password has shown.
#[derive(Clone, Debug)]
#[must_use]
pub enum Checked {
    /// It is the account's password.
    Matched {
        /// The password to [hash](HashPool::hash) and keep anew, where its hash was made otherwise than it would be now.
        rehash: Option<NewPassword>,
    },
    /// It is not, or there is nothing that it could be.
    NotMatched,
}

impl Checked {
    /// Whether it is the account's password.
    pub const fn is_match(&self) -> bool {
        matches!(self, Self::Matched { .. })
    }
}

/// Why nothing was hashed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The queue is full. The client may come back.
    #[error("too many passwords are waiting to be hashed; again in {} s", retry_after.as_secs())]
    Overloaded {
        /// When there will probably be room: a second or more.
        retry_after: Duration,
    },
    /// The memory for a run is not to be had: the pool is configured for more than the machine gives.
    #[error("there is no memory to hash a password in")]
    OutOfMemory,
    /// The run failed, or the pool is gone.
    #[error("the password could not be hashed")]
    Failed,
}

struct Shared {
    settings: PoolSettings,
    decoy: PasswordHash,
    rng: Rng,
    state: Mutex<State>,
    /// There is something to do for a thread.
    work: Condvar,
    /// There is something that may come to stand still.
    waiting: Condvar,
    /// Held by the one thread that computes a stored hash larger than the pool's own: so such hashes, which come from
    /// imports and from times of other settings, raise the memory that all threads take by one hash at most.
    outsized: Mutex<()>,
    runs: AtomicU64,
    taken_over: AtomicU64,
    waits: Times,
    times: Times,
    /// What a run takes by the clock, averaged over the last dozen or so.
    average_micros: AtomicU64,
    /// The same in time on a processor.
    cost_micros: AtomicU64,
}

impl Shared {
    fn enqueue(&self, task: Task) -> Result<(), PoolError> {
        let (threads, room) = (self.settings.threads.get(), self.settings.queue);
        let mut state = self.state.lock();
        let must_watch = state.push(task, threads, room).map_err(|jobs| {
            let micros = self.average_micros.load(Ordering::Relaxed).saturating_mul(jobs as u64);
            // When all that is waiting now will be done, if nothing else comes.
            let retry_after = Duration::from_micros(micros / threads as u64).max(Duration::from_secs(1));
            PoolError::Overloaded { retry_after }
        })?;
        drop(state);
        self.work.notify_one();
        if must_watch {
            self.waiting.notify_one();
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        let cost = Duration::from_micros(self.cost_micros.load(Ordering::Relaxed));
        self.settings.patience.max(cost.saturating_mul(4))
    }
}

/// How long one job may take before its thread counts as standing still; on a busy machine threads of low priority wait long.
const ROUND: Duration = Duration::from_secs(300);
/// What a run is taken to cost before the first has been measured.
const FIRST_ESTIMATE_MICROS: u64 = 250_000;

#[cfg(test)]
mod tests;
