//! The cost model: what it predicted beside what was measured, and what it says of sizes that nobody has measured.

use std::io;

use super::{figure, methods_of};
use crate::{
    compare::{
        Comparison, Extrapolation, Prediction,
        report::{
            Difference,
            chart::{Bar, BarGroup, Bars, Lines, Point, Scale, Series},
            document::{Figure, Line, one_line},
            numbers::{bytes, count, number, percent, times},
            words::Words,
        },
    },
    stats::median,
};

/// What it predicted, as a share of what was measured.
pub(super) fn tested(comparison: &Comparison, words: Words) -> io::Result<Option<Figure>> {
    let tests = &comparison.model.tests;
    let error = |test: &Prediction| test.predicted / test.measured - 1.0;
    let Some(worst) = tests.iter().max_by(|a, b| error(a).abs().total_cmp(&error(b).abs())) else { return Ok(None) };
    let bar = |test: &Prediction| Bar {
        method: test.method,
        name: test.method.name().to_owned(),
        value: error(test) * 100.0,
        interval: None,
        label: percent(error(test)),
    };
    let groups = super::grouped(tests, |test| words.predicted(test)).into_iter().map(|(what, tests)| BarGroup {
        title: one_line(&what),
        bars: tests.iter().map(|test| bar(test)).collect(),
        bound: None,
    });
    let bars =
        Bars { axis: words.say("model-axis"), scale: Scale::Linear, mark: Box::new(number), groups: groups.collect() };
    let heads = words.all(["column-prediction", "column-predicted", "column-measured", "column-error"]);
    let line = |test: &Prediction| {
        let value = |value: f64| format!("{} {}", number(value), one_line(&test.unit));
        let cells = [value(test.predicted), value(test.measured), percent(error(test))];
        Line::new(words.of(test.method, &words.predicted(test)), cells)
    };
    let middle = median(&mut tests.iter().map(|test| error(test).abs()).collect::<Vec<_>>());
    let told = [tests.len().to_string(), percent(middle), percent(error(worst).abs())];
    let [tests_count, middle, most] = told.each_ref().map(String::as_str);
    let what = words.of(worst.method, &words.predicted(worst));
    let about = [("count", tests_count), ("middle", middle), ("most", most), ("what", &what)];
    let table = (heads, tests.iter().map(line).collect());
    let title = words.say("model-title");
    Ok(Some(figure("figure-model", title, words.with("model-sentence", about), bars.draw()?, table)))
}

/// Cores that it takes to serve ever more live logins.
pub(super) fn extrapolated(comparison: &Comparison, words: Words) -> io::Result<Option<Figure>> {
    let all = &comparison.model.extrapolation;
    let of = |method| {
        let mut sizes: Vec<&Extrapolation> = all.iter().filter(|size| size.method == method).collect();
        sizes.sort_by_key(|size| size.live_sessions);
        sizes
    };
    let methods = methods_of(all.iter().map(|size| size.method));
    let series = methods.iter().map(|method| Series {
        name: method.name().to_owned(),
        points: of(*method)
            .into_iter()
            .map(|size| Point {
                x: size.live_sessions as f64,
                y: size.cpu_cores.value,
                interval: Some((size.cpu_cores.low, size.cpu_cores.high)),
            })
            .collect(),
    });
    let lines = Lines {
        x: words.say("axis-live"),
        y: words.say("extrapolation-axis"),
        scale: Scale::Log,
        mark: Box::new(number),
        series: series.collect(),
    };
    let Some(sentence) = sentence(all, words) else { return Ok(None) };
    let heads = words.all([
        "column-method",
        "column-live",
        "column-requests",
        "column-cores",
        "column-store-operations-second",
        "column-state",
        "column-wire-second",
        "column-egress",
    ]);
    let rows = methods.iter().flat_map(|method| of(*method)).map(|size| {
        let cores = size.cpu_cores;
        let cells = [
            count(size.live_sessions),
            number(size.requests_per_second),
            words.with(
                "about",
                [("value", &number(cores.value)), ("low", &number(cores.low)), ("high", &number(cores.high))],
            ),
            number(size.store_operations_per_second.value),
            bytes(size.state_bytes.value),
            bytes(size.wire_bytes_per_second),
            number(size.egress_per_month),
        ];
        Line::new(size.method.name().to_owned(), cells)
    });
    let table = (heads, rows.collect());
    Ok(Some(figure("figure-extrapolation", words.say("extrapolation-title"), sentence, lines.draw()?, table)))
}

/// The method that takes least at the largest size, and the one that takes most.
fn sentence(all: &[Extrapolation], words: Words) -> Option<String> {
    let largest = all.iter().map(|size| size.live_sessions).max()?;
    let at = || all.iter().filter(|size| size.live_sessions == largest);
    let more = |a: &&Extrapolation, b: &&Extrapolation| a.cpu_cores.value.total_cmp(&b.cpu_cores.value);
    let (least, most) = (at().min_by(more)?, at().max_by(more)?);
    let told = [least, most].map(|size| number(size.cpu_cores.value));
    let (size, [low, high]) = (count(largest), told.each_ref().map(String::as_str));
    let (from, to) = (least.method.name(), most.method.name());
    let (key, times) = match Difference::of_intervals(most.cpu_cores, least.cpu_cores, 0.0) {
        Difference::NotSeen => ("extrapolation-not-seen", String::new()),
        Difference::Seen(ratio) => ("extrapolation-seen", times(ratio)),
    };
    let about = [("size", size.as_str()), ("from", from), ("to", to), ("low", low), ("high", high), ("times", &times)];
    Some(words.with(key, about))
}
