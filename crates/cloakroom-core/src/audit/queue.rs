//! Audit lines on their way to the store, so that no answer waits for them.
//!
//! A bounded queue, written in batches by a task in the background. A line that comes alone is written at once; those that
//! come soon after it gather for a moment, because a commit costs as much as many lines. While the store fails the batch is
//! kept and tried again. A batch that the store refuses for good is split until the line that it does not take is alone:
//! that one is dropped, counted and told, and what stands behind it goes on. When the queue is full further lines are dropped, counted and told to the program's log: a store
//! that is down must not stop a sign-out, and memory is bounded.

use std::{
    collections::VecDeque,
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{Event, Kind};
use crate::{
    store::{AccountStore, StoreError},
    tally::Tally,
    tasks::{self, Over, Pulse},
};

/// The most lines that wait.
const CAPACITY: usize = 8192;
/// The most lines of one write.
const BATCH: usize = 256;
/// How long the task rests after a write, unless enough lines for another have come, or somebody waits for them.
const REST: Duration = Duration::from_millis(50);
/// How long the task waits after a failure: at first, and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How long a write may take: at first, and at most once it has taken too long.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
/// How long [`AuditQueue::flush`] waits.
const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// The way to the audit log. What has not been [flushed](Self::flush) when it is dropped is lost.
pub struct AuditQueue {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn AccountStore>,
    waiting: Mutex<Waiting>,
    /// There is a line.
    wake: Arc<Notify>,
    /// It is time for the next write.
    hurry: Arc<Notify>,
    /// Of how many of the pushed lines the fate is known: they are written, but for those that were refused.
    written: watch::Sender<u64>,
    dropped: AtomicU64,
    refused: AtomicU64,
    kinds: Tally<Kind>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Event>,
    /// How many lines were ever taken in.
    pushed: u64,
    /// How many of them somebody waits for.
    awaited: u64,
}

impl Waiting {
    /// Whether the next write should not wait for more lines.
    fn is_enough(&self) -> bool {
        self.lines.len() >= BATCH || self.awaited > self.pushed - self.lines.len() as u64
    }
}

impl AuditQueue {
    /// A queue in front of a store.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn new(store: Arc<dyn AccountStore>) -> Self {
        let (wake, hurry) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let shared = Arc::new(Shared {
            store,
            waiting: Mutex::default(),
            wake: Arc::clone(&wake),
            hurry: Arc::clone(&hurry),
            written: watch::Sender::new(0),
            dropped: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            kinds: Tally::default(),
        });
        let queue = Arc::downgrade(&shared);
        let life = move |pulse| write(Weak::clone(&queue), Arc::clone(&wake), Arc::clone(&hurry), pulse);
        tasks::keep("audit", PATIENCE.0 + BACK_OFF.1, life).detach();
        Self { shared }
    }

    /// Takes a line in. Never waits; when the queue is full the line is dropped.
    pub fn push(&self, event: Event) {
        self.shared.kinds.add(event.kind);
        {
            let mut waiting = self.shared.waiting.lock();
            if waiting.lines.len() < CAPACITY {
                waiting.lines.push_back(event);
                waiting.pushed += 1;
                let enough = waiting.lines.len() == BATCH;
                drop(waiting);
                self.shared.wake.notify_one();
                if enough {
                    self.shared.hurry.notify_one();
                }
                return;
            }
        }
        let dropped = self.shared.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        // At each doubling: a flood of lines must not become a flood of messages about them.
        if dropped.is_power_of_two() {
            tracing::error!(dropped, kind = event.kind.as_str(), "the audit queue is full and lines are dropped");
        }
    }

    /// How many lines were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// How many lines the store has refused for good.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// How many lines have been taken in and are not written yet.
    pub fn waiting(&self) -> u64 {
        let pushed = self.shared.waiting.lock().pushed;
        pushed - *self.shared.written.borrow()
    }

    /// How often what happened, the lines that were dropped too.
    pub fn kinds(&self) -> Vec<(Kind, u64)> {
        self.shared.kinds.counts()
    }

    /// Waits until what was pushed so far is written; gives up, and logs it, when the store fails for 10 s.
    pub async fn flush(&self) {
        if !self.settle(FLUSH_PATIENCE).await {
            tracing::error!(lines = self.waiting(), "audit lines could not be written");
        }
    }

    /// Waits until what was pushed so far is written, for so long at most; whether it is.
    pub async fn settle(&self, patience: Duration) -> bool {
        let pushed = {
            let mut waiting = self.shared.waiting.lock();
            waiting.awaited = waiting.pushed;
            waiting.pushed
        };
        let mut written = self.shared.written.subscribe();
        self.shared.hurry.notify_one();
        timeout(patience, written.wait_for(|written| *written >= pushed)).await.is_ok()
    }
}

