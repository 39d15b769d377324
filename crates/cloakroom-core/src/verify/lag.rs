//! How long ends took to be heard: from just before they were acknowledged to when this verifier knew of them.
//!
//! Measured by wall clocks, so it is as good as those agree. What this process has written itself is known before it is
//! acknowledged, and a snapshot says nothing of when its ends would have been heard: neither counts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The upper bounds of the classes that ends are counted in; one more class has none.
pub const LAG_BOUNDS: [Duration; 10] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// The ends that were heard, by how long that took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LagCounts {
    /// Of each class of [`LAG_BOUNDS`] alone.
    pub within: [u64; LAG_BOUNDS.len()],
    /// All of them, the later ones too.
    pub ends: u64,
    /// All of their times together.
    pub total: Duration,
}

#[derive(Default)]
pub(super) struct Lag {
    within: [AtomicU64; LAG_BOUNDS.len()],
    ends: AtomicU64,
    total_millis: AtomicU64,
}

impl Lag {
    pub(super) fn observe(&self, lag: Duration) {
        if let Some(class) = LAG_BOUNDS.iter().position(|bound| lag <= *bound) {
            self.within[class].fetch_add(1, Ordering::Relaxed);
        }
        self.ends.fetch_add(1, Ordering::Relaxed);
        self.total_millis.fetch_add(lag.as_millis() as u64, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> LagCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LagCounts {
            within: self.within.each_ref().map(load),
            ends: load(&self.ends),
            total: Duration::from_millis(load(&self.total_millis)),
        }
    }
}
