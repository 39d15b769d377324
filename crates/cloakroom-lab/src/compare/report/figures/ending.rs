//! From a sign-out to the last acceptance, by topology, also where the log cannot be heard.

use std::io;

use super::grouped;
use crate::compare::{
    Comparison, FeedCut, Row, Topology,
    report::{
        chart::{Bar, BarGroup, Bars, Scale},
        document::{Figure, Line},
        numbers::{millis, seconds},
        words::Words,
    },
};

pub(super) fn figure(comparison: &Comparison, words: Words) -> io::Result<Option<Figure>> {
    if comparison.rows.is_empty() && comparison.feed_cut.is_empty() {
        return Ok(None);
    }
    let bound = promised(comparison);
    let line = |bound: f64| (bound / 1000.0, words.with("ending-bound", [("time", &millis(bound, words))]));
    // Stores differ little in this; the slowest one stands for all.
    let mut groups: Vec<BarGroup> = grouped(&comparison.rows, |row| row.topology)
        .into_iter()
        .map(|(topology, rows)| BarGroup {
            title: words.topology(topology),
            bars: grouped(&rows, |row| row.method)
                .into_iter()
                .filter_map(|(_, rows)| slowest(rows.iter().map(|row| **row)))
                .map(|row| of_row(row, words))
                .collect(),
            bound: bound.map(line),
        })
        .collect();
    for (on_loss, cuts) in grouped(&comparison.feed_cut, |cut| cut.on_feed_loss.clone()) {
        groups.push(BarGroup {
            title: words.with("ending-cut", [("loss", &words.identifier("loss", &on_loss))]),
            bars: cuts.iter().map(|cut| of_cut(cut, words)).collect(),
            bound: cuts.iter().map(|cut| cut.bound_ms).max_by(f64::total_cmp).map(line),
        });
    }
    let bars = Bars {
        axis: words.say("ending-axis"),
        scale: Scale::Time,
        mark: Box::new(move |value| seconds(value, words)),
        groups,
    };
    let heads = words.all(["column-method-and-place", "column-lag-half", "column-lag-99", "column-lag-all"]);
    let table = comparison.rows.iter().map(|row| {
        let lag = row.end_lag_ms;
        Line::new(words.row(row), [lag.p50, lag.p99, lag.max].map(|lag| millis(lag, words)))
    });
    let cut = comparison.feed_cut.iter().map(|cut| {
        let title = words.with("ending-cut", [("loss", &words.identifier("loss", &cut.on_feed_loss))]);
        Line::new(words.of(cut.method, &title), [String::new(), String::new(), accepted(cut, words)])
    });
    let table = (heads, table.chain(cut).collect());
    let title = words.say("ending-title");
    Ok(Some(super::figure("figure-ending", title, sentence(comparison, bound, words), bars.draw()?, table)))
}

fn slowest<'r>(rows: impl Iterator<Item = &'r Row>) -> Option<&'r Row> {
    rows.max_by(|a, b| a.end_lag_ms.max.total_cmp(&b.end_lag_ms.max))
}

/// The longest that an end may go unheard, in milliseconds, as a verifier that refuses without the feed promises it.
fn promised(comparison: &Comparison) -> Option<f64> {
    let cut = comparison.feed_cut.iter().find(|cut| cut.on_feed_loss == "refuse").map(|cut| cut.bound_ms);
    let theft = || comparison.theft.iter().find(|theft| theft.then == "sign_out").map(|theft| theft.bound_s * 1000.0);
    cut.or_else(theft)
}

fn of_row(row: &Row, words: Words) -> Bar {
    let lag = row.end_lag_ms;
    Bar {
        method: row.method,
        name: row.method.name().to_owned(),
        value: lag.max / 1000.0,
        interval: None,
        label: millis(lag.max, words),
    }
}

fn of_cut(cut: &FeedCut, words: Words) -> Bar {
    Bar {
        method: cut.method,
        name: cut.method.name().to_owned(),
        value: if cut.ended { cut.accepted_for_ms } else { cut.bound_ms } / 1000.0,
        interval: None,
        label: accepted(cut, words),
    }
}

fn accepted(cut: &FeedCut, words: Words) -> String {
    if cut.ended {
        millis(cut.accepted_for_ms, words)
    } else {
        words.with("up-to", [("what", &millis(cut.bound_ms, words))])
    }
}

fn sentence(comparison: &Comparison, bound: Option<f64>, words: Words) -> String {
    let of = |one: bool| slowest(comparison.rows.iter().filter(move |row| (row.topology == Topology::One) == one));
    let told = |row: &Row| [millis(row.end_lag_ms.max, words), words.row(row)];
    let one = of(true).map(told).map(|[time, row]| words.with("ending-one", [("time", &time), ("row", &row)]));
    let more = of(false).map(told).map(|[time, row]| words.with("ending-more", [("time", &time), ("row", &row)]));
    let mut sentences: Vec<String> = [one, more].into_iter().flatten().collect();
    if let Some(bound) = bound {
        let late = comparison.rows.iter().filter(|row| row.end_lag_ms.max > bound).count();
        let bound = millis(bound, words);
        sentences.push(match late {
            0 => words.with("ending-all-kept", [("bound", &bound)]),
            _ => words.with("ending-not-kept", [("bound", &bound), ("late", &late.to_string())]),
        });
    }
    if let Some(cut) = comparison.feed_cut.iter().max_by(|a, b| a.bound_ms.total_cmp(&b.bound_ms)) {
        let (method, time) = (cut.method.name(), accepted(cut, words));
        sentences.push(words.with("ending-cut-longest", [("method", method), ("time", &time)]));
    }
    sentences.join(" ")
}
