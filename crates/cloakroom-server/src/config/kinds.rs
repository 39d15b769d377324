//! The kinds of values: text, truths, numbers, sizes, durations and names. Each reads one value and says what would be
//! right where it cannot.

use std::{ops::RangeInclusive, time::Duration};

use super::{duration, tree::Value};

/// Text, not empty.
pub(super) fn text(value: &Value) -> Result<&str, String> {
    match maybe_empty(value)? {
        "" => Err("it is empty; leave it out, or write what it should be".into()),
        text => Ok(text),
    }
}

/// Text, or none.
pub(super) fn maybe_empty(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) | Value::Words(text) => Ok(text),
        other => Err(format!("{} is no text; write it in quotes", describe(other))),
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Boolean(value) => Ok(*value),
        Value::Words(words) if words == "true" => Ok(true),
        Value::Words(words) if words == "false" => Ok(false),
        other => Err(format!("{} is neither true nor false", describe(other))),
    }
}

/// A whole number within bounds.
pub(super) fn whole(bounds: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<u64, String> {
    move |value| {
        let number = match value {
            Value::Integer(n) => *n,
            Value::Words(words) if words.bytes().all(|b| b.is_ascii_digit()) && !words.is_empty() => {
                words.parse().unwrap_or(i128::MAX)
            }
            other => {
                return Err(format!(
                    "{} is no whole number; {} to {} is possible",
                    describe(other),
                    bounds.start(),
                    bounds.end()
                ));
            }
        };
        u64::try_from(number).ok().filter(|n| bounds.contains(n)).ok_or_else(|| {
            format!("{} is out of bounds; {} to {} is possible", describe(value), bounds.start(), bounds.end())
        })
    }
}

/// A whole number within bounds that fit an `usize`.
pub(super) fn count(bounds: RangeInclusive<usize>) -> impl Fn(&Value) -> Result<usize, String> {
    let read = whole(*bounds.start() as u64..=*bounds.end() as u64);
    move |value| read(value).map(|n| n as usize)
}

/// A whole number within bounds that fit 32 bits.
pub(super) fn small(bounds: RangeInclusive<u32>) -> impl Fn(&Value) -> Result<u32, String> {
    let read = whole(u64::from(*bounds.start())..=u64::from(*bounds.end()));
    move |value| read(value).map(|n| n as u32)
}

/// A number of bytes: plain, or with KiB, MiB or GiB.
pub(super) fn bytes(bounds: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<u64, String> {
    move |value| {
        let (Value::Text(words) | Value::Words(words)) = value else { return whole(bounds.clone())(value) };
        let digits = words.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = words.split_at(digits);
        let scale = match unit.trim_start() {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        if number.is_empty() || scale == 0 {
            return Err(format!("{} is no size; write it as 64MiB, or as a number of bytes", quote(words)));
        }
        let size = number.parse::<i128>().map_or(i128::MAX, |n| n.saturating_mul(scale));
        whole(bounds.clone())(&Value::Integer(size)).map_err(|_| {
            format!("{} is out of bounds; {} to {} bytes is possible", quote(words), bounds.start(), bounds.end())
        })
    }
}

/// A duration within bounds, in whole steps of the shortest unit that makes sense there.
pub(super) fn lasting(bounds: RangeInclusive<Duration>, step: Step) -> impl Fn(&Value) -> Result<Duration, String> {
    move |value| {
        let duration = match value {
            Value::Text(text) | Value::Words(text) => duration::parse(text, &bounds)?,
            Value::Integer(n) => return Err(duration::plain_number(&n.to_string())),
            other => {
                return Err(format!(
                    "{} is no duration; write it as \"30s\", \"5m\", \"1h\" or \"7d\"",
                    describe(other)
                ));
            }
        };
        match step {
            Step::Seconds if duration.subsec_nanos() != 0 => {
                Err(format!("`{}` is no whole number of seconds", duration::show(duration)))
            }
            _ => Ok(duration),
        }
    }
}

/// How finely a duration can be set.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// What stands in cookies and claims has whole seconds.
    Seconds,
    Milliseconds,
}

/// One of some names.
pub(super) fn one_of<T: Copy>(what: &str, names: &[(&str, T)]) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let text = text(value)?;
        names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
            format!("{} is no {what} ({})", quote(text), names.join(", "))
        })
    }
}

/// A value for people: quoted, on one line and not too long.
pub fn quote(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut quoted: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    quoted = quoted.replace("\\'", "'").replace("\\\"", "\"");
    let more = if text.chars().nth(LONGEST).is_some() { "…" } else { "" };
    format!("`{quoted}{more}`")
}

pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".into(),
        Value::Array(_) => "a list".into(),
        Value::Text(text) | Value::Words(text) | Value::Other(text) => quote(text),
        Value::Integer(n) => format!("`{n}`"),
        Value::Boolean(value) => format!("`{value}`"),
    }
}
