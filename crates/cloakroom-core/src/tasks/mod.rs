//! Everything that runs beside the requests, and the only way to start it: nothing there dies or stands still unseen.
//!
//! A task that is [kept](keep) is started again when it panics, after a pause that grows. One that keeps failing, or whose
//! round takes longer than it may, is [ailing], which turns `/readyz`. Work that is done [once] is told in log and metric
//! when it panics. A [thread] is kept as a task is. `clippy.toml` forbids the runtime's own ways to start something, so that
//! the next task cannot go around this.
//!
//! The book of tasks is the process's, as its log and its metrics are: starting a task needs nothing at hand.

mod state;
#[cfg(test)]
mod tests;

use std::{any::Any, io, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use self::state::State;
pub use self::state::{Ailing, Pulse, Round, ailing, failures};

/// What a kept task answers when it has nothing more to do. A task without an end never answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Over;

/// A kept task; it ends when this is dropped.
#[must_use = "the task ends when this is dropped"]
#[derive(Debug)]
pub struct Kept(Option<JoinHandle<()>>);

impl Kept {
    /// Lets it go on until it is [over](Over) by itself.
    pub fn detach(mut self) {
        self.0 = None;
    }

    /// Waits until it is over by itself.
    pub async fn over(mut self) {
        self.wait().await;
    }

    /// Ends it, and waits until it has ended.
    pub async fn stop(mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
        self.wait().await;
    }

    async fn wait(&mut self) {
        if let Some(task) = &mut self.0 {
            // It ends by itself or by `abort`: a panic of the task it keeps does not come this far.
            let _ = task.await;
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Starts a task and keeps it running: `life` is called again whenever what it made has panicked.
///
/// `patience`: how long one [round](Pulse::round) of it may take before it counts as standing still.
///
/// # Panics
/// Outside a Tokio runtime.
#[expect(clippy::disallowed_methods, reason = "this is where tasks are started")]
pub fn keep<F>(name: &'static str, patience: Duration, life: impl Fn(Pulse) -> F + Send + Sync + 'static) -> Kept
where
    F: Future<Output = Over> + Send + 'static,
{
    let state = State::enter(name, patience);
    Kept(Some(tokio::spawn(async move {
        loop {
            let lived = AssertUnwindSafe(async { life(Pulse::of(&state)).await }).catch_unwind().await;
            let Err(panic) = lived else { return };
            tokio::time::sleep(died(&state, panic.as_ref())).await;
        }
    })))
}

/// Starts a task that does `work` every `period`, first after one; and keeps it running.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn every<F>(
    name: &'static str,
    [period, patience]: [Duration; 2],
    work: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> Kept
where
    F: Future<Output = ()> + Send + 'static,
{
    keep(name, patience, move |pulse| {
        let work = work.clone();
        async move {
            loop {
                tokio::time::sleep(period).await;
                pulse.round(work()).await;
            }
        }
    })
}

/// Does something in a task of its own, which nobody needs to wait for.
///
/// # Panics
/// Outside a Tokio runtime.
#[expect(clippy::disallowed_methods, reason = "this is where tasks are started")]
pub fn once<T: Send + 'static>(name: &'static str, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(guarded(name, work))
}

/// Work for a task that is started elsewhere, as in a set of tasks: its panic is told, and goes on to whoever waits.
pub async fn guarded<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done,
        Err(panic) => {
            state::count(name);
            tracing::error!(task = name, panic = told(panic.as_ref()), "a task died");
            std::panic::resume_unwind(panic)
        }
    }
}

/// Starts a thread and keeps it running: `life` is called again whenever it has panicked. `number` tells threads of one
/// name apart.
///
/// # Errors
/// As the system's.
#[expect(clippy::disallowed_methods, reason = "this is where threads are started")]
pub fn thread(
    name: &'static str,
    number: Option<usize>,
    patience: Duration,
    mut life: impl FnMut(&Pulse) + Send + 'static,
) -> io::Result<std::thread::JoinHandle<()>> {
    let state = State::enter(name, patience);
    let full_name = number.map_or_else(|| name.to_owned(), |number| format!("{name}-{number}"));
    std::thread::Builder::new().name(full_name).spawn(move || {
        let pulse = Pulse::of(&state);
        while let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| life(&pulse))) {
            std::thread::sleep(died(&state, panic.as_ref()));
        }
    })
}

/// Notes that a task died; how long it rests.
fn died(state: &Arc<State>, panic: &(dyn Any + Send)) -> Duration {
    let row = state.died();
    let pause = pause_after(row);
    tracing::error!(
        task = state.name,
        panic = told(panic),
        times_in_a_row = row,
        again_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        "a background task died and is started again"
    );
    pause
}

/// How long a task rests that has died so often in a row.
fn pause_after(row: u32) -> Duration {
    PAUSES.0.saturating_mul(1 << row.saturating_sub(1).min(10)).min(PAUSES.1)
}

/// What a panic says.
fn told(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it said nothing")
}

/// How long a task that died rests: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
