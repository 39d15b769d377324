//! How long a copied credential works, from seconds to days.

use std::io;

use cloakroom_core::method::Method;

use super::grouped;
use crate::compare::{
    Comparison, Theft,
    report::{
        chart::{Bar, BarGroup, Bars, Scale},
        document::{Figure, Line},
        numbers::seconds,
        words::Words,
    },
};

pub(super) fn figure(comparison: &Comparison, words: Words) -> io::Result<Option<Figure>> {
    let thefts = &comparison.theft;
    let Some(longest) = thefts.iter().max_by(|a, b| lasts(a).total_cmp(&lasts(b))) else { return Ok(None) };
    let groups = grouped(thefts, |theft| theft.then.clone()).into_iter().map(|(then, thefts)| BarGroup {
        title: words.identifier("then", &then),
        bars: thefts.iter().map(|theft| bar(theft, words)).collect(),
        bound: None,
    });
    let bars = Bars {
        axis: words.say("theft-axis"),
        scale: Scale::Time,
        mark: Box::new(move |value| seconds(value, words)),
        groups: groups.collect(),
    };
    let heads = words.all(["column-method-and-copied", "column-then", "column-works-for", "column-at-most"]);
    let line = |theft: &Theft| {
        let copied = words.of(theft.method, &words.identifier("copied", &theft.copied));
        let then = words.identifier("then", &theft.then);
        Line::new(copied, [then, works_for(theft, words), seconds(theft.bound_s, words)])
    };
    let ended = thefts.iter().filter(|theft| theft.then == "sign_out");
    let mut sentences = Vec::new();
    if let Some(ended) = ended.max_by(|a, b| lasts(a).total_cmp(&lasts(b))) {
        sentences
            .push(words.with("theft-signed-out", [("time", &works_for(ended, words)), ("what", &told(ended, words))]));
    }
    let then = words.identifier("then", &longest.then);
    let about = [("time", works_for(longest, words)), ("what", told(longest, words)), ("then", then)];
    sentences.push(words.with("theft-longest", about.each_ref().map(|(name, value)| (*name, value.as_str()))));
    let table = (heads, thefts.iter().map(line).collect());
    let title = words.say("theft-title");
    Ok(Some(super::figure("figure-theft", title, sentences.join(" "), bars.draw()?, table)))
}

/// How long a copy of what a method's requests show works if nobody notices.
pub(in super::super) fn unnoticed(comparison: &Comparison, method: Method, words: Words) -> Option<String> {
    let shown = |theft: &&Theft| theft.method == method && theft.then == "nothing" && theft.copied != "refresh_token";
    comparison.theft.iter().find(shown).map(|theft| works_for(theft, words))
}

/// As it was measured, or else as long as it can.
fn lasts(theft: &Theft) -> f64 {
    theft.window_s.unwrap_or(theft.bound_s)
}

fn works_for(theft: &Theft, words: Words) -> String {
    match theft.window_s {
        Some(window) => seconds(window, words),
        None => words.with("up-to", [("what", &seconds(theft.bound_s, words))]),
    }
}

fn told(theft: &Theft, words: Words) -> String {
    words.of(theft.method, &words.identifier("copied", &theft.copied))
}

fn bar(theft: &Theft, words: Words) -> Bar {
    Bar {
        method: theft.method,
        name: told(theft, words),
        value: lasts(theft),
        interval: None,
        label: works_for(theft, words),
    }
}
