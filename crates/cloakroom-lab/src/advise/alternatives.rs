//! What would change an answer, found by deciding again: the smallest change of one key that brings another method, and of a case that
//! nothing satisfies, what contradicts what.

use std::{collections::BTreeSet, time::Duration};

use cloakroom_core::method::Method;
use serde::Serialize;
use serde_json::Value;

use super::{recommend, words::words};
use crate::{
    case::{Case, Client, EndWithin, Key, Verifiers, shown},
    language::Lang,
};

/// A change of a case, and what the answer then is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The key.
    pub key: &'static str,
    /// What the case says.
    pub from: Value,
    /// What it would have to say.
    pub to: Value,
    /// The method then; `None`: nothing satisfies it.
    pub recommended: Option<Method>,
}

/// What in a case contradicts what else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conflict {
    /// The keys that cannot hold together.
    pub keys: Vec<&'static str>,
    /// The same in words, with the smallest change that helps.
    pub text: String,
    /// What would help, the smallest change first: each is enough, unless `together`.
    pub changes: Vec<Change>,
    /// All of the changes are needed.
    pub together: bool,
}

/// The keys that can rule a method out.
pub(super) const CONSTRAINTS: [Key; 8] = [
    Key::CrossSite,
    Key::EndWithin,
    Key::SharedStore,
    Key::OfflineVerification,
    Key::Sensitive,
    Key::Verifiers,
    Key::Servers,
    Key::Clients,
];

/// For each key the smallest change that brings another answer.
pub(super) fn changes(case: &Case) -> Vec<Change> {
    let now = recommend(case);
    let differs = |other: &Case| recommend(other) != now;
    let found = Key::ALL.into_iter().filter_map(|key| {
        let other = match number(case, key) {
            Some(range) => nearest_number(case, key, range, &differs)?,
            None => neighbours(case, key).into_iter().find(|other| differs(other))?,
        };
        Some(change(case, &other, key))
    });
    found.collect()
}

/// What cannot hold together, if nothing satisfies the case, or what in it means nothing.
pub(super) fn conflicts(case: &Case, lang: Lang) -> Vec<Conflict> {
    let words = words(lang);
    if recommend(case).is_some() {
        // It changes no answer, but whoever wrote it meant something else.
        if case.cross_site && !case.has(Client::Browser) {
            let other = Case { cross_site: false, ..case.clone() };
            return vec![Conflict {
                keys: vec![Key::CrossSite.name(), Key::Clients.name()],
                text: words.no_pages.to_owned(),
                changes: vec![change(case, &other, Key::CrossSite)],
                together: false,
            }];
        }
        return Vec::new();
    }
    let keys = core(case);
    let (changes, together) = remedy(case, &keys);
    let said = |key: &Key| format!("{} = {}", key.name(), shown(&case.value(*key)));
    let held: Vec<_> = keys.iter().map(said).collect();
    let done: Vec<_> = changes.iter().map(|change| format!("{} = {}", change.key, shown(&change.to))).collect();
    let first = if together { done.join(words.and) } else { done.first().cloned().unwrap_or_default() };
    let then = changes.first().and_then(|change| change.recommended).map(Method::name).unwrap_or_default();
    let text = (words.unsatisfiable)(&held.join(words.and), &first, then);
    vec![Conflict { keys: keys.iter().map(|key| key.name()).collect(), text, changes, together }]
}

fn change(from: &Case, to: &Case, key: Key) -> Change {
    Change { key: key.name(), from: from.value(key), to: to.value(key), recommended: recommend(to) }
}

/// The fewest keys that contradict each other whatever the others are: each of the others can be given up without helping.
fn core(case: &Case) -> Vec<Key> {
    let mut loose = case.clone();
    let mut keys = Vec::new();
    for key in CONSTRAINTS {
        let Some(loosest) = looser(&loose, key).pop() else { continue };
        if recommend(&loosest).is_some() {
            keys.push(key);
        } else {
            loose = loosest;
        }
    }
    keys
}

