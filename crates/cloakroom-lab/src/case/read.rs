//! Reading a case file. A mistake is noted and its default taken, so that all of them are told at once.

use std::{fmt, ops::RangeInclusive, path::Path, time::Duration};

use cloakroom_server::config::{nearest, parse_duration, quote};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Case, Client, EndWithin, Key, Verifiers};

/// One mistake in a case file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseError {
    /// The key; `None` where the file as a whole cannot be read.
    pub key: Option<String>,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
    file: String,
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        write!(f, "{}; in {} line {}", self.problem, self.file, self.line)
    }
}

impl Serialize for CaseError {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut fields = s.serialize_struct("CaseError", 4)?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("line", &self.line)?;
        fields.serialize_field("problem", &self.problem)?;
        fields.serialize_field("message", &self.to_string())?;
        fields.end()
    }
}

/// All the mistakes of a case file, in the order of its lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CaseErrors(Vec<CaseError>);

impl CaseErrors {
    /// Each mistake.
    pub fn iter(&self) -> impl Iterator<Item = &CaseError> {
        self.0.iter()
    }
}

/// One line for each mistake.
impl fmt::Display for CaseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for CaseErrors {}

impl Case {
    /// Reads a case file's text; `path` is what errors call it.
    ///
    /// ```
    /// use cloakroom_lab::case::Case;
    ///
    /// let case = Case::parse("shop.toml".as_ref(), "servers = 3\nend_within = \"5s\"")?;
    /// assert_eq!((case.servers, case.regions), (3, 1));
    /// let errors = Case::parse("shop.toml".as_ref(), "severs = 3").unwrap_err();
    /// assert_eq!(errors.to_string(), "`severs`: there is no such key (did you mean `servers`?); in shop.toml line 1");
    /// # Ok::<(), cloakroom_lab::case::CaseErrors>(())
    /// ```
    pub fn parse(path: &Path, text: &str) -> Result<Self, CaseErrors> {
        let file = path.display().to_string();
        let line = |at: usize| text.as_bytes()[..at.min(text.len())].split(|b| *b == b'\n').count();
        let (table, syntax) = DeTable::parse_recoverable(text);
        let mut errors: Vec<_> = syntax
            .iter()
            .map(|error| CaseError {
                key: None,
                line: line(error.span().map_or(text.len(), |span| span.start)),
                problem: format!("this is no TOML: {}", error.message()),
                file: file.clone(),
            })
            .collect();
        let mut case = Self::default();
        if errors.is_empty() {
            for (name, value) in table.get_ref() {
                let read = match Key::ALL.into_iter().find(|key| key.name() == name.get_ref().as_ref()) {
                    Some(key) => set(&mut case, key, value.get_ref()),
                    None => Err(unknown(name)),
                };
                if let Err(problem) = read {
                    let (key, line) = (Some(name.get_ref().to_string()), line(name.span().start));
                    errors.push(CaseError { key, line, problem, file: file.clone() });
                }
            }
        }
        if errors.is_empty() {
            return Ok(case);
        }
        errors.sort_by_key(|error| error.line);
        Err(CaseErrors(errors))
    }
}

/// Takes the answer to a question: what would stand behind `key =` in a file, where quotes may be left out. The error says what
/// would be right.
pub fn parse_value(case: &mut Case, key: Key, text: &str) -> Result<(), String> {
    let text = text.trim();
    let bare = |value: &str| format!("{:?}", value.trim().trim_matches(['"', '\'']));
    let written = match key {
        Key::Clients => {
            let names = text.trim_matches(['[', ']']).split([',', ' ']).filter(|name| !name.is_empty());
            format!("[{}]", names.map(bare).collect::<Vec<_>>().join(", "))
        }
        Key::EndWithin | Key::Verifiers => bare(text),
        Key::SharedStore | Key::CrossSite | Key::OfflineVerification | Key::Sensitive => {
            match text.to_lowercase().as_str() {
                "y" | "yes" | "true" | "예" | "네" => "true".into(),
                "n" | "no" | "false" | "아니요" | "아니오" => "false".into(),
                _ => bare(text),
            }
        }
        _ => match text.replace([',', '_'], "") {
            digits if digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !digits.is_empty() => digits,
            _ => bare(text),
        },
    };
    let value = DeValue::parse(&written).map_err(|_| format!("{} cannot be read", quote(text)))?;
    set(case, key, value.get_ref())
}

