//! Whether this process has just stood still: it was stopped or swapped out, or its machine was paused. What waited in its sockets
//! meanwhile is as old as that, and nobody can tell from the request.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How long it must have stood still to matter.
pub(super) const STANDSTILL: Duration = Duration::from_secs(5);
/// How often it says that it goes on.
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// How long after that what comes may have waited meanwhile.
const WAKING: Duration = Duration::from_secs(5);

/// Milliseconds of a clock that goes on while the process stands still.
pub(super) struct Standstill {
    began: Instant,
    /// When it last said that it goes on; 0: never yet.
    beat: AtomicU64,
    /// When it last woke; 0: never yet.
    woke: AtomicU64,
}

impl Standstill {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), beat: AtomicU64::new(0), woke: AtomicU64::new(0) }
    }

    /// It goes on.
    pub(super) fn beat(&self) {
        self.beat_at(self.now());
    }

    /// Whether what is looked at now may have waited while it stood still.
    pub(super) fn was_lately(&self) -> bool {
        self.was_lately_at(self.now())
    }

    fn now(&self) -> u64 {
        1 + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn beat_at(&self, now: u64) {
        let last = self.beat.swap(now, Ordering::SeqCst);
        if last != 0 && passed(last, now) > STANDSTILL {
            self.woke.store(now, Ordering::SeqCst);
        }
    }

    fn was_lately_at(&self, now: u64) -> bool {
        // A request may be handled before the first beat after waking.
        let (beat, woke) = (self.beat.load(Ordering::SeqCst), self.woke.load(Ordering::SeqCst));
        (beat != 0 && passed(beat, now) > STANDSTILL) || (woke != 0 && passed(woke, now) <= WAKING)
    }
}

fn passed(since: u64, now: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R24: what waited in a socket while the process stood still is nobody's theft.
    #[test]
    fn what_waited_while_the_process_stood_still_is_known_for_a_while() {
        let standstill = Standstill::new();
        assert!(!standstill.was_lately_at(100_000), "it never said that it goes on");
        for now in (1000..10_000).step_by(500) {
            standstill.beat_at(now);
            assert!(!standstill.was_lately_at(now + 499));
        }
        assert!(standstill.was_lately_at(40_000), "before the beat");
        standstill.beat_at(40_000);
        assert!(standstill.was_lately_at(44_000));
        standstill.beat_at(45_000);
        assert!(!standstill.was_lately_at(45_001));
    }
}
