//! Time, as one seam.
//!
//! Everything that asks what time it is asks a [`Clock`]: the store's time for what people and tokens see, and a clock
//! that counts suspend (`CLOCK_BOOTTIME`) for leases, which must not stand still while the machine sleeps. The store's time
//! comes with each answer about the revocation log, and goes on by the boot clock until the next; the machine's own wall clock
//! counts only before the first. Tests take [`Clock::manual`] and move time instead of sleeping.

mod carried;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use carried::Carried;
pub use carried::{LEAP, Told};

/// Where the time comes from; cheap to clone, and clones share what they have heard.
#[derive(Clone)]
pub struct Clock {
    source: Source,
    carried: Arc<Carried>,
}

#[derive(Clone)]
enum Source {
    System,
    /// Everybody's, the store's too.
    Manual(Arc<Mutex<Hands>>),
    /// One machine's; the store has a time of its own.
    Machine(Arc<Mutex<Hands>>),
}

#[derive(Clone, Copy)]
struct Hands {
    wall: Timestamp,
    boot: Boot,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self::of(Source::System)
    }

    /// A clock that stands at `start` until its [`ManualClock`] moves it. It is everybody's: a store that is asked with
    /// [`Self::by_hand`] goes by it too.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let hands = hands(start);
        (Self::of(Source::Manual(Arc::clone(&hands))), ManualClock(hands))
    }

    /// The clocks of one machine, moved by hand, beside a store that has a time of its own.
    pub fn manual_machine(start: Timestamp) -> (Self, ManualClock) {
        let hands = hands(start);
        (Self::of(Source::Machine(Arc::clone(&hands))), ManualClock(hands))
    }

    fn of(source: Source) -> Self {
        Self { source, carried: Arc::new(Carried::new()) }
    }

    /// The present: what stands in tokens, records and answers. It is the store's time as its last answer told it, and what
    /// the boot clock has moved since; before the first answer it is this machine's wall clock.
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.moment().0
    }

    /// The present and the boot clock at one moment.
    #[inline]
    pub fn moment(&self) -> (Timestamp, Boot) {
        let boot = self.boot();
        (self.carried.present(boot).unwrap_or_else(|| self.machine().0), boot)
    }

    /// Takes in the store's time from an answer to a question that was sent at `asked`.
    pub fn hear(&self, asked: Boot, told: Timestamp) -> Told {
        let (wall, boot) = self.machine();
        self.carried.hear(asked, told, boot, wall)
    }

    /// How far this machine's wall clock was ahead of the store's time when that was last told, in milliseconds; `None`: it
    /// was not told yet.
    pub fn wall_offset(&self) -> Option<i64> {
        self.carried.wall_offset()
    }

    /// The wall clock of a test, which is everybody's. `None`: machines have their own, which may go wrong, so the store goes
    /// by its own time.
    pub fn by_hand(&self) -> Option<Timestamp> {
        match &self.source {
            Source::System | Source::Machine(_) => None,
            Source::Manual(hands) => Some(hands.lock().wall),
        }
    }

    /// The clock that no one sets and that counts suspend: what leases and limits are measured on.
    #[inline]
    pub fn boot(&self) -> Boot {
        match &self.source {
            Source::System => {
                let t = clock_gettime(ClockId::Boottime);
                Boot(t.tv_sec.unsigned_abs() * 1000 + t.tv_nsec.unsigned_abs() / 1_000_000)
            }
            Source::Manual(hands) | Source::Machine(hands) => hands.lock().boot,
        }
    }

    /// Both clocks of this machine.
    fn machine(&self) -> (Timestamp, Boot) {
        match &self.source {
            Source::System => (machine_time(), self.boot()),
            Source::Manual(hands) | Source::Machine(hands) => {
                let hands = *hands.lock();
                (hands.wall, hands.boot)
            }
        }
    }
}

fn hands(start: Timestamp) -> Arc<Mutex<Hands>> {
    Arc::new(Mutex::new(Hands { wall: start, boot: Boot(1_000_000) }))
}

