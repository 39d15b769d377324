//! What a report says, before it has a form: `html` and `markdown` show the same document.

use crate::language::Lang;

/// The whole of it.
pub(super) struct Document {
    pub(super) lang: Lang,
    pub(super) title: String,
    /// When and with what it was measured.
    pub(super) about: String,
    /// What a reader must know before any figure.
    pub(super) notices: Vec<String>,
    pub(super) verdict: Section,
    pub(super) sections: Vec<Section>,
    pub(super) labels: Labels,
}

/// Words that the form needs.
pub(super) struct Labels {
    pub(super) contents: String,
    pub(super) figures_as_table: String,
    pub(super) nothing: String,
}

pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

pub(super) enum Block {
    Text(String),
    List(Vec<String>),
    /// Names, and what they are.
    Pairs(Vec<(String, String)>),
    Heading(String),
    Code(String),
    Table(Table),
    Figure(Figure),
}

/// A picture; `table` holds what it shows.
pub(super) struct Figure {
    pub(super) id: &'static str,
    pub(super) title: String,
    /// What is to be seen, from the data.
    pub(super) sentence: String,
    /// Well-formed, and free of anything that was not escaped.
    pub(super) svg: String,
    pub(super) table: Table,
}

pub(super) struct Table {
    pub(super) id: String,
    pub(super) caption: String,
    /// The first one heads the rows' heads.
    pub(super) columns: Vec<Column>,
    pub(super) groups: Vec<Group>,
}

pub(super) struct Column {
    pub(super) head: String,
    pub(super) align: Align,
    /// Whether it is the one that the verdict names.
    pub(super) chosen: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Words,
    Numbers,
}

/// Rows that belong together.
pub(super) struct Group {
    pub(super) title: Option<String>,
    pub(super) rows: Vec<Line>,
}

pub(super) struct Line {
    pub(super) head: String,
    pub(super) cells: Vec<Cell>,
}

#[derive(Clone)]
pub(super) struct Cell {
    pub(super) text: String,
    /// In small letters below.
    pub(super) note: Option<String>,
}

impl Table {
    /// A table with one group, whose columns after the first hold numbers.
    pub(super) fn plain(id: String, caption: String, heads: Vec<String>, rows: Vec<Line>) -> Self {
        Self { id, caption, columns: Column::numbers(heads), groups: vec![Group { title: None, rows }] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.rows.is_empty())
    }
}

impl Column {
    /// Columns of numbers after one of words.
    pub(super) fn numbers(heads: Vec<String>) -> Vec<Self> {
        let column = |(place, head)| {
            let align = if place == 0 { Align::Words } else { Align::Numbers };
            Self { head, align, chosen: false }
        };
        heads.into_iter().enumerate().map(column).collect()
    }

    /// Columns of words.
    pub(super) fn words(heads: Vec<String>) -> Vec<Self> {
        heads.into_iter().map(|head| Self { head, align: Align::Words, chosen: false }).collect()
    }

    pub(super) fn is_numeric(&self) -> bool {
        self.align == Align::Numbers
    }
}

impl Line {
    pub(super) fn new<C: Into<Cell>>(head: String, cells: impl IntoIterator<Item = C>) -> Self {
        Self { head, cells: cells.into_iter().map(Into::into).collect() }
    }
}

impl Cell {
    pub(super) fn noted(text: String, note: String) -> Self {
        Self { text, note: Some(note) }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, note: None }
    }
}

/// A text from outside as one line without control characters, which neither HTML nor Markdown can hold.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // Not characters in XML.
    clean.trim().replace(['\u{fffe}', '\u{ffff}'], " ")
}
