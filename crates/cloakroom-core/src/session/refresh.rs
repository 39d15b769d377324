//! The refresh rule: what a presented generation means.
//!
//! Rotation is one compare-and-swap on the record's generation; there is no row per token. The successor is derived
//! (same secret, next generation), so it can be given again, and no honest repeat is taken for theft.

use std::time::Duration;

use super::record::Record;
use crate::ids::Generation;

/// What is to be done for a presented generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotation {
    /// The current one, still young: it stays as it is. So there is at most one rotation per grace period, and a slow
    /// tab is never two behind.
    Keep,
    /// The one before, within the grace period of the rotation: its successor, the current one, again.
    Repeat,
    /// The current one, grown up: rotate.
    Advance,
    /// One that this store has not heard of, though its MAC is good: the store lost its last moments. It is taken as
    /// the current one.
    CatchUp,
    /// Anything older is theft.
    Stolen,
}

impl Record {
    /// Judges a presented generation whose MAC is good, where the last rotation was so long ago by the clock of the store that
    /// did it. The grace period is fixed at the rotation and never slides (F054); reuse is told by generation, not by comparing
    /// times (F053).
    pub fn rotation(&self, presented: Generation, since_rotation: Duration, grace: Duration) -> Rotation {
        let young = since_rotation < grace;
        match presented.cmp(&self.generation) {
            std::cmp::Ordering::Greater => Rotation::CatchUp,
            std::cmp::Ordering::Equal if young => Rotation::Keep,
            std::cmp::Ordering::Equal => Rotation::Advance,
            std::cmp::Ordering::Less if presented.next() == self.generation && young => Rotation::Repeat,
            std::cmp::Ordering::Less => Rotation::Stolen,
        }
    }
}
