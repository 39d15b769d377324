//! CPU time of a verification, by method, for each store.

use std::io;

use super::grouped;
use crate::compare::{
    Comparison, Row, Topology,
    report::{
        Difference,
        chart::{Bar, BarGroup, Bars, Scale},
        difference::{interval, noise},
        document::{Figure, Line},
        numbers::{micros, number, percent, times},
        words::Words,
    },
};

pub(super) fn figure(comparison: &Comparison, words: Words) -> io::Result<Option<Figure>> {
    // With one server the stores can be compared; where there are only several servers, these.
    let one = comparison.rows.iter().any(|row| row.topology == Topology::One);
    let rows: Vec<&Row> = comparison.rows.iter().filter(|row| !one || row.topology == Topology::One).collect();
    let Some((least, most)) = ends(&rows) else { return Ok(None) };
    let groups = grouped(&rows, |row| (row.store, row.topology)).into_iter().map(|((store, topology), rows)| {
        BarGroup { title: words.place(store, topology), bars: rows.iter().map(|row| bar(row)).collect(), bound: None }
    });
    let bars =
        Bars { axis: words.say("cost-axis"), scale: Scale::Linear, mark: Box::new(number), groups: groups.collect() };
    let heads = words.all(["column-method-and-place", "column-verify-cpu", "column-spread"]);
    let table = rows.iter().map(|row| {
        let cpu = micros(row.verify.cpu_us_per_request);
        Line::new(words.row(row), [cpu, percent(row.verify.spread)])
    });
    let table = (heads, table.collect());
    let sentence = sentence(comparison, (least, most), words);
    Ok(Some(super::figure("figure-cost", words.say("cost-title"), sentence, bars.draw()?, table)))
}

/// The one that takes least, and the one that takes most.
fn ends<'r>(rows: &[&'r Row]) -> Option<(&'r Row, &'r Row)> {
    let more = |a: &&&Row, b: &&&Row| a.verify.cpu_us_per_request.total_cmp(&b.verify.cpu_us_per_request);
    Some((rows.iter().min_by(more)?, rows.iter().max_by(more)?))
}

fn bar(row: &Row) -> Bar {
    let cpu = row.verify.cpu_us_per_request;
    Bar {
        method: row.method,
        name: row.method.name().to_owned(),
        value: cpu,
        interval: interval(&row.verify).map(|cpu| (cpu.low, cpu.high)),
        label: micros(cpu),
    }
}

fn sentence(comparison: &Comparison, (least, most): (&Row, &Row), words: Words) -> String {
    let noise = noise(comparison.machine.noise);
    let cpu = |row: &Row| micros(row.verify.cpu_us_per_request);
    let (key, times) = match Difference::between(&most.verify, &least.verify, noise) {
        Difference::NotSeen => ("cost-not-seen", String::new()),
        Difference::Seen(ratio) => ("cost-seen", times(ratio)),
    };
    let names = [words.row(least), words.row(most)];
    let about =
        [("least", &names[0]), ("most", &names[1]), ("from", &cpu(least)), ("to", &cpu(most)), ("times", &times)];
    words.with(key, about.map(|(name, value)| (name, value.as_str())))
}
