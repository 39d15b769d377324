//! How a store is: what operators are told of its connections and of what waits for it.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::fs::{StatVfsMountFlags, statvfs};

/// How a store is now, and what it has done since it was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vitals {
    /// `sqlite`, `postgres`, `redis` or `memory`.
    pub store: &'static str,
    /// Whether this server has it for itself: another server is not badly off with it.
    pub own: bool,
    /// The disk that it is on, where that is known.
    pub disk: Option<Disk>,
    /// Connections to servers elsewhere, if it has any.
    pub connections: Option<Connections>,
    /// Writes that are gathered into transactions, if it gathers any.
    pub writes: Option<Gathered>,
    /// Reads that are gathered into statements, if it gathers any.
    pub reads: Option<Gathered>,
}

/// A disk, as the system tells of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disk {
    /// How many bytes this server may still write to it.
    pub free: u64,
    /// Whether nothing may be written to it.
    pub read_only: bool,
}

impl Disk {
    /// The disk that a directory is on; `None`: the system does not tell.
    pub(crate) fn of(directory: &Path) -> Option<Self> {
        let about = statvfs(directory).ok()?;
        let free = about.f_bavail.saturating_mul(about.f_frsize);
        Some(Self { free, read_only: about.f_flag.contains(StatVfsMountFlags::RDONLY) })
    }

    /// Whether what comes next still fits: a transaction or two.
    pub fn has_room(self) -> bool {
        !self.read_only && self.free >= LEAST_ROOM
    }
}

/// Less than this may be too little for a transaction.
const LEAST_ROOM: u64 = 64 * 1024;

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
    /// How many wait for a commit that is not answered in time.
    pub overdue: usize,
}

/// Operations of which a store does many at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gathered {
    /// How many wait.
    pub waiting: usize,
    /// Into how many transactions or statements they were gathered.
    pub batches: u64,
    /// How many were in those.
    pub operations: u64,
}

impl std::ops::Add for Gathered {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            waiting: self.waiting + other.waiting,
            batches: self.batches + other.batches,
            operations: self.operations + other.operations,
        }
    }
}

/// Counts batches and what is in them.
#[derive(Default)]
pub(crate) struct Batches {
    batches: AtomicU64,
    operations: AtomicU64,
}

impl Batches {
    pub(crate) fn add(&self, operations: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.operations.fetch_add(operations as u64, Ordering::Relaxed);
    }

    pub(crate) fn with_waiting(&self, waiting: usize) -> Gathered {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Gathered { waiting, batches: load(&self.batches), operations: load(&self.operations) }
    }
}