/// The smallest changes that help: of one key, each by itself; or, where that is not enough, of two.
fn remedy(case: &Case, keys: &[Key]) -> (Vec<Change>, bool) {
    let satisfied = |other: &Case| recommend(other).is_some();
    let one: Vec<_> = CONSTRAINTS
        .iter()
        .filter_map(|key| Some(change(case, &looser(case, *key).into_iter().find(satisfied)?, *key)))
        .collect();
    if !one.is_empty() {
        return (one, false);
    }
    for first in keys {
        for second in CONSTRAINTS.iter().filter(|second| *second != first) {
            for half in looser(case, *first) {
                if let Some(both) = looser(&half, *second).into_iter().find(satisfied) {
                    let done = |key: &Key| Change { recommended: recommend(&both), ..change(case, &both, *key) };
                    return (vec![done(first), done(second)], true);
                }
            }
        }
    }
    (Vec::new(), true)
}

/// The same case with a constraint loosened, the least first.
pub(super) fn looser(case: &Case, key: Key) -> Vec<Case> {
    let with = |change: &dyn Fn(&mut Case)| {
        let mut other = case.clone();
        change(&mut other);
        other
    };
    match key {
        Key::CrossSite if case.cross_site => vec![with(&|c| c.cross_site = false)],
        Key::SharedStore if !case.shared_store => vec![with(&|c| c.shared_store = true)],
        Key::OfflineVerification if case.offline_verification => vec![with(&|c| c.offline_verification = false)],
        Key::Sensitive if case.sensitive => vec![with(&|c| c.sensitive = false)],
        Key::Servers if case.servers > 1 => vec![with(&|c| c.servers = 1)],
        Key::Regions if case.regions > 1 => vec![with(&|c| c.regions = 1)],
        Key::EndWithin => {
            ends().filter(|end| *end > case.end_within).map(|end| with(&|c| c.end_within = end)).collect()
        }
        Key::Verifiers => {
            let easier = Verifiers::ALL.into_iter().rev().filter(|other| *other < case.verifiers);
            easier.map(|other| with(&|c| c.verifiers = other)).collect()
        }
        // Whatever a program of one's own can do is left when the others have gone.
        Key::Clients => {
            let fewer = case.clients.iter().filter(|_| case.clients.len() > 1);
            let mut cases: Vec<_> = fewer.map(|client| with(&|c| c.clients.retain(|other| other != client))).collect();
            if !case.clients.iter().eq(&[Client::Service]) {
                cases.push(with(&|c| c.clients = BTreeSet::from([Client::Service])));
            }
            cases
        }
        _ => Vec::new(),
    }
}

/// Ends that people ask for, the strictest first.
fn ends() -> impl Iterator<Item = EndWithin> {
    let seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 3600].map(Duration::from_secs);
    let within = [Duration::from_millis(100)].into_iter().chain(seconds).map(EndWithin::Within);
    [EndWithin::NextRequest].into_iter().chain(within).chain([EndWithin::Any])
}

/// The same case with another value at a key that is no number, what is nearest first.
fn neighbours(case: &Case, key: Key) -> Vec<Case> {
    let mut other = case.clone();
    match key {
        Key::CrossSite => other.cross_site = !case.cross_site,
        Key::SharedStore => other.shared_store = !case.shared_store,
        Key::OfflineVerification => other.offline_verification = !case.offline_verification,
        Key::Sensitive => other.sensitive = !case.sensitive,
        Key::EndWithin => {
            let stricter = ends().filter(|end| *end < case.end_within).collect::<Vec<_>>().into_iter().rev();
            let stricter = stricter.map(|end| Case { end_within: end, ..case.clone() });
            return stricter.chain(looser(case, key)).collect();
        }
        Key::Verifiers => {
            let others = Verifiers::ALL.into_iter().filter(|other| *other != case.verifiers);
            return others.map(|verifiers| Case { verifiers, ..case.clone() }).collect();
        }
        Key::Clients => {
            let with = |change: &dyn Fn(&mut BTreeSet<Client>)| {
                let mut other = case.clone();
                change(&mut other.clients);
                other
            };
            let more =
                Client::ALL.iter().filter(|client| !case.has(**client)).map(|client| with(&|c| _ = c.insert(*client)));
            let less =
                case.clients.iter().filter(|_| case.clients.len() > 1).map(|client| with(&|c| _ = c.remove(client)));
            let instead = Client::ALL.iter().map(|client| with(&|c| *c = BTreeSet::from([*client])));
            return more.chain(less).chain(instead).collect();
        }
        _ => return Vec::new(),
    }
    vec![other]
}