fn set(case: &mut Case, key: Key, value: &DeValue<'_>) -> Result<(), String> {
    match key {
        Key::Clients => {
            let DeValue::Array(items) = value else {
                return Err(format!("{} is no list; write it as [\"browser\", \"mobile\"]", describe(value)));
            };
            let names = Client::ALL.map(|client| (client.name(), client));
            let clients: Result<_, _> =
                items.iter().map(|item| one_of("kind of client", &names, item.get_ref())).collect();
            case.clients = clients?;
            if case.clients.is_empty() {
                return Err("it is empty, but somebody asks; write it as [\"browser\"]".into());
            }
        }
        Key::LiveSessions => case.live_sessions = whole(value, 1..=1_000_000_000_000)?,
        Key::RequestsPerSecond => case.requests_per_second = real(value, 0.0..=1e9)?,
        Key::LoginsPerSecond => case.logins_per_second = real(value, 0.0..=1e6)?,
        Key::Servers => case.servers = whole(value, 1..=100_000)? as u32,
        Key::Regions => case.regions = whole(value, 1..=1_000)? as u32,
        Key::StoreRoundTripMs => case.store_round_trip_ms = real(value, 0.0..=60_000.0)?,
        Key::SharedStore => case.shared_store = boolean(value)?,
        Key::EndWithin => case.end_within = end_within(value)?,
        Key::Verifiers => {
            case.verifiers = one_of("kind of verifier", &Verifiers::ALL.map(|v| (v.name(), v)), value)?;
        }
        Key::CrossSite => case.cross_site = boolean(value)?,
        Key::OfflineVerification => case.offline_verification = boolean(value)?,
        Key::Sensitive => case.sensitive = boolean(value)?,
        Key::EgressPricePerGb => case.egress_price_per_gb = real(value, 0.0..=1e9)?,
    }
    Ok(())
}

fn unknown(name: &Spanned<std::borrow::Cow<'_, str>>) -> String {
    let near = nearest(name.get_ref(), Key::ALL.map(Key::name));
    near.map_or_else(
        || format!("there is no such key; there are {}", Key::ALL.map(Key::name).join(", ")),
        |near| format!("there is no such key (did you mean `{near}`?)"),
    )
}

fn end_within(value: &DeValue<'_>) -> Result<EndWithin, String> {
    const LONGEST: Duration = Duration::from_hours(400 * 24);
    match value {
        DeValue::String(text) if text.trim() == "any" => Ok(EndWithin::Any),
        DeValue::String(text) => {
            let time = parse_duration(text, &(Duration::ZERO..=LONGEST))
                .map_err(|problem| format!("{problem}; \"0s\": from the next request on; \"any\": at its expiry"))?;
            Ok(if time.is_zero() { EndWithin::NextRequest } else { EndWithin::Within(time) })
        }
        other => {
            Err(format!("{} is no duration; write it as \"0s\", \"5s\", \"1m\", \"1h\" or \"any\"", describe(other)))
        }
    }
}

fn whole(value: &DeValue<'_>, bounds: RangeInclusive<u64>) -> Result<u64, String> {
    let DeValue::Integer(number) = value else {
        return Err(format!(
            "{} is no whole number; {} to {} is possible",
            describe(value),
            bounds.start(),
            bounds.end()
        ));
    };
    let number = u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|n| bounds.contains(n));
    number.ok_or_else(|| {
        format!("{} is out of bounds; {} to {} is possible", describe(value), bounds.start(), bounds.end())
    })
}

fn real(value: &DeValue<'_>, bounds: RangeInclusive<f64>) -> Result<f64, String> {
    let number = match value {
        DeValue::Integer(n) => i128::from_str_radix(n.as_str(), n.radix()).map_or(f64::MAX, |n| n as f64),
        DeValue::Float(n) => n.as_str().parse().unwrap_or(f64::NAN),
        other => {
            let (least, most) = (bounds.start(), bounds.end());
            return Err(format!("{} is no number; {least} to {most} is possible", describe(other)));
        }
    };
    // NaN is within no bounds.
    if bounds.contains(&number) {
        return Ok(number);
    }
    Err(format!("{} is out of bounds; {} to {} is possible", describe(value), bounds.start(), bounds.end()))
}

fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    match value {
        DeValue::Boolean(value) => Ok(*value),
        other => Err(format!("{} is neither true nor false", describe(other))),
    }
}

fn one_of<T: Copy>(what: &str, names: &[(&str, T)], value: &DeValue<'_>) -> Result<T, String> {
    let all = || names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let DeValue::String(text) = value else {
        return Err(format!("{} is no text; write one of {} in quotes", describe(value), all()));
    };
    let found = names.iter().find(|(name, _)| name == text).map(|(_, value)| *value);
    found.ok_or_else(|| format!("{} is no {what} ({})", quote(text), all()))
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Table(_) => "a table".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::String(text) => quote(text),
        DeValue::Integer(n) => format!("`{n}`"),
        DeValue::Float(n) => format!("`{n}`"),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(date) => format!("`{date}`"),
    }
}
