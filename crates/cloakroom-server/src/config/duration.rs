//! Durations as people write them: a whole number and a unit, `30s`, `7d`. A plain number is refused, because nobody can
//! tell its unit, and so is everything that means 'for ever' (F136).

use std::{ops::RangeInclusive, time::Duration};

/// Milliseconds of a unit, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration that lies within bounds; the error says what would be right.
pub fn parse(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let no_duration = || {
        format!(
            "{} is no duration; write a whole number and a unit, as in 30s, 5m, 1h or 7d",
            super::kinds::quote(text)
        )
    };
    let text = text.trim();
    if ["unlimited", "infinite", "infinity", "inf", "never", "forever", "none", "off"].contains(&text) {
        return Err(format!(
            "`{text}` is not possible: nothing lives for ever; the longest is {}",
            show(*bounds.end())
        ));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(no_duration());
    }
    if unit.is_empty() {
        return Err(plain_number(text));
    }
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale).ok_or_else(no_duration)?;
    // What does not fit 64 bits of milliseconds is longer than any bound.
    let millis = number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale));
    let duration = millis.map_or(Duration::MAX, Duration::from_millis);
    if !bounds.contains(&duration) {
        let (least, most) = (show(*bounds.start()), show(*bounds.end()));
        return Err(format!("{} is out of bounds; {least} to {most} is possible", super::kinds::quote(text)));
    }
    Ok(duration)
}

/// What to say about a number without a unit.
pub(super) fn plain_number(text: &str) -> String {
    format!("{} has no unit; write one, as in 30s, 5m, 1h or 7d", super::kinds::quote(text))
}

/// Writes a duration in the largest unit that divides it.
pub fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    let unit =
        UNITS.iter().find(|(_, scale)| millis >= u128::from(*scale) && millis.is_multiple_of(u128::from(*scale)));
    unit.map_or_else(|| "0s".to_owned(), |(name, scale)| format!("{}{name}", millis / u128::from(*scale)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(400 * 24);

    #[test]
    fn each_unit_is_read() {
        for (text, millis) in
            [("7d", 604_800_000), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("2s", 2_000), ("1500ms", 1_500)]
        {
            assert_eq!(parse(text, &BOUNDS), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
    }

    /// F136: zero, negative, overflowing, plain and endless durations are refused.
    #[test]
    fn what_is_no_bounded_duration_is_refused() {
        let no_duration =
            |t: &str| format!("`{t}` is no duration; write a whole number and a unit, as in 30s, 5m, 1h or 7d");
        let out = |t: &str| format!("`{t}` is out of bounds; 1s to 400d is possible");
        for text in ["", "s", "-5m", "1.5h", "5 m", "5M", "1h30m", "5min", "+5m", "٣s"] {
            assert_eq!(parse(text, &BOUNDS), Err(no_duration(text)));
        }
        for text in ["0s", "0d", "999ms", "401d", "18446744073709551615d", "99999999999999999999999s"] {
            assert_eq!(parse(text, &BOUNDS), Err(out(text)));
        }
        assert_eq!(parse("300", &BOUNDS), Err("`300` has no unit; write one, as in 30s, 5m, 1h or 7d".into()));
        let endless = "`never` is not possible: nothing lives for ever; the longest is 400d";
        assert_eq!(parse("never", &BOUNDS), Err(endless.into()));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 1_000_u64..=400 * 86_400_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&show(duration), &BOUNDS), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9]{0,25}[a-zµ٣]{0,3}|.{0,20}") {
            if let Ok(duration) = parse(&text, &BOUNDS) {
                prop_assert!(BOUNDS.contains(&duration));
            }
        }
    }
}
