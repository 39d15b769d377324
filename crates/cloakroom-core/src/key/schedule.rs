//! What a key is at a moment: next (published, unused), current, retired (still checked), gone or killed.
//!
//! A pure function of the rows of one purpose, so that all servers agree without talking.

use std::time::Duration;

use serde::Serialize;

use super::row::KeyRow;
use crate::clock::Timestamp;

/// What a key is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Published, not yet used.
    Next,
    /// What new credentials are made with.
    Current,
    /// No longer used, still checked: its last credential can be alive.
    Retired,
    /// Its last credential has expired.
    Gone,
    /// Killed: nothing it made is accepted.
    Killed,
    /// Its row is of no use: no master secret that the store's keys are under opens it.
    Unreadable,
}

/// How keys of one purpose rotate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// How long a key is current (30 d by default).
    pub period: Duration,
    /// How long before its first use a key is published: longer than any verifier caches the key set (F045).
    pub lead: Duration,
    /// The longest that a credential made with it can live, leeway included.
    pub longest_life: Duration,
}

/// The states of the keys of one purpose, in the order given.
pub fn states(rows: &[KeyRow], now: Timestamp, rotation: &Rotation) -> Vec<State> {
    let alive = |row: &&KeyRow| row.killed.is_none();
    let current = current(rows.iter(), now).map(|row| row.ordinal);
    rows.iter()
        .map(|row| {
            if row.killed.is_some() {
                return State::Killed;
            }
            if Some(row.ordinal) == current {
                return State::Current;
            }
            // It was replaced when the next living key began.
            let replaced = rows.iter().filter(alive).filter(|r| r.ordinal > row.ordinal).map(|r| r.from).min();
            match replaced {
                Some(at) if at <= now && now < at + rotation.longest_life => State::Retired,
                Some(at) if at <= now => State::Gone,
                _ => State::Next,
            }
        })
        .collect()
}

/// The key that new credentials are made with: of the living ones that have begun the latest, or, where a kill left none,
/// the first that will begin.
pub fn current<'a>(rows: impl Iterator<Item = &'a KeyRow> + Clone, now: Timestamp) -> Option<&'a KeyRow> {
    let mut living = rows.filter(|row| row.killed.is_none());
    let begun = living.clone().filter(|row| row.from <= now).max_by_key(|row| row.ordinal);
    begun.or_else(|| living.by_ref().min_by_key(|row| row.ordinal))
}

/// When the next key of a purpose must be used from, if one must be made now; `None`: not yet, or it is there already.
pub fn due(rows: &[KeyRow], now: Timestamp, rotation: &Rotation) -> Option<Timestamp> {
    let Some(current) = current(rows.iter(), now) else { return Some(now) };
    let has_next = rows.iter().any(|row| row.killed.is_none() && row.ordinal > current.ordinal);
    let end = current.from + rotation.period;
    (!has_next && now + rotation.lead >= end).then(|| end.max(now + rotation.lead))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::Kid,
        key::{Purpose, WrappedKey},
    };

    const DAY: Duration = Duration::from_secs(86_400);
    const ROTATION: Rotation = Rotation {
        period: Duration::from_secs(30 * 86_400),
        lead: Duration::from_secs(3600),
        longest_life: Duration::from_secs(300),
    };

    fn start() -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }

    fn key(ordinal: u32, from: Timestamp) -> KeyRow {
        KeyRow {
            kid: Kid::parse(&format!("k{ordinal}")).unwrap(),
            purpose: Purpose::Mac,
            ordinal,
            wrapped: WrappedKey::from_bytes(vec![]),
            created: from,
            from,
            killed: None,
        }
    }

    #[test]
    fn a_new_purpose_is_due_at_once_and_a_young_key_is_not() {
        assert_eq!(due(&[], start(), &ROTATION), Some(start()));
        assert_eq!(due(&[key(1, start())], start() + DAY, &ROTATION), None);
    }

    /// F045: the next key is published a lead before its use, and the last stays until its last token has ended.
    #[test]
    fn a_rotation_leaves_no_gap() {
        let end = start() + ROTATION.period;
        let mut rows = vec![key(1, start())];
        assert_eq!(due(&rows, end - ROTATION.lead, &ROTATION), Some(end));
        rows.push(key(2, end));
        assert_eq!(due(&rows, end - Duration::from_secs(1), &ROTATION), None);
        assert_eq!(states(&rows, end - Duration::from_secs(1), &ROTATION), [State::Current, State::Next]);
        assert_eq!(states(&rows, end, &ROTATION), [State::Retired, State::Current]);
        assert_eq!(states(&rows, end + Duration::from_secs(299), &ROTATION), [State::Retired, State::Current]);
        assert_eq!(states(&rows, end + ROTATION.longest_life, &ROTATION), [State::Gone, State::Current]);
    }

    #[test]
    fn a_server_that_slept_past_the_end_still_publishes_before_use() {
        let late = start() + ROTATION.period + 40 * DAY;
        assert_eq!(due(&[key(1, start())], late, &ROTATION), Some(late + ROTATION.lead));
        assert_eq!(states(&[key(1, start())], late, &ROTATION), [State::Current]);
    }

    #[test]
    fn a_killed_key_is_replaced_at_once() {
        let mut rows = vec![key(1, start()), key(2, start() + DAY)];
        rows[0].killed = Some(start());
        assert_eq!(states(&rows, start(), &ROTATION), [State::Killed, State::Current]);
        rows[1].killed = Some(start());
        assert_eq!(due(&rows, start(), &ROTATION), Some(start()));
    }
}
