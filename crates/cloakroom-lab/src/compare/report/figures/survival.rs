//! What becomes of those who are signed in when something dies under them.

use std::io;

use cloakroom_core::method::Method;

use super::{grouped, methods_of};
use crate::compare::{
    Comparison, Survival,
    report::{
        chart::{Matrix, MatrixCell, MatrixRow},
        document::{Figure, Line},
        numbers::percent,
        words::Words,
    },
};

pub(super) fn figure(comparison: &Comparison, words: Words) -> io::Result<Option<Figure>> {
    let all = &comparison.survival;
    let Some(worst) = all.iter().min_by(|a, b| share(a, a.after).total_cmp(&share(b, b.after))) else {
        return Ok(None);
    };
    let methods = methods_of(all.iter().map(|survival| survival.method));
    let groups = grouped(all, |survival| (survival.event.clone(), survival.store, survival.topology));
    let rows = groups.into_iter().map(|((event, store, topology), members)| {
        let cell = |method: &Method| {
            let found = members.iter().find(|survival| survival.method == *method)?;
            Some(MatrixCell { upper: share(found, found.during), lower: share(found, found.after) })
        };
        MatrixRow {
            title: words.identifier("event", &event),
            place: words.place(store, topology),
            cells: methods.iter().map(cell).collect(),
        }
    });
    let rows = rows.collect();
    let matrix = Matrix { methods, bars: [words.say("survival-upper"), words.say("survival-lower")], rows };
    let heads = words.all(["column-event", "column-method", "column-during", "column-after"]);
    let line = |survival: &Survival| {
        let event = words.with(
            "event-and-place",
            [
                ("event", &words.identifier("event", &survival.event)),
                ("place", &words.place(survival.store, survival.topology)),
            ],
        );
        let shares = [survival.during, survival.after].map(|count| percent(share(survival, count)));
        let [during, after] = shares;
        Line::new(event, [survival.method.name().to_owned(), during, after])
    };
    let kept = all.iter().filter(|survival| survival.after >= survival.signed_in).count();
    let counts = [kept.to_string(), all.len().to_string(), percent(share(worst, worst.after))];
    let [kept, of, left] = counts.each_ref().map(String::as_str);
    let what = words.of(worst.method, &words.place(worst.store, worst.topology));
    let event = words.identifier("event", &worst.event);
    let sentence = if worst.after >= worst.signed_in {
        words.with("survival-all", [("of", of)])
    } else {
        words.with("survival-some", [("kept", kept), ("of", of), ("left", left), ("what", &what), ("event", &event)])
    };
    let table = (heads, all.iter().map(line).collect());
    Ok(Some(super::figure("figure-survival", words.say("survival-title"), sentence, matrix.draw()?, table)))
}

/// Of those who were signed in.
fn share(survival: &Survival, count: usize) -> f64 {
    if survival.signed_in == 0 { f64::NAN } else { count as f64 / survival.signed_in as f64 }
}
