//! The clock that deletion goes by: how far it may be moved, and what is over by it.

use std::{ops::Sub, time::Duration};

use crate::clock::Timestamp;

/// The clock that deletion goes by, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletionClock {
    /// Where it stands; zero in a store that never moved it.
    pub stands: Timestamp,
    /// The store's time at that moment.
    pub time: Timestamp,
}

/// A moment by the clock that deletion goes by, or before it: what was over then may be removed for good. Nothing else gives one, so
/// that no other clock is taken for it.
///
/// ```compile_fail,E0308
/// # use cloakroom_core::{clock::Timestamp, store::{SessionStore, StoreError}};
/// # async fn remove(store: &dyn SessionStore, by_the_wall: Timestamp) -> Result<usize, StoreError> {
/// store.sweep(by_the_wall, 500).await
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletionTime(Timestamp);

impl DeletionClock {
    /// The moment up to which what is over may be removed: what the store itself believes to be in the future is not over
    /// either.
    pub fn over(self) -> DeletionTime {
        DeletionTime(self.stands.min(self.time))
    }

    /// Where it may be moved to from here when the store's time is `time` and a boot clock has moved by `by` meanwhile.
    pub fn moved_on(self, time: Timestamp, by: Duration) -> Timestamp {
        let passed = time.since(self.time).min(by);
        (self.stands + passed * 2).min(time).max(self.stands)
    }
}

impl DeletionTime {
    /// The moment, to be compared with those of what is stored.
    pub const fn moment(self) -> Timestamp {
        self.0
    }
}

impl Sub<Duration> for DeletionTime {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self(self.0 - earlier)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);
    const DAY: u64 = 86_400;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn it_moves_as_fast_as_both_clocks_and_twice_as_fast_while_it_is_behind() {
        let level = DeletionClock { stands: START, time: START };
        // What the store's time and the boot clock have moved, and what this moves.
        for (time, boot, moves) in
            [(30, 30, 30), (31 * DAY, 30, 60), (30, 31 * DAY, 30), (31 * DAY, 31 * DAY, 31 * DAY), (0, 30, 0)]
        {
            assert_eq!(level.moved_on(START + secs(time), secs(boot)), START + secs(moves), "{time} {boot}");
        }
        let behind = DeletionClock { stands: START - secs(DAY), ..level };
        assert_eq!(behind.moved_on(START + secs(30), secs(30)), behind.stands + secs(60));
        let nearly = DeletionClock { stands: START - secs(10), ..level };
        assert_eq!(nearly.moved_on(START + secs(30), secs(30)), START + secs(30));
        let ahead = DeletionClock { stands: START + secs(DAY), ..level };
        assert_eq!(ahead.moved_on(START + secs(30), secs(30)), ahead.stands, "it never goes back");
        assert_eq!(level.moved_on(START - secs(DAY), secs(30)), START);
    }

    proptest! {
        /// R8: whatever the store's time says, for however long, and whoever moves it: within a stretch of real time it moves
        /// by no more than twice that.
        #[test]
        fn a_wrong_clock_costs_as_much_as_it_is_wrong_for(moves in prop::collection::vec((0_u64..100, 0_u64..40 * DAY), 1..60)) {
            let mut now = DeletionClock { stands: START, time: START };
            let mut passed = 0;
            for (pause, claimed) in moves {
                passed += pause;
                let time = START + secs(claimed);
                now = DeletionClock { stands: now.moved_on(time, secs(pause)), time };
                prop_assert!(now.stands <= START + secs(2 * passed));
            }
        }
    }
}
