//! Moments and spans as people read them: '2026-11-24 23:45 UTC', '3 minutes ago', '3분 전'.

use std::time::Duration;

use cloakroom_core::clock::Timestamp;
use fluent_bundle::FluentValue;

use super::{locale::Locale, message::text};

/// A moment in three forms.
pub(super) struct Moment {
    /// RFC 3339 in UTC, for `<time datetime>`.
    pub(super) machine: String,
    /// Date and time of day in UTC, to the minute.
    pub(super) plain: String,
    /// How long ago that was; what lies ahead by a clock's error is 'just now'.
    pub(super) relative: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp, now: Timestamp, locale: Locale) -> Self {
        // A record can hold moments after the year 9999, which have no RFC 3339 form.
        let moment = i64::try_from(at.secs()).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
        let moment = moment.unwrap_or(jiff::Timestamp::MAX);
        let passed = now.since(at);
        let relative = if passed < Duration::from_mins(1) {
            locale.say("just-now")
        } else {
            let passed = span(passed, Rounding::Down, locale);
            locale.say_with("ago", [("time", text(&passed))])
        };
        Self {
            machine: moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            plain: moment.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            relative,
        }
    }
}

/// A span in its largest whole unit. A wait is rounded up, so that nobody comes back too early.
pub(super) fn wait(span_: Duration, locale: Locale) -> String {
    span(span_, Rounding::Up, locale)
}

#[derive(Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

fn span(length: Duration, rounding: Rounding, locale: Locale) -> String {
    let secs = match rounding {
        Rounding::Up => length.as_secs() + u64::from(length.subsec_nanos() > 0),
        Rounding::Down => length.as_secs(),
    }
    .max(1);
    let (unit, size) = match secs {
        0..60 => ("second", 1),
        60..3600 => ("minute", 60),
        3600..86400 => ("hour", 3600),
        _ => ("day", 86400),
    };
    let count = match rounding {
        Rounding::Up => secs.div_ceil(size),
        Rounding::Down => secs / size,
    };
    locale.say_with("duration", [("unit", text(unit)), ("count", FluentValue::from(count))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relative(secs: u64, locale: Locale) -> String {
        let at = Timestamp::from_secs(1_795_563_900);
        Moment::new(at, at + Duration::from_secs(secs), locale).relative
    }

    #[test]
    fn what_passed_is_told_in_its_largest_unit() {
        for (secs, english, korean) in [
            (0, "just now", "방금 전"),
            (59, "just now", "방금 전"),
            (60, "1 minute ago", "1분 전"),
            (239, "3 minutes ago", "3분 전"),
            (3600, "1 hour ago", "1시간 전"),
            (86_399, "23 hours ago", "23시간 전"),
            (86_400, "1 day ago", "1일 전"),
            (1_000_000_000, "11574 days ago", "11574일 전"),
        ] {
            assert_eq!(relative(secs, Locale::English), english);
            assert_eq!(relative(secs, Locale::Korean), korean);
        }
    }

    #[test]
    fn a_moment_ahead_of_the_clock_is_just_now_and_one_beyond_all_calendars_is_shown() {
        let now = Timestamp::from_secs(1_795_563_900);
        let ahead = Moment::new(now + Duration::from_secs(90), now, Locale::English);
        assert_eq!(ahead.relative, "just now");
        assert_eq!((ahead.machine.as_str(), ahead.plain.as_str()), ("2026-11-24T23:46:30Z", "2026-11-24 23:46 UTC"));
        assert!(Moment::new(Timestamp::MAX, now, Locale::Korean).plain.starts_with("9999-12-30"));
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(wait(Duration::from_millis(200), Locale::English), "1 second");
        assert_eq!(wait(Duration::from_secs(61), Locale::English), "2 minutes");
        assert_eq!(wait(Duration::from_secs(61), Locale::Korean), "2분");
    }
}