/// A key that holds a number: its value, and the range that is looked through.
fn number(case: &Case, key: Key) -> Option<(f64, f64, f64)> {
    Some(match key {
        Key::LiveSessions => (case.live_sessions as f64, 1.0, 1e9),
        Key::RequestsPerSecond => (case.requests_per_second, 1.0, 1e7),
        Key::LoginsPerSecond => (case.logins_per_second, 0.01, 1e5),
        Key::Servers => (f64::from(case.servers), 1.0, 1_000.0),
        Key::Regions => (f64::from(case.regions), 1.0, 100.0),
        Key::StoreRoundTripMs => (case.store_round_trip_ms, 0.1, 1_000.0),
        Key::EgressPricePerGb => (case.egress_price_per_gb, 0.001, 1_000.0),
        _ => return None,
    })
}

#[expect(clippy::cast_sign_loss, reason = "the ranges begin above zero")]
fn with_number(case: &Case, key: Key, value: f64) -> Case {
    let mut other = case.clone();
    match key {
        Key::LiveSessions => other.live_sessions = value.round() as u64,
        Key::RequestsPerSecond => other.requests_per_second = value,
        Key::LoginsPerSecond => other.logins_per_second = value,
        Key::Servers => other.servers = value.round() as u32,
        Key::Regions => other.regions = value.round() as u32,
        Key::StoreRoundTripMs => other.store_round_trip_ms = value,
        Key::EgressPricePerGb => other.egress_price_per_gb = value,
        _ => {}
    }
    other
}

/// The least factor, up or down, that brings another answer: doubled until it does, then halved between the two.
fn nearest_number(
    case: &Case,
    key: Key,
    (now, least, most): (f64, f64, f64),
    differs: &dyn Fn(&Case) -> bool,
) -> Option<Case> {
    let found = [2.0, 0.5].into_iter().filter_map(|factor: f64| {
        let (mut same, mut other) = (now.max(least), now.max(least));
        while !differs(&with_number(case, key, other)) {
            same = other;
            other = (other * factor).clamp(least, most);
            if (other - same).abs() < f64::EPSILON {
                return None;
            }
        }
        while (other / same).ln().abs() > 0.001 {
            let middle = (same * other).sqrt();
            if differs(&with_number(case, key, middle)) { other = middle } else { same = middle }
        }
        Some(tidy(other, now, |value| differs(&with_number(case, key, value))))
    });
    let nearest = found.min_by(|a, b| (a / now).ln().abs().total_cmp(&(b / now).ln().abs()))?;
    Some(with_number(case, key, nearest))
}

/// The value with the fewest digits that does the same, on the far side of the threshold.
fn tidy(value: f64, now: f64, differs: impl Fn(f64) -> bool) -> f64 {
    (0..6)
        .flat_map(|digits| {
            let scale = 10_f64.powi(digits - value.log10().floor() as i32);
            let beyond = if value > now { (value * scale).ceil() } else { (value * scale).floor() };
            // The threshold itself may be a hair on the near side.
            [(value * scale).round() / scale, beyond / scale]
        })
        .chain([value])
        .find(|rounded| differs(*rounded) && (rounded / value).ln().abs() < 0.05)
        .unwrap_or(value)
}
