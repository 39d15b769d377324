//! What a verifier counts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::Verifier;
use crate::{
    tally::Times,
    verify::lag::{LAG_BOUNDS, LagCounts},
};

/// How often what happened, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Answered from the cache.
    pub warm: u64,
    /// Checked or read anew.
    pub cold: u64,
    /// Refused.
    pub refused: u64,
    /// Leases renewed.
    pub leases: u64,
    /// Facts held now.
    pub facts: u64,
    /// Ends held now.
    pub ended: u64,
    /// Places that are marked now, for ends that could not be held.
    pub marks: u64,
    /// Questions about tokens whose place was marked.
    pub asked: u64,
    /// Questions that are being answered by more than the cache now.
    pub under_way: u64,
    /// How long ends that others wrote took to be heard.
    pub lag: LagCounts,
    /// How long ago the question was sent whose answer the lease is made of; `None`: there is no lease.
    pub lease_age: Option<Duration>,
    /// How far this machine's wall clock was ahead of the store's time when that was last told, in milliseconds.
    pub clock_offset: Option<i64>,
}

pub(super) struct Counters {
    pub(super) warm: AtomicU64,
    pub(super) cold: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) leases: AtomicU64,
    pub(super) asked: AtomicU64,
    pub(super) lag: Times<{ LAG_BOUNDS.len() }>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            warm: AtomicU64::new(0),
            cold: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            leases: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            lag: Times::new(&LAG_BOUNDS),
        }
    }
}

impl Verifier {
    /// How often what happened.
    pub fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let now = self.clock.boot();
        let (ended, marks, asked) = {
            let vigil = self.vigil.read();
            (vigil.ended().len() as u64, vigil.ended().marks(now) as u64, vigil.asked())
        };
        Counts {
            warm: load(&self.counts.warm),
            cold: load(&self.counts.cold),
            refused: load(&self.counts.refused),
            leases: load(&self.counts.leases),
            facts: self.cache.len() as u64,
            ended,
            marks,
            asked: load(&self.counts.asked),
            under_way: self.under_way.taken() as u64,
            lag: self.counts.lag.counts(),
            lease_age: asked.map(|asked| now.since(asked)),
            clock_offset: self.clock.wall_offset(),
        }
    }
}
