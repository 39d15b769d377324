//! How CPU time, latency and memory grow with the number of live logins.

use std::io;

use super::{figure, grouped};
use crate::compare::{
    Comparison, Growth,
    report::{
        Difference,
        chart::{Lines, Point, Scale, Series},
        difference::{interval, noise},
        document::{Figure, Line},
        numbers::{bytes, count, micros, number, times},
        words::Words,
    },
};

/// The curve of one method with one store.
type Curve<'g> = (String, Vec<&'g Growth>);

pub(super) fn figures(comparison: &Comparison, words: Words) -> io::Result<Vec<Figure>> {
    let curves: Vec<Curve<'_>> = grouped(&comparison.growth, |growth| (growth.method, growth.store))
        .into_iter()
        .map(|((method, store), mut points)| {
            points.sort_by_key(|growth| growth.live_sessions);
            (words.of(method, &words.store(store)), points)
        })
        .filter(|(_, points)| points.len() > 1)
        .collect();
    if curves.is_empty() {
        return Ok(Vec::new());
    }
    let noise = noise(comparison.machine.noise);
    let cpu = Kind {
        id: "figure-growth-cpu",
        title: words.say("growth-cpu-title"),
        y: words.say("growth-cpu-axis"),
        scale: Scale::Linear,
        value: |growth| growth.verify.cpu_us_per_request,
        interval: |growth| interval(&growth.verify).map(|cpu| (cpu.low, cpu.high)),
        told: micros,
        beside: ("column-misses", |growth| number(growth.misses_per_1000)),
    };
    let p99 = Kind {
        id: "figure-growth-p99",
        title: words.say("growth-p99-title"),
        y: words.say("growth-p99-axis"),
        value: |growth| growth.verify.p99_us,
        interval: |_| None,
        ..cpu.clone()
    };
    let memory = Kind {
        id: "figure-growth-memory",
        title: words.say("growth-memory-title"),
        y: words.say("growth-memory-axis"),
        scale: Scale::Log,
        value: |growth| growth.resident_bytes as f64,
        told: bytes,
        beside: ("column-state", |growth| bytes(growth.store_bytes as f64)),
        ..p99.clone()
    };
    Ok(vec![
        cpu.figure(&curves, cpu_sentence(&curves, noise, words), words)?,
        p99.figure(&curves, p99_sentence(&curves, words), words)?,
        memory.figure(&curves, memory_sentence(&curves, words), words)?,
    ])
}

/// What of the curves a figure shows.
#[derive(Clone)]
struct Kind {
    id: &'static str,
    title: String,
    y: String,
    scale: Scale,
    value: fn(&Growth) -> f64,
    interval: fn(&Growth) -> Option<(f64, f64)>,
    told: fn(f64) -> String,
    /// What stands beside it in the table.
    beside: (&'static str, fn(&Growth) -> String),
}

impl Kind {
    fn figure(self, curves: &[Curve<'_>], sentence: String, words: Words) -> io::Result<Figure> {
        let series = curves.iter().map(|(name, points)| Series {
            name: name.clone(),
            points: points
                .iter()
                .map(|growth| Point {
                    x: growth.live_sessions as f64,
                    y: (self.value)(growth),
                    interval: (self.interval)(growth),
                })
                .collect(),
        });
        let lines = Lines {
            x: words.say("axis-live"),
            y: self.y,
            scale: self.scale,
            mark: Box::new(self.told),
            series: series.collect(),
        };
        let heads = vec![
            words.say("column-method-and-place"),
            words.say("column-live"),
            self.title.clone(),
            words.say(self.beside.0),
        ];
        let table = curves.iter().flat_map(|(name, points)| {
            let line = |growth: &&Growth| {
                let value = (self.told)((self.value)(growth));
                Line::new(name.clone(), [count(growth.live_sessions as u64), value, (self.beside.1)(growth)])
            };
            points.iter().map(line).collect::<Vec<_>>()
        });
        let table = (heads, table.collect());
        Ok(figure(self.id, self.title, sentence, lines.draw()?, table))
    }
}

/// The curve that grows most, with its ends.
fn steepest<'c>(curves: &'c [Curve<'_>], value: impl Fn(&Growth) -> f64) -> Option<(&'c str, &'c Growth, &'c Growth)> {
    let ends = curves.iter().filter_map(|(name, points)| Some((name.as_str(), *points.first()?, *points.last()?)));
    let ratio = |(_, first, last): &(&str, &Growth, &Growth)| value(last) / value(first);
    ends.max_by(|a, b| ratio(a).total_cmp(&ratio(b)))
}

fn from_to(key: &str, name: &str, ends: [(&Growth, String); 2], more: &str, words: Words) -> String {
    let [(first, low), (last, high)] = ends;
    let (from, to) = (count(first.live_sessions as u64), count(last.live_sessions as u64));
    let about = [("name", name), ("low", &low), ("high", &high), ("from", &from), ("to", &to), ("more", more)];
    words.with(key, about)
}

fn cpu_sentence(curves: &[Curve<'_>], noise: f64, words: Words) -> String {
    let differences = curves.iter().filter_map(|(name, points)| {
        let (first, last) = (*points.first()?, *points.last()?);
        match Difference::between(&last.verify, &first.verify, noise) {
            Difference::Seen(ratio) => Some((ratio, name, first, last)),
            Difference::NotSeen => None,
        }
    });
    let far = |ratio: f64| ratio.ln().abs();
    match differences.max_by(|a, b| far(a.0).total_cmp(&far(b.0))) {
        Some((ratio, name, first, last)) => {
            let cpu = |growth: &Growth| micros(growth.verify.cpu_us_per_request);
            from_to("growth-seen", name, [(first, cpu(first)), (last, cpu(last))], &times(ratio), words)
        }
        None => words.say("growth-not-seen"),
    }
}

fn p99_sentence(curves: &[Curve<'_>], words: Words) -> String {
    let p99 = |growth: &Growth| growth.verify.p99_us;
    let Some((name, first, last)) = steepest(curves, p99) else { return String::new() };
    let ends = [(first, micros(p99(first))), (last, micros(p99(last)))];
    from_to("growth-p99", name, ends, &times(p99(last) / p99(first)), words)
}

fn memory_sentence(curves: &[Curve<'_>], words: Words) -> String {
    let resident = |growth: &Growth| growth.resident_bytes as f64;
    let Some((name, first, last)) = steepest(curves, resident) else { return String::new() };
    let added = (resident(last) - resident(first)) / (last.live_sessions - first.live_sessions).max(1) as f64;
    let ends = [(first, bytes(resident(first))), (last, bytes(resident(last)))];
    from_to("growth-memory", name, ends, &bytes(added), words)
}
