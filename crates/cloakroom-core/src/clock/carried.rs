//! The store's time, as its answers carry it here.
//!
//! An answer tells the store's time at some moment between question and answer, which bounds how far that time is ahead of
//! this machine's boot clock. The present is the boot clock and the least that the answers prove, so it is never ahead of the
//! store by more than the boot clocks drift: nothing expires early because an answer was slow. Quicker answers move it
//! forward, within the length of one exchange. It goes back only when the store proves it more than a second ahead, so that
//! no jitter makes time run backwards.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use super::{Boot, Timestamp};

/// How far two answers may disagree before what was heard is not trusted any more.
pub const LEAP: Duration = Duration::from_secs(5);

/// What an answer says about the clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Told {
    /// They go on as before.
    Steady,
    /// Since the last answer the store's time or this machine's wall clock has leapt by more than [`LEAP`] against the boot
    /// clock: the machine stood still, a clock was set, or another database answers.
    Leapt,
}

pub(super) struct Carried {
    /// How far the store's time is ahead of the boot clock, in milliseconds; [`UNHEARD`] before the first answer.
    ahead: AtomicI64,
    /// How far the wall clock was ahead of the boot clock when the last answer came.
    wall: Mutex<Option<i64>>,
}

const UNHEARD: i64 = i64::MIN;
/// A server of an older release tells its time in whole seconds.
const COARSE: i64 = 1000;

impl Carried {
    pub(super) const fn new() -> Self {
        Self { ahead: AtomicI64::new(UNHEARD), wall: Mutex::new(None) }
    }

    /// The store's time, if it ever told it.
    #[inline]
    pub(super) fn present(&self, boot: Boot) -> Option<Timestamp> {
        match self.ahead.load(Ordering::Relaxed) {
            UNHEARD => None,
            ahead => Some(Timestamp::from_millis(boot.0.saturating_add_signed(ahead))),
        }
    }

    /// Takes in the store's time from an answer to a question that was sent at `asked`; now by both clocks of this machine.
    pub(super) fn hear(&self, asked: Boot, told: Timestamp, boot: Boot, wall: Timestamp) -> Told {
        let mut last_wall = self.wall.lock();
        let (least, most) = (ahead_of(told, boot), ahead_of(told, asked));
        let wall = ahead_of(wall, boot);
        let wall_leapt = last_wall.replace(wall).is_some_and(|last| last.abs_diff(wall) > millis(LEAP));
        let known = self.ahead.load(Ordering::Relaxed);
        if known == UNHEARD {
            self.ahead.store(least, Ordering::Relaxed);
            return Told::Steady;
        }
        if known < least {
            self.ahead.store(least, Ordering::Relaxed);
        } else if known > most + COARSE {
            self.ahead.store(most, Ordering::Relaxed);
        }
        // Within the bounds nothing is known to have leapt.
        let off = known.abs_diff(known.clamp(least, most.max(least)));
        if off > millis(LEAP) || wall_leapt { Told::Leapt } else { Told::Steady }
    }

    /// How far the wall clock was ahead of the store's time at the last answer, in milliseconds.
    pub(super) fn wall_offset(&self) -> Option<i64> {
        let wall = (*self.wall.lock())?;
        Some(wall - self.ahead.load(Ordering::Relaxed))
    }
}

fn ahead_of(time: Timestamp, boot: Boot) -> i64 {
    time.0.cast_signed() - boot.0.cast_signed()
}

const fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOOT: u64 = 1_000_000;
    const STORE: u64 = 1_800_000_000_000;

    fn hear(carried: &Carried, asked: u64, told: u64, boot: u64, wall: u64) -> Told {
        let at = Boot::from_millis;
        carried.hear(at(BOOT + asked), Timestamp(STORE + told), at(BOOT + boot), Timestamp(STORE + wall))
    }

    fn present(carried: &Carried, boot: u64) -> u64 {
        carried.present(Boot::from_millis(BOOT + boot)).unwrap().0 - STORE
    }

    #[test]
    fn the_present_is_the_stores_time_and_what_the_boot_clock_has_moved_since() {
        let carried = Carried::new();
        assert_eq!(carried.present(Boot::from_millis(BOOT)), None);
        // The wall clock is a month ahead, which counts for nothing.
        let month: u64 = 30 * 86_400_000;
        assert_eq!(hear(&carried, 0, 5, 8, month + 8), Told::Steady);
        assert_eq!((present(&carried, 8), present(&carried, 1008)), (5, 1005));
        assert_eq!(carried.wall_offset(), Some(month.cast_signed() + 3));
    }

    /// R11: a machine that was paused has a boot clock that stood still; the store went on.
    #[test]
    fn a_leap_of_either_clock_is_told_once() {
        for (told, wall) in [(6_001, 1_000), (1_000, 6_001), (6_001, 6_001)] {
            let carried = Carried::new();
            assert_eq!(hear(&carried, 0, 0, 0, 0), Told::Steady);
            assert_eq!(hear(&carried, 1_000, told, 1_000, wall), Told::Leapt);
            assert_eq!(present(&carried, 1_000), told);
            assert_eq!(hear(&carried, 2_000, told + 1_000, 2_000, wall + 1_000), Told::Steady);
        }
        let carried = Carried::new();
        assert_eq!(hear(&carried, 10_000, 10_000, 10_000, 10_000), Told::Steady);
        assert_eq!(hear(&carried, 11_000, 5_999, 11_000, 11_000), Told::Leapt, "a store that was set back");
        assert_eq!(present(&carried, 11_000), 5_999);
    }

    #[test]
    fn a_second_of_jitter_is_no_leap_and_moves_nothing_back() {
        let carried = Carried::new();
        assert_eq!(hear(&carried, 0, 100, 100, 0), Told::Steady);
        // Cut to the second, as an older server tells it.
        assert_eq!(hear(&carried, 1_990, 1_000, 1_990, 1_990), Told::Steady);
        assert_eq!(present(&carried, 1_990), 1_990);
        assert_eq!(hear(&carried, 3_000, 1_900, 3_000, 3_000), Told::Steady);
        assert_eq!(present(&carried, 3_000), 1_900, "more than a second behind is followed");
    }

    proptest! {
        /// However slow the answers are: the present is never ahead of the store, never behind it by more than the quickest
        /// exchange took, never runs backwards, and nothing is taken for a leap.
        #[test]
        fn slow_answers_shake_nothing(exchanges in prop::collection::vec((0_u64..3_000, 0_u64..1_000, 0_u64..1_000), 1..40)) {
            let carried = Carried::new();
            let (mut boot, mut last, mut quickest) = (0, 0, u64::MAX);
            for (pause, there, back) in exchanges {
                let asked = boot + pause;
                boot = asked + there + back;
                prop_assert_eq!(hear(&carried, asked, asked + there, boot, boot), Told::Steady);
                quickest = quickest.min(there + back);
                let now = present(&carried, boot);
                prop_assert!(now <= boot && now + quickest >= boot && now >= last);
                last = now;
            }
        }
    }
}
