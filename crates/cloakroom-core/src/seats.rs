//! A bound on how many are at something at once; past it nobody waits, they are turned away.

use std::sync::atomic::{AtomicUsize, Ordering};

/// So many seats, and how many are taken.
pub(crate) struct Seats {
    taken: AtomicUsize,
    most: usize,
}

/// One that is taken, until it is dropped.
pub(crate) struct Seat<'a>(&'a AtomicUsize);

impl Seats {
    pub(crate) const fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most }
    }

    /// A seat, if one is free.
    pub(crate) fn take(&self) -> Option<Seat<'_>> {
        let seat = Seat(&self.taken);
        (self.taken.fetch_add(1, Ordering::Relaxed) < self.most).then_some(seat)
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
