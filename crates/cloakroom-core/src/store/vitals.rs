//! How a store is: what operators are told of its connections and of what waits for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a store is now, and what it has done since it was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vitals {
    /// `sqlite`, `postgres`, `redis` or `memory`.
    pub store: &'static str,
    /// Connections to servers elsewhere, if it has any.
    pub connections: Option<Connections>,
    /// Writes that are gathered, if it gathers any.
    pub writes: Option<Writes>,
}

/// Connections of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connections {
    /// How many there may be.
    pub limit: usize,
    /// How many there are.
    pub open: usize,
    /// How many statements are under way on them.
    pub busy: usize,
    /// How many wait for one.
    pub waiting: usize,
}

/// Writes that a store gathers into one transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Writes {
    /// How many wait.
    pub waiting: usize,
    /// How many transactions there have been.
    pub batches: u64,
    /// How many writes were in them.
    pub written: u64,
}

/// Counts transactions and what is in them.
#[derive(Default)]
pub(crate) struct Batches {
    batches: AtomicU64,
    written: AtomicU64,
}

impl Batches {
    pub(crate) fn add(&self, writes: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.written.fetch_add(writes as u64, Ordering::Relaxed);
    }

    pub(crate) fn with_waiting(&self, waiting: usize) -> Writes {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Writes { waiting, batches: load(&self.batches), written: load(&self.written) }
    }
}
