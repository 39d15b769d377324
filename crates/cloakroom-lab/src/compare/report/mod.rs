//! What was found, as a report that people print and argue over: `report.html`, `report.md` and `result.json`.
//!
//! From a `Comparison` a `document` is made, which says everything in one language: the verdict, `tables`, `figures` (pictures by
//! `chart`), the method. `html` and `markdown` give it its forms. What comes from outside (the case, the machine, reasons) is escaped there, and
//! nowhere else. Sentences are reckoned from the data, never fixed.

mod chart;
mod choice;
mod difference;
mod document;
mod figures;
mod html;
mod markdown;
mod method;
mod numbers;
mod tables;
mod verdict;
mod whole;
mod words;

use std::{io, path::Path};

pub use difference::Difference;

use self::words::Words;
use super::Comparison;
use crate::{file::put, language::Lang};

/// Writes `report.html`, `report.md` and `result.json` into a directory, which is made if it is not there. Each file is whole or as it
/// was before. Where the comparison has no sentences of its own for its verdict, those of [`verdict()`] stand in all three.
///
/// # Errors
/// What the file system says.
pub fn write(comparison: &Comparison, lang: Lang, out: &Path) -> io::Result<()> {
    let mut comparison = comparison.clone();
    if comparison.verdict.sentences.is_empty() {
        comparison.verdict.sentences = verdict(&comparison, lang);
    }
    let document = whole::document(&comparison, Words::new(lang))?;
    std::fs::create_dir_all(out)?;
    put(out, "result.json", &serde_json::to_vec_pretty(&comparison)?)?;
    put(out, "report.md", markdown::render(&document).as_bytes())?;
    put(out, "report.html", html::render(&document)?.as_bytes())
}

/// What follows for the case, in three sentences: the method to use, what it costs beside the others, and what ends and thefts are like with
/// it.
pub fn verdict(comparison: &Comparison, lang: Lang) -> Vec<String> {
    verdict::sentences(comparison, Words::new(lang))
}
