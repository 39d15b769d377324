//! Figures as people read them: three digits that count, units that fit, thousands apart.

use super::words::Words;

/// Three digits that count; thousands are grouped.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let size = value.abs();
    let decimals = match size {
        _ if size < 0.000_005 => 0,
        _ if size < 0.01 => 5,
        _ if size < 1.0 => 3,
        _ if size < 10.0 => 2,
        _ if size < 100.0 => 1,
        _ => 0,
    };
    let rounded = format!("{value:.decimals$}");
    let (whole, fraction) = rounded.split_once('.').map_or((rounded.as_str(), ""), |parts| parts);
    let fraction = fraction.trim_end_matches('0');
    let whole = grouped(whole.trim_start_matches('-'));
    let sign = if value < 0.0 && rounded.contains(|c: char| c.is_ascii_digit() && c != '0') { "−" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A count.
pub(super) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time in microseconds.
pub(super) fn micros(value: f64) -> String {
    match value {
        _ if !value.is_finite() => NOTHING.to_owned(),
        _ if value >= 999_500.0 => format!("{} s", number(value / 1e6)),
        _ if value >= 999.5 => format!("{} ms", number(value / 1e3)),
        _ => format!("{} µs", number(value)),
    }
}

/// A time in milliseconds.
pub(super) fn millis(value: f64, words: Words) -> String {
    seconds(value / 1000.0, words)
}

/// A time in seconds; from a minute on in the largest unit of which there is a whole number, or at least two.
pub(super) fn seconds(value: f64, words: Words) -> String {
    let fits = |unit: f64| value >= unit * 2.0 || (value >= unit && (value / unit).fract() < 1e-9);
    match value {
        _ if value.is_nan() => NOTHING.to_owned(),
        _ if fits(86_400.0) => words.amount("unit-days", value / 86_400.0),
        _ if fits(3_600.0) => words.amount("unit-hours", value / 3_600.0),
        _ if fits(60.0) => words.amount("unit-minutes", value / 60.0),
        _ if value <= 0.0 => "0 ms".to_owned(),
        _ => micros(value * 1e6),
    }
}

/// An amount of memory or traffic, in decimal units.
pub(super) fn bytes(value: f64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let (mut value, mut unit) = (value, 0);
    // Below ten thousand, bytes are told one by one: what is counted exactly should read so.
    if value < 9_999.5 {
        return format!("{} B", number(value.round()));
    }
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", number(value), UNITS[unit])
}

/// A share of one.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{} %", number((share * 1000.0).round() / 10.0)) } else { NOTHING.to_owned() }
}

/// How many times as much.
pub(super) fn times(ratio: f64) -> String {
    format!("×{}", factor(ratio))
}

/// A factor, of which two decimals tell enough.
pub(super) fn factor(ratio: f64) -> String {
    number(if ratio < 10.0 { (ratio * 100.0).round() / 100.0 } else { ratio })
}

/// A number of live logins on an axis: 10³, or 5·10⁴.
pub(super) fn power(value: f64) -> String {
    let exponent = value.log10().floor();
    let factor = (value / 10_f64.powf(exponent) * 10.0).round() / 10.0;
    let digits: String = format!("{exponent:.0}").chars().map(superscript).collect();
    if (factor - 1.0).abs() < 0.05 { format!("10{digits}") } else { format!("{}·10{digits}", number(factor)) }
}

fn superscript(c: char) -> char {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize])
}

/// What stands where nothing was measured.
pub(super) const NOTHING: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Lang;

    #[test]
    fn three_digits_count() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.0123, "0.012"),
            (0.000_31, "0.00031"),
            (1.0, "1"),
            (1.234_5, "1.23"),
            (-12.34, "−12.3"),
            (123.4, "123"),
            (1_234_567.0, "1,234,567"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(10), "10");
    }

    #[test]
    fn units_fit() {
        let words = Words::new(Lang::English);
        assert_eq!(micros(12.34), "12.3 µs");
        assert_eq!(micros(45_600.0), "45.6 ms");
        assert_eq!(micros(2_500_000.0), "2.5 s");
        assert_eq!(millis(0.0, words), "0 ms");
        assert_eq!(millis(0.52, words), "520 µs");
        assert_eq!(millis(300_000.0, words), "5 min");
        assert_eq!(seconds(2.0, words), "2 s");
        assert_eq!(seconds(60.0, words), "1 min");
        assert_eq!(seconds(75.3, words), "75.3 s");
        assert_eq!(seconds(10_800.0, words), "3 h");
        assert_eq!(seconds(2_592_000.0, words), "30 d");
        assert_eq!(seconds(2_592_000.0, Words::new(Lang::Korean)), "30일");
        assert_eq!(bytes(118.0), "118 B");
        assert_eq!(bytes(9_876.0), "9,876 B");
        assert_eq!(bytes(452_000_000.0), "452 MB");
        assert_eq!(percent(0.042), "4.2 %");
        assert_eq!(times(0.5), "×0.5");
        assert_eq!(power(1e6), "10⁶");
        assert_eq!(power(50_000.0), "5·10⁴");
    }
}
