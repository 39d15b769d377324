//! How it was measured: on what, how sure it is, what was left out, and how to do it again.

use super::{
    document::{Block, Column, Group, Line, Section, Table, one_line},
    numbers::{NOTHING, number, percent, seconds},
    words::Words,
};
use crate::{compare::Comparison, stats::median};

pub(super) fn section(comparison: &Comparison, words: Words) -> Section {
    let mut blocks = vec![
        Block::Heading(words.say("method-again")),
        Block::Code(one_line(&comparison.measurement.command)),
        Block::Heading(words.say("method-case")),
        case(comparison, words),
        Block::Heading(words.say("method-machine")),
        machine(comparison, words),
        Block::Heading(words.say("method-how")),
        how(comparison, words),
        Block::Heading(words.say("method-left-out")),
        left_out(comparison, words),
    ];
    if !comparison.model.terms.is_empty() {
        blocks.extend([
            Block::Heading(words.say("method-model")),
            model_said(comparison, words),
            terms(comparison, words),
        ]);
    }
    Section { id: "method", title: words.say("method"), blocks }
}

fn case(comparison: &Comparison, words: Words) -> Block {
    let pair = |(key, value): (&String, &serde_json::Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (one_line(key), one_line(&value))
    };
    match comparison.case.as_object().filter(|case| !case.is_empty()) {
        Some(case) => Block::Pairs(case.iter().map(pair).collect()),
        None => Block::Text(words.say("method-case-default")),
    }
}

fn machine(comparison: &Comparison, words: Words) -> Block {
    let (machine, measurement) = (&comparison.machine, &comparison.measurement);
    let noise = machine.noise.map_or_else(
        || NOTHING.to_owned(),
        |noise| {
            let [value, low, high] = [noise.value, noise.low, noise.high].map(|share| percent(share - 1.0));
            words.with("about", [("value", &value), ("low", &low), ("high", &high)])
        },
    );
    let pairs = [
        ("machine-processor", one_line(&machine.processor)),
        ("machine-cores", machine.cores.to_string()),
        ("machine-memory", format!("{} MiB", number(machine.memory_mib as f64))),
        ("machine-system", one_line(&machine.system)),
        ("machine-load", number(machine.load)),
        ("machine-noise", noise),
        ("machine-version", one_line(&measurement.version)),
    ];
    Block::Pairs(pairs.map(|(key, value)| (words.say(key), value)).into())
}

fn how(comparison: &Comparison, words: Words) -> Block {
    let measurement = &comparison.measurement;
    let mut spreads: Vec<f64> = comparison.rows.iter().map(|row| row.verify.spread).filter(|s| s.is_finite()).collect();
    let rounds = words.with(
        "how-rounds",
        [
            ("rounds", &measurement.rounds.to_string()),
            ("seconds", &number(measurement.round_seconds)),
            ("whole", &seconds(measurement.seconds, words)),
        ],
    );
    let mut lines = vec![rounds];
    if let Some(largest) = spreads.iter().copied().max_by(f64::total_cmp) {
        let middle = percent(median(&mut spreads));
        lines.push(words.with("how-spreads", [("middle", &middle), ("largest", &percent(largest))]));
    }
    lines.push(words.say("how-difference"));
    lines.push(match measurement.pinned {
        Some((server, load)) => {
            words.with("how-pinned", [("server", &server.to_string()), ("load", &load.to_string())])
        }
        None => words.say("how-not-pinned"),
    });
    lines.extend(words.all(["how-latency", "how-cpu", "how-topologies", "how-seeded", "how-ends", "how-bytes"]));
    Block::List(lines)
}

fn left_out(comparison: &Comparison, words: Words) -> Block {
    if comparison.left_out.is_empty() {
        return Block::Text(words.say("left-out-nothing"));
    }
    let line = |left: &crate::compare::LeftOut| {
        let why = words.identifier("left-why", &left.why);
        Line::new(words.left_out(left), [why, words.identifier("left-remedy", &left.remedy)])
    };
    let rows = comparison.left_out.iter().map(line).collect();
    Block::Table(Table {
        id: "table-left-out".to_owned(),
        caption: words.say("left-out-caption"),
        columns: Column::words(words.all(["column-what", "column-why", "column-remedy"])),
        groups: vec![Group { title: None, rows }],
    })
}

fn model_said(comparison: &Comparison, words: Words) -> Block {
    Block::Text(match comparison.model.error {
        Some(error) => words.with("model-said", [("error", &percent(error))]),
        None => words.say("model-untested"),
    })
}

fn terms(comparison: &Comparison, words: Words) -> Block {
    let line = |term: &crate::compare::Term| {
        let value = term.value;
        let cells = [value.value, value.low, value.high].map(number);
        Line::new(words.of(term.method, &words.identifier("term", &term.name)), cells)
    };
    let heads = words.all(["column-term", "column-value", "column-low", "column-high"]);
    let rows = comparison.model.terms.iter().map(line).collect();
    Block::Table(Table::plain("table-terms".to_owned(), words.say("terms-caption"), heads, rows))
}
