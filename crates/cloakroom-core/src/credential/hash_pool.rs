//! Where passwords are hashed: a few threads of low priority, each with one block of memory that it uses again and again,
//! behind a short queue.
//!
//! Hashing is slow on purpose, so a storm of logins must cost no more than this pool: threads × memory, nothing else waits
//! for it, and who finds the queue full is told when to come back. Every check costs one Argon2 run, whether there is an
//! account, a password, or neither. What a failed check means is decided elsewhere.

use std::{
    collections::VecDeque,
    fmt, io, mem,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use argon2::Block;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{
    hash::{HashParameters, PasswordHash},
    password::{LoginPassword, NewPassword, PasswordError},
};
use crate::random::Rng;

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
            state: Mutex::new(State { queue: VecDeque::with_capacity(settings.queue), running: 0, stopped: false }),
            work: Condvar::new(),
            outsized: Mutex::new(()),
            runs: AtomicU64::new(0),
            average_micros: AtomicU64::new(FIRST_ESTIMATE_MICROS),
        });
        let pool = Self { shared };
        for n in 0..settings.threads.get() {
            let shared = Arc::clone(&pool.shared);
            thread::Builder::new().name(format!("hash-{n}")).spawn(move || work(&shared))?;
        }
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
        self.submit(|reply| Job::Choose(text, context, reply)).await
    }

    /// Hashes a password for keeping, with the pool's parameters and a fresh salt.
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, PoolError> {
        self.submit(|reply| Job::Hash(password, reply)).await
    }

    /// Checks a password at the cost of one run. Where there is nothing to check `against` (no such account, no
    /// password, a stored hash that cannot be parsed), or the password is unusable, a decoy of the same cost is computed.
    ///
    /// A hash that was made with other parameters costs what those cost; after its owner's next login it no longer does.
    pub async fn check(&self, password: LoginPassword, against: Option<PasswordHash>) -> Result<Checked, PoolError> {
        self.submit(|reply| Job::Check(password, against, reply)).await
    }

    /// What new hashes cost.
    pub fn parameters(&self) -> HashParameters {
        self.shared.settings.parameters
    }

    /// Argon2 runs begun so far.
    pub fn runs(&self) -> u64 {
        self.shared.runs.load(Ordering::Relaxed)
    }

    /// Jobs that wait for a thread.
    pub fn queued(&self) -> usize {
        self.shared.state.lock().queue.len()
    }

    /// Jobs that a thread is at; never more than there are threads.
    pub fn running(&self) -> usize {
        self.shared.state.lock().running
    }

    async fn submit<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, PoolError> {
        let (reply, answer) = oneshot::channel();
        self.shared.enqueue(job(reply))?;
        answer.await.unwrap_or(Err(PoolError::Failed))
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.stopped = true;
        state.queue.clear();
        drop(state);
        self.shared.work.notify_all();
    }
}

/// How a [`HashPool`] is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolSettings {
    /// What new hashes cost.
    pub parameters: HashParameters,
    /// Threads, and so runs at a time; by default one for each core.
    pub threads: NonZeroUsize,
    /// Jobs that may wait; by default four for each thread, and 24 or more, so that a handful of people who sign in at
    /// the same moment do not notice.
    pub queue: usize,
    /// How much lower than the process's own priority the threads' is, in steps of `nice`. With the default of 10 a
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

type Reply<T> = oneshot::Sender<Result<T, PoolError>>;

enum Job {
    Choose(Zeroizing<String>, Vec<String>, Reply<Result<NewPassword, PasswordError>>),
    Hash(NewPassword, Reply<PasswordHash>),
    Check(LoginPassword, Option<PasswordHash>, Reply<Checked>),
}

impl Job {
    /// Whether nobody waits for the answer any more: the client has gone.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Choose(_, _, reply) => reply.is_closed(),
            Self::Hash(_, reply) => reply.is_closed(),
            Self::Check(_, _, reply) => reply.is_closed(),
        }
    }
}

struct Shared {
    settings: PoolSettings,
    decoy: PasswordHash,
    rng: Rng,
    state: Mutex<State>,
    work: Condvar,
    /// Held by the one thread that computes a stored hash larger than the pool's own: so such hashes, which come from
    /// imports and from times of other settings, raise the memory that all threads take by one hash at most.
    outsized: Mutex<()>,
    runs: AtomicU64,
    /// What a run takes, averaged over the last dozen or so.
    average_micros: AtomicU64,
}

struct State {
    queue: VecDeque<Job>,
    running: usize,
    stopped: bool,
}

