//! The lives of the pool's threads, and what they are to the scheduler.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use argon2::Block;
use parking_lot::MutexGuard;

use super::{Shared, job::Job, queue::Due};
use crate::tasks::Pulse;

/// A thread's life: job after job, behind everything else that the machine has to do.
pub(super) fn work(shared: &Shared, pulse: &Pulse) {
    if !give_way() {
        lower(shared.settings.niceness);
    }
    let mut memory = Vec::new();
    while let Some(job) = next(shared, &mut memory) {
        let running = Running { shared, job: &job };
        guarded(pulse, || job.run(shared, &mut memory, || drop(running)));
    }
}

/// The reserve's life: it sleeps unless a job stands still, which on a machine with a processor to spare none does.
pub(super) fn reserve(shared: &Shared, pulse: &Pulse) {
    lower(shared.settings.niceness);
    let mut memory = Vec::new();
    let mut state = shared.state.lock();
    while !state.stopped {
        match state.due(Instant::now(), shared.patience(), shared.settings.threads.get()) {
            Due::Now(job) => {
                MutexGuard::unlocked(&mut state, || guarded(pulse, || job.run(shared, &mut memory, || ())));
            }
            // What came meanwhile is looked at before it sleeps.
            _ if !memory.is_empty() => MutexGuard::unlocked(&mut state, || drop(mem::take(&mut memory))),
            Due::Later(then) => {
                shared.waiting.wait_until(&mut state, then);
            }
            Due::Never => shared.waiting.wait(&mut state),
        }
    }
}

/// The next job; `None` when the pool has stopped.
fn next(shared: &Shared, memory: &mut Vec<Block>) -> Option<Arc<Job>> {
    let mut state = shared.state.lock();
    while !state.stopped {
        match state.begin() {
            Some(job) => return Some(job),
            None if memory.is_empty() => shared.work.wait(&mut state),
            None => {
                if shared.work.wait_for(&mut state, IDLE).timed_out() {
                    MutexGuard::unlocked(&mut state, || drop(mem::take(memory)));
                }
            }
        }
    }
    None
}

/// A job that a thread is at, until dropped.
struct Running<'a> {
    shared: &'a Shared,
    job: &'a Arc<Job>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.state.lock().end(self.job);
    }
}

fn guarded(pulse: &Pulse, job: impl FnOnce()) {
    let round = pulse.begin();
    if catch_unwind(AssertUnwindSafe(job)).is_err() {
        tracing::error!("hashing a password panicked");
    }
    round.done();
}

/// Leaves every processor to whoever else wants it: a thread of ordinary priority that wakes takes it at once, where from
/// one that is only `nice` it would wait for the end of a slice of some milliseconds (`SCHED_IDLE`, sched(7)).
#[cfg(target_os = "linux")]
fn give_way() -> bool {
    use thread_priority::{
        NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy::Normal, set_thread_priority_and_policy,
        thread_native_id, thread_schedule_policy,
    };

    // It may fail to set the niceness, which has no meaning under this policy.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, Normal(Idle));
    matches!(thread_schedule_policy(), Ok(Normal(Idle)))
}

#[cfg(not(target_os = "linux"))]
fn give_way() -> bool {
    false
}

/// On Linux this is the thread's own niceness, not that of the process.
fn lower(niceness: i32) {
    if let Err(error) = rustix::process::nice(niceness) {
        tracing::warn!(%error, "password hashing runs at normal priority: it could not be lowered");
    }
}

/// How long a thread without work keeps its memory.
const IDLE: Duration = Duration::from_mins(1);
