//! Three sentences: what to use, what it costs, what ends and thefts are like. The other method that it is held against is the one
//! that people weigh it with: a token against what is looked up, and a session against what is signed.

use cloakroom_core::method::Method;

use super::{
    choice::best,
    difference::{Difference, noise},
    figures::unnoticed,
    numbers::{NOTHING, bytes, factor, micros, millis},
    words::Words,
};
use crate::compare::{Comparison, Row};

pub(super) fn sentences(comparison: &Comparison, words: Words) -> Vec<String> {
    let chosen = comparison.verdict.recommended;
    let own = chosen.unwrap_or(Method::Session);
    let other = if own.has_tokens() { Method::Session } else { Method::Jwt };
    let (Some(row), Some(other)) = (best(comparison, own), best(comparison, other)) else {
        return vec![words.say("verdict-too-little")];
    };
    let first = match chosen {
        Some(method) => words.with(
            "verdict-use",
            [
                ("method", method.name()),
                ("place", &words.place(row.store, row.topology)),
                ("why", &words.say(&format!("why-{}", method.name()))),
            ],
        ),
        None => words.say("verdict-none"),
    };
    vec![first, cost(comparison, [row, other], words), ends(comparison, [row, other], words)]
}

fn cost(comparison: &Comparison, [row, other]: [&Row; 2], words: Words) -> String {
    let cpu = [row, other].map(|row| micros(row.verify.cpu_us_per_request));
    let sent = [row, other].map(|row| match row.wire.credential_bytes {
        0 => NOTHING.to_owned(),
        count => bytes(count as f64),
    });
    let (key, times) = match Difference::between(&row.verify, &other.verify, noise(comparison.machine.noise)) {
        Difference::NotSeen => ("verdict-cost-not-seen", String::new()),
        Difference::Seen(ratio) => ("verdict-cost-seen", factor(ratio)),
    };
    words.with(
        key,
        [
            ("method", row.method.name()),
            ("other", other.method.name()),
            ("cpu", &cpu[0]),
            ("othercpu", &cpu[1]),
            ("bytes", &sent[0]),
            ("otherbytes", &sent[1]),
            ("times", &times),
        ],
    )
}

fn ends(comparison: &Comparison, rows: [&Row; 2], words: Words) -> String {
    let lag = rows.map(|row| millis(row.end_lag_ms.max, words));
    let copy = rows.map(|row| unnoticed(comparison, row.method, words).unwrap_or_else(|| NOTHING.to_owned()));
    words.with(
        "verdict-ends",
        [
            ("method", rows[0].method.name()),
            ("other", rows[1].method.name()),
            ("lag", &lag[0]),
            ("otherlag", &lag[1]),
            ("copy", &copy[0]),
            ("othercopy", &copy[1]),
        ],
    )
}
