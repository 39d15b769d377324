//! One thing to do, who waits for it, and how it is done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use argon2::Block;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{
    super::{
        hash::{HashParameters, PasswordHash},
        password::{LoginPassword, NewPassword, PasswordError},
    },
    Checked, PoolError, Shared,
};
use crate::trace::Here;

/// A task in the queue, or at a thread; at two, where the reserve has taken it over.
pub(super) struct Job {
    task: Task,
    pub(super) queued: Instant,
    /// Whether a thread has begun it.
    begun: AtomicBool,
    /// Where in a trace it was asked for.
    here: Option<Here>,
}

pub(super) enum Task {
    Choose(Zeroizing<String>, Vec<String>, Reply<Result<NewPassword, PasswordError>>),
    Hash(NewPassword, Reply<PasswordHash>),
    Check(LoginPassword, Option<PasswordHash>, Reply<Checked>),
}

/// The way back to who waits; of two answers the first counts.
pub(super) struct Reply<T>(Mutex<Option<oneshot::Sender<Result<T, PoolError>>>>);

impl<T> Reply<T> {
    pub(super) const fn new(sender: oneshot::Sender<Result<T, PoolError>>) -> Self {
        Self(Mutex::new(Some(sender)))
    }

    fn send(&self, result: Result<T, PoolError>) {
        if let Some(sender) = self.0.lock().take() {
            // The client may have gone meanwhile.
            let _ = sender.send(result);
        }
    }

    fn is_closed(&self) -> bool {
        self.0.lock().as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl Job {
    pub(super) fn new(task: Task) -> Arc<Self> {
        Arc::new(Self { task, queued: Instant::now(), begun: AtomicBool::new(false), here: Here::get() })
    }

    /// Whether nobody waits for the answer any more: the client has gone, or has it.
    pub(super) fn is_abandoned(&self) -> bool {
        match &self.task {
            Task::Choose(_, _, reply) => reply.is_closed(),
            Task::Hash(_, reply) => reply.is_closed(),
            Task::Check(_, _, reply) => reply.is_closed(),
        }
    }

    /// Does it; `done` is called before the answer is out, so that whoever has it finds room for the next job.
    pub(super) fn run(&self, shared: &Shared, memory: &mut Vec<Block>, done: impl FnOnce()) {
        shared.waits.observe(self.queued.elapsed());
        let counter = if self.begun.swap(true, Ordering::Relaxed) { &shared.taken_over } else { &shared.runs };
        let note = |name, begun| {
            if let Some(here) = &self.here {
                here.note(name, begun);
            }
        };
        note("wait for a thread", self.queued);
        let begun = Instant::now();
        let done = || {
            note("hash", begun);
            done();
        };
        match &self.task {
            Task::Choose(text, context, reply) => {
                let context: Vec<&str> = context.iter().map(String::as_str).collect();
                let result = NewPassword::choose(String::clone(text), &context);
                done();
                reply.send(Ok(result));
            }
            Task::Hash(password, reply) => {
                let result = hash(shared, counter, password, memory);
                done();
                reply.send(result);
            }
            Task::Check(password, against, reply) => {
                let result = check(shared, counter, password, against.as_ref(), memory);
                done();
                reply.send(result);
            }
        }
    }
}

fn check(
    shared: &Shared,
    counter: &AtomicU64,
    password: &LoginPassword,
    against: Option<&PasswordHash>,
    memory: &mut Vec<Block>,
) -> Result<Checked, PoolError> {
    let (LoginPassword::Usable(password), Some(hash)) = (password, against) else {
        // Any text will do: it is the cost that is wanted.
        return run(shared, counter, shared.settings.parameters, memory, |memory| {
            shared.decoy.matches(b"decoy", memory)
        })
        .map(|_| Checked::NotMatched);
    };
    let matched =
        run(shared, counter, hash.parameters(), memory, |memory| hash.matches(password.as_str().as_bytes(), memory))?;
    if !matched {
        return Ok(Checked::NotMatched);
    }
    let outdated = hash.needs_rehash(&shared.settings.parameters);
    Ok(Checked::Matched { rehash: outdated.then(|| NewPassword::proven(password.clone())) })
}

fn hash(
    shared: &Shared,
    counter: &AtomicU64,
    password: &NewPassword,
    memory: &mut Vec<Block>,
) -> Result<PasswordHash, PoolError> {
    let parameters = shared.settings.parameters;
    run(shared, counter, parameters, memory, |memory| {
        PasswordHash::make(password.as_bytes(), parameters, &shared.rng, memory)
    })
}

/// One Argon2 run, in the thread's own memory where that is enough.
///
/// The memory is not wiped after each run. It would cost some 4 % of a run, and what it holds helps to guess the
/// password hardly more than the stored hash does; it goes back to the system after a minute without work.
fn run<T>(
    shared: &Shared,
    counter: &AtomicU64,
    parameters: HashParameters,
    memory: &mut Vec<Block>,
    compute: impl FnOnce(&mut [Block]) -> Result<T, argon2::Error>,
) -> Result<T, PoolError> {
    let own = shared.settings.parameters.memory_kib();
    let (mut larger, _one_at_a_time);
    let memory = if parameters.memory_kib() > own {
        _one_at_a_time = shared.outsized.lock();
        larger = Vec::new();
        reserve(&mut larger, parameters.memory_kib())?;
        &mut larger
    } else {
        reserve(memory, own)?;
        memory
    };
    counter.fetch_add(1, Ordering::Relaxed);
    let (begun, on_processor) = (Instant::now(), processor_micros());
    let result = compute(memory);
    let took = begun.elapsed();
    shared.times.observe(took);
    for (average, micros) in [
        (&shared.average_micros, took.as_micros() as u64),
        (&shared.cost_micros, processor_micros().saturating_sub(on_processor)),
    ] {
        let before = average.load(Ordering::Relaxed);
        average.store(before - before / 8 + micros / 8, Ordering::Relaxed);
    }
    result.map_err(|error| {
        tracing::error!(%error, %parameters, "an Argon2 run failed");
        PoolError::Failed
    })
}

/// How long the calling thread has been on a processor.
fn processor_micros() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1000
}

fn reserve(memory: &mut Vec<Block>, blocks: u32) -> Result<(), PoolError> {
    let blocks = blocks as usize;
    memory.try_reserve_exact(blocks.saturating_sub(memory.len())).map_err(|_| PoolError::OutOfMemory)?;
    memory.resize(blocks, Block::new());
    Ok(())
}
