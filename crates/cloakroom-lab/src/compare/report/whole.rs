//! The report from its first line to its last, in one language.

use std::io;

use super::{
    document::{Block, Document, Labels, Section, one_line},
    figures, method, tables,
    words::Words,
};
use crate::compare::Comparison;

pub(super) fn document(comparison: &Comparison, words: Words) -> io::Result<Document> {
    let measurement = &comparison.measurement;
    let sentences = comparison.verdict.sentences.iter().map(|sentence| Block::Text(one_line(sentence)));
    let verdict = Section { id: "verdict", title: words.say("verdict"), blocks: sentences.collect() };
    let pictures = figures::all(comparison, words)?.into_iter().map(Block::Figure);
    let pictures = Section { id: "figures", title: words.say("figures"), blocks: pictures.collect() };
    let mut sections = vec![tables_of(comparison, words), pictures];
    sections.retain(|section| !section.blocks.is_empty());
    sections.push(method::section(comparison, words));
    Ok(Document {
        lang: words.lang,
        title: words.say("title"),
        about: words.with(
            "about-line",
            [("time", &one_line(&measurement.began)), ("version", &one_line(&measurement.version))],
        ),
        notices: notices(comparison, words),
        verdict,
        sections,
        labels: Labels {
            contents: words.say("contents"),
            figures_as_table: words.say("as-table"),
            nothing: words.say("nothing-measured"),
        },
    })
}

fn tables_of(comparison: &Comparison, words: Words) -> Section {
    let all = [
        tables::summary(comparison, words),
        tables::costs(comparison, words),
        tables::latencies(comparison, words),
        tables::behaviour(comparison, words),
        tables::wire(comparison, words),
    ];
    let mut blocks = Vec::new();
    for (number, table) in all.into_iter().filter(|table| !table.is_empty()).enumerate() {
        if number == 1 {
            blocks.extend([Block::Heading(words.say("whole-table")), Block::Text(words.say("whole-table-text"))]);
        }
        blocks.push(Block::Table(table));
    }
    Section { id: "table", title: words.say("table"), blocks }
}

/// What no figure may be read without.
fn notices(comparison: &Comparison, words: Words) -> Vec<String> {
    let measurement = &comparison.measurement;
    let said = [
        (!measurement.optimised, "notice-debug"),
        (measurement.interrupted, "notice-interrupted"),
        (measurement.quick, "notice-quick"),
    ];
    said.into_iter().filter(|(holds, _)| *holds).map(|(_, key)| words.say(key)).collect()
}