impl Shared {
    fn enqueue(&self, job: Job) -> Result<(), PoolError> {
        let mut state = self.state.lock();
        if state.queue.len() >= self.settings.queue {
            state.queue.retain(|job| !job.is_abandoned());
        }
        // With a queue of no length at all a job may still go straight to a thread that has nothing to do.
        let idle = self.settings.threads.get().saturating_sub(state.running);
        if state.queue.len() >= self.settings.queue.max(idle) {
            return Err(PoolError::Overloaded { retry_after: self.retry_after(&state) });
        }
        state.queue.push_back(job);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// When all that is waiting now will be done, if nothing else comes.
    fn retry_after(&self, state: &State) -> Duration {
        let jobs = (state.queue.len() + state.running) as u64;
        let micros = self.average_micros.load(Ordering::Relaxed).saturating_mul(jobs);
        Duration::from_micros(micros / self.settings.threads.get() as u64).max(Duration::from_secs(1))
    }

    /// The next job that somebody waits for; `None` when the pool has stopped. The caller is then counted as running,
    /// until the answer is dropped.
    fn next(&self, memory: &mut Vec<Block>) -> Option<(Job, Running<'_>)> {
        let mut state = self.state.lock();
        while !state.stopped {
            match state.queue.pop_front() {
                Some(job) if job.is_abandoned() => {}
                Some(job) => {
                    state.running += 1;
                    return Some((job, Running(self)));
                }
                None if memory.is_empty() => self.work.wait(&mut state),
                None => {
                    if self.work.wait_for(&mut state, IDLE).timed_out() {
                        MutexGuard::unlocked(&mut state, || drop(mem::take(memory)));
                    }
                }
            }
        }
        None
    }

    fn check(
        &self,
        password: LoginPassword,
        against: Option<PasswordHash>,
        memory: &mut Vec<Block>,
    ) -> Result<Checked, PoolError> {
        let (LoginPassword::Usable(password), Some(hash)) = (password, against) else {
            // Any text will do: it is the cost that is wanted.
            return self
                .run(self.settings.parameters, memory, |memory| self.decoy.matches(b"decoy", memory))
                .map(|_| Checked::NotMatched);
        };
        let matched =
            self.run(hash.parameters(), memory, |memory| hash.matches(password.as_str().as_bytes(), memory))?;
        if !matched {
            return Ok(Checked::NotMatched);
        }
        let outdated = hash.needs_rehash(&self.settings.parameters);
        Ok(Checked::Matched { rehash: outdated.then(|| NewPassword::proven(password)) })
    }

    fn hash(&self, password: &NewPassword, memory: &mut Vec<Block>) -> Result<PasswordHash, PoolError> {
        let parameters = self.settings.parameters;
        self.run(parameters, memory, |memory| PasswordHash::make(password.as_bytes(), parameters, &self.rng, memory))
    }

    /// One Argon2 run, in the thread's own memory where that is enough.
    ///
    /// The memory is not wiped after each run. It would cost some 4 % of a run, and what it holds helps to guess the
    /// password hardly more than the stored hash does; it goes back to the system after a minute without work.
    fn run<T>(
        &self,
        parameters: HashParameters,
        memory: &mut Vec<Block>,
        compute: impl FnOnce(&mut [Block]) -> Result<T, argon2::Error>,
    ) -> Result<T, PoolError> {
        let own = self.settings.parameters.memory_kib();
        let (mut larger, _one_at_a_time);
        let memory = if parameters.memory_kib() > own {
            _one_at_a_time = self.outsized.lock();
            larger = Vec::new();
            reserve(&mut larger, parameters.memory_kib())?;
            &mut larger
        } else {
            reserve(memory, own)?;
            memory
        };
        self.runs.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let result = compute(memory);
        let micros = begun.elapsed().as_micros() as u64;
        let average = self.average_micros.load(Ordering::Relaxed);
        self.average_micros.store(average - average / 8 + micros / 8, Ordering::Relaxed);
        result.map_err(|error| {
            tracing::error!(%error, %parameters, "an Argon2 run failed");
            PoolError::Failed
        })
    }
}

/// A thread that is at a job, until dropped.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
    }
}

/// One thread's life.
fn work(shared: &Shared) {
    // On Linux this is the thread's own niceness, not that of the process.
    if let Err(error) = rustix::process::nice(shared.settings.niceness) {
        tracing::warn!(%error, "password hashing runs at normal priority: it could not be lowered");
    }
    let mut memory = Vec::new();
    while let Some((job, running)) = shared.next(&mut memory) {
        let done = catch_unwind(AssertUnwindSafe(|| {
            // The thread is free before the answer is out, so that whoever has it finds room for the next job.
            match job {
                Job::Choose(mut text, context, reply) => {
                    let context: Vec<&str> = context.iter().map(String::as_str).collect();
                    let result = NewPassword::choose(mem::take(&mut text), &context);
                    drop(running);
                    let _ = reply.send(Ok(result));
                }
                Job::Hash(password, reply) => {
                    let result = shared.hash(&password, &mut memory);
                    drop(running);
                    // The client may have gone meanwhile.
                    let _ = reply.send(result);
                }
                Job::Check(password, against, reply) => {
                    let result = shared.check(password, against, &mut memory);
                    drop(running);
                    let _ = reply.send(result);
                }
            }
        }));
        if done.is_err() {
            tracing::error!("hashing a password panicked");
        }
    }
}

fn reserve(memory: &mut Vec<Block>, blocks: u32) -> Result<(), PoolError> {
    let blocks = blocks as usize;
    memory.try_reserve_exact(blocks.saturating_sub(memory.len())).map_err(|_| PoolError::OutOfMemory)?;
    memory.resize(blocks, Block::new());
    Ok(())
}

/// How long a thread without work keeps its memory.
const IDLE: Duration = Duration::from_mins(1);

/// What a run is taken to cost before the first has been measured.
const FIRST_ESTIMATE_MICROS: u64 = 250_000;

#[cfg(test)]
mod tests;
