//! What people and programs read: tables or JSON on the standard output, remarks and errors on the standard error stream.

use std::{
    fmt::{self, Display},
    io::{self, Write},
    sync::OnceLock,
};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, ContentArrangement, Table, presets::NOTHING};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::failure::Failure;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();

/// How to answer.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program reads it.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// The answer: as JSON, or as `people` shows it.
    pub(crate) fn answer(self, value: &Value, people: impl FnOnce(&Value)) {
        if self.json { self.line(value) } else { people(value) }
    }

    /// A line of the answer.
    #[expect(clippy::unused_self, reason = "it reads as the other ways to answer do")]
    pub(crate) fn line(self, text: impl Display) {
        let mut to = anstream::stdout();
        if let Err(error) = writeln!(to, "{text}").and_then(|()| to.flush()) {
            if error.kind() == io::ErrorKind::BrokenPipe {
                // Who reads through a pipe may stop reading.
                std::process::exit(0);
            }
            // The first error says why; what is left to do is done.
            let _ = UNWRITTEN.set(error);
        }
    }

    /// An answer from which the program goes on, whether anybody reads it or not.
    pub(crate) fn announce(self, value: &Value, people: impl Display) {
        let mut to = anstream::stdout();
        // Who only waited for it may be gone.
        let _ = if self.json { writeln!(to, "{value}") } else { writeln!(to, "{people}") }.and_then(|()| to.flush());
    }

    /// A remark for people.
    pub(crate) fn remark(self, text: impl Display) {
        if !self.json {
            say(format_args!("{text}\n"));
        }
    }

    /// A question to the person at the terminal.
    #[expect(clippy::unused_self, reason = "it reads as the other ways to answer do")]
    pub(crate) fn ask(self, question: impl Display) {
        say(format_args!("{question} "));
    }

    /// A bar of how far something has come, where somebody looks on: at a terminal.
    pub(crate) fn bar(self, total: u64) -> ProgressBar {
        let bar = if self.json { ProgressBar::hidden() } else { ProgressBar::new(total) };
        let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len}, {eta} left");
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// Why the command failed.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            say(format_args!("{}\n", failure.json()));
            return;
        }
        for line in failure.detail().lines() {
            say(format_args!("{RED}error:{RED:#} {line}\n"));
        }
    }

    /// Rows of the answer, aligned; or `empty` if there are none.
    pub(crate) fn table(self, header: &[&str], rows: Vec<Vec<String>>, empty: &str) {
        if rows.is_empty() {
            self.remark(empty);
            return;
        }
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.iter().map(Cell::new).collect::<Vec<_>>());
        for row in rows {
            table.add_row(row);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for (i, line) in table.lines().enumerate() {
            let line = line.trim_end();
            if i == 0 { self.line(format_args!("{BOLD}{line}{BOLD:#}")) } else { self.line(line) }
        }
    }
}

/// A member of a JSON object as a cell; nothing for null.
pub(crate) fn cell(row: &Value, name: &str) -> String {
    match &row[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The rows of a list in an answer, one cell for each name.
pub(crate) fn rows(answer: &Value, list: &str, names: &[&str]) -> Vec<Vec<String>> {
    let list = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|row| names.iter().map(|name| cell(row, name)).collect()).collect()
}

/// Why a part of the answer could not be written, if one could not.
pub(crate) fn unwritten() -> Result<(), Failure> {
    let told =
        |error| Failure::refused("answer_lost", format!("it was done, but the answer could not be written: {error}"));
    UNWRITTEN.get().map(told).map_or(Ok(()), Err)
}

static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Writes to the standard error stream. What cannot be told changes nothing of what is done.
fn say(text: fmt::Arguments<'_>) {
    let _ = anstream::stderr().write_fmt(text);
}