impl Drop for AuditQueue {
    fn drop(&mut self) {
        // The task finds nobody there any more, and ends.
        self.shared.wake.notify_one();
        self.shared.hurry.notify_one();
    }
}

impl fmt::Debug for AuditQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditQueue({} waiting)", self.waiting())
    }
}

/// The task. It holds the store only while it writes: a queue that is dropped lets go of it.
///
/// A line stays at the front of the queue until its fate is known, so that a death of this task loses none.
async fn write(shared: Weak<Shared>, wake: Arc<Notify>, hurry: Arc<Notify>, pulse: Pulse) -> Over {
    let (mut most, mut patience, mut back_off) = (BATCH, PATIENCE.0, BACK_OFF.0);
    loop {
        let Some(queue) = shared.upgrade() else { return Over };
        let batch = queue.next(most);
        if batch.is_empty() {
            drop(queue);
            wake.notified().await;
            continue;
        }
        match pulse.round(queue.store(&batch, patience)).await {
            Ok(()) => {
                (patience, back_off) = (PATIENCE.0, BACK_OFF.0);
                most = (most * 2).min(BATCH);
                let enough = queue.settled(batch.len());
                drop(queue);
                if !enough {
                    let _ = timeout(REST, hurry.notified()).await;
                }
            }
            // It is one of these lines, and all that the others have to do with it is their place in the queue.
            Err(Failure::Refused(_)) if batch.len() > 1 => most = batch.len() / 2,
            Err(Failure::Refused(error)) => {
                queue.refuse(&batch[0], &error);
                queue.settled(1);
                most = BATCH;
            }
            Err(failure) => {
                if matches!(failure, Failure::Silent) {
                    patience = (patience * 2).min(PATIENCE.1);
                }
                tracing::warn!(error = %failure, lines = batch.len(), "audit lines could not be written yet");
                drop(queue);
                sleep(back_off).await;
                back_off = (back_off * 2).min(BACK_OFF.1);
            }
        }
    }
}

/// Why lines are not written.
#[derive(Debug, Error)]
enum Failure {
    /// They may be, another time.
    #[error(transparent)]
    Away(StoreError),
    /// The store did not say in time. It may still write them, so that they can be there twice.
    #[error("the store did not answer in time")]
    Silent,
    /// Trying again changes nothing.
    #[error("{0}")]
    Refused(String),
}

impl Shared {
    /// The first lines of the queue, at most so many.
    fn next(&self, most: usize) -> Vec<Event> {
        self.waiting.lock().lines.iter().take(most).cloned().collect()
    }

    async fn store(&self, batch: &[Event], patience: Duration) -> Result<(), Failure> {
        let writing = AssertUnwindSafe(self.store.audit(batch)).catch_unwind();
        match timeout(patience, writing).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(StoreError::Refused(why)))) => Err(Failure::Refused(why)),
            Ok(Ok(Err(error))) => Err(Failure::Away(error)),
            Ok(Err(_)) => Err(Failure::Refused("the store panicked at it".to_owned())),
            Err(_) => Err(Failure::Silent),
        }
    }

    /// Notes that the fate of so many lines at the front is known; whether the next write should not wait for more lines.
    fn settled(&self, lines: usize) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.lines.drain(..lines);
        let enough = waiting.is_enough();
        drop(waiting);
        self.written.send_modify(|written| *written += lines as u64);
        enough
    }

    fn refuse(&self, line: &Event, why: &str) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused.is_power_of_two() {
            let kind = line.kind.as_str();
            tracing::error!(refused, kind, error = why, "the store refuses an audit line for good and it is dropped");
        }
    }
}