/// The wall clock of this machine: what a store that belongs to one machine goes by.
pub fn machine_time() -> Timestamp {
    // By way of libc, unlike the boot clock, so that tests of a whole server can set it (libfaketime).
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_secs() * 1000 + u64::from(since.subsec_millis()))
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::System => "Clock(system)",
            Source::Manual(_) | Source::Machine(_) => "Clock(manual)",
        })
    }
}

/// Moves a [`Clock::manual`].
///
/// ```
/// use std::time::Duration;
/// use cloakroom_core::clock::{Clock, Timestamp};
///
/// let (clock, hands) = Clock::manual(Timestamp::from_secs(1_800_000_000));
/// hands.advance(Duration::from_secs(30));
/// assert_eq!(clock.now(), Timestamp::from_secs(1_800_000_030));
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Hands>>);

impl ManualClock {
    /// Time passes: both clocks go forward together.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.0.lock();
        *hands = Hands { wall: hands.wall + by, boot: hands.boot + by };
    }

    /// Somebody sets the wall clock; the other clock does not notice. A [`Clock::manual`] hears of it with the next answer of
    /// the store.
    pub fn set_wall(&self, to: Timestamp) {
        self.0.lock().wall = to;
    }
}

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub(crate) u64);

impl Timestamp {
    /// The latest moment that a record can hold (48 bits of milliseconds, in the year 10889).
    pub const MAX: Self = Self((1 << 48) - 1);

    /// From milliseconds since the epoch; later than [`Self::MAX`] becomes [`Self::MAX`].
    pub const fn from_millis(ms: u64) -> Self {
        if ms > Self::MAX.0 { Self::MAX } else { Self(ms) }
    }

    /// From seconds since the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: the form of claims (`NumericDate`, RFC 7519 section 2).
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// How long it is since `earlier`; nothing if that lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC, to the millisecond.
    ///
    /// ```
    /// use cloakroom_core::clock::Timestamp;
    /// assert_eq!(Timestamp::from_millis(1_800_000_000_012).precise(), "2027-01-15T08:00:00.012Z");
    /// ```
    pub fn precise(self) -> String {
        let mut text = self.to_string();
        text.insert_str(text.len() - 1, &format!(".{:03}", self.0 % 1000));
        text
    }

    /// This moment without its part of a second.
    #[must_use]
    pub const fn whole_secs(self) -> Self {
        Self(self.0 / 1000 * 1000)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(by.as_millis() as u64))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_millis() as u64))
    }
}

/// RFC 3339 in UTC, to the second. Written by hand, for it stands in every answer to a verification; what lies behind the
/// year 9999, which RFC 3339 cannot say, is said as that year's last second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LAST: u64 = 253_402_300_799;
        let secs = self.secs().min(LAST);
        let (year, month, day) = civil(secs / 86_400);
        let mut text = *b"0000-00-00T00:00:00Z";
        let of_day = secs % 86_400;
        for (at, number) in [
            (0, year / 100),
            (2, year % 100),
            (5, month),
            (8, day),
            (11, of_day / 3600),
            (14, of_day / 60 % 60),
            (17, of_day % 60),
        ] {
            text[at] += (number / 10) as u8;
            text[at + 1] += (number % 10) as u8;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar. Years are counted from March, so
/// that the day that leap years add comes last: 146,097 days make 400 years, and 153 days five months.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A moment of the clock that counts suspend, in milliseconds; only differences mean anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Boot(pub(crate) u64);

impl Boot {
    /// How long it is since `earlier`.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Milliseconds since an unnamed beginning.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// From milliseconds, for models and tests that keep their own time.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }
}

impl std::ops::Add<Duration> for Boot {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_millis() as u64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339_says() {
        for (secs, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_secs(secs).to_string(), expected);
        }
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_millis(1_800_000_000_999).to_string(), "2027-01-15T08:00:00Z");
    }

    proptest! {
        #[test]
        fn moments_are_written_as_a_library_of_calendars_writes_them(secs in 0u64..253_402_207_200) {
            let moment = jiff::Timestamp::from_second(secs.cast_signed()).unwrap();
            prop_assert_eq!(Timestamp::from_secs(secs).to_string(), moment.to_string());
        }
    }
}
