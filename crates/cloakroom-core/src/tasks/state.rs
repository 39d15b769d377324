//! The book of tasks: what each is at, and how often each has died.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// After so many deaths without a round in between that went well, a task keeps failing.
const ROW: u32 = 3;

static BOOK: Mutex<Book> = Mutex::new(Book { kept: Vec::new(), deaths: BTreeMap::new() });

struct Book {
    /// What is kept at present.
    kept: Vec<Weak<State>>,
    /// By name, of whatever was started here.
    deaths: BTreeMap<&'static str, u64>,
}

/// A kept task or thread.
#[derive(Debug)]
pub(super) struct State {
    pub(super) name: &'static str,
    patience: Duration,
    /// How often it died since a round last went well.
    row: AtomicU32,
    /// When the round under way began.
    round: Mutex<Option<Instant>>,
}

impl State {
    pub(super) fn enter(name: &'static str, patience: Duration) -> Arc<Self> {
        let state = Arc::new(Self { name, patience, row: AtomicU32::new(0), round: Mutex::new(None) });
        let mut book = BOOK.lock();
        book.kept.retain(|kept| kept.strong_count() > 0);
        book.kept.push(Arc::downgrade(&state));
        book.deaths.entry(name).or_default();
        state
    }

    /// How often in a row it has now.
    pub(super) fn died(&self) -> u32 {
        count(self.name);
        self.row.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn ails(&self, now: Instant) -> Option<Ailing> {
        let row = self.row.load(Ordering::Relaxed);
        if row >= ROW {
            return Some(Ailing { task: self.name, how: How::Dies(row) });
        }
        let stands = now.saturating_duration_since((*self.round.lock())?);
        if stands <= self.patience {
            return None;
        }
        Some(Ailing { task: self.name, how: How::Stands(stands) })
    }
}

/// Counts a death.
pub(super) fn count(name: &'static str) {
    *BOOK.lock().deaths.entry(name).or_default() += 1;
}

/// How often tasks and threads have died, by name: of all that were ever kept, and of others that died.
pub fn failures() -> Vec<(&'static str, u64)> {
    BOOK.lock().deaths.iter().map(|(name, deaths)| (*name, *deaths)).collect()
}

/// The kept tasks and threads that keep failing or stand still, by name.
pub fn ailing() -> Vec<Ailing> {
    ailing_at(Instant::now())
}

pub(super) fn ailing_at(now: Instant) -> Vec<Ailing> {
    let kept: Vec<_> = BOOK.lock().kept.iter().filter_map(Weak::upgrade).collect();
    let mut ailing: Vec<_> = kept.iter().filter_map(|state| state.ails(now)).collect();
    ailing.sort_by_key(|ailing| ailing.task);
    // Threads of one name are one line.
    ailing.dedup_by_key(|ailing| ailing.task);
    ailing
}

/// A task that does not do its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ailing {
    /// Its name.
    pub task: &'static str,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    Dies(u32),
    Stands(Duration),
}

impl fmt::Display for Ailing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.how {
            How::Dies(row) => write!(f, "it died {row} times in a row and is started again; the log says of what"),
            How::Stands(stands) => write!(f, "it has stood still for {} s", stands.as_secs()),
        }
    }
}

/// By which a task shows that it does its work.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<State>);

impl Pulse {
    pub(super) fn of(state: &Arc<State>) -> Self {
        Self(Arc::clone(state))
    }

    /// Does a round of the task's work. It may take the task's patience; when it is done, earlier deaths are forgotten.
    pub async fn round<T>(&self, work: impl Future<Output = T>) -> T {
        let round = self.begin();
        let done = work.await;
        round.done();
        done
    }

    /// Begins a round, for what cannot be put into one future.
    pub fn begin(&self) -> Round<'_> {
        *self.0.round.lock() = Some(Instant::now());
        Round(self)
    }
}

/// A round under way. Dropped before it is [done](Self::done), as by a panic, it has not gone well.
#[must_use]
#[derive(Debug)]
pub struct Round<'a>(&'a Pulse);

impl Round<'_> {
    /// It went well.
    pub fn done(self) {
        self.0.0.row.store(0, Ordering::Relaxed);
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        *self.0.0.round.lock() = None;
    }
}
