//! What the report says, before it has a form: `html` and `markdown` show the same document.

use std::fmt::Write as _;

use super::{AttackRow, Picture, Report, TryRow, words::Words};
use crate::{
    attack::{Family, Outcome},
    language::Lang,
};

/// The whole of it.
pub(super) struct Document<'r> {
    pub(super) lang: Lang,
    pub(super) title: String,
    pub(super) about: String,
    pub(super) contents: String,
    pub(super) notices: Vec<String>,
    pub(super) verdict: (String, Vec<String>),
    /// Nothing, where nothing worked for a while.
    pub(super) windows: Option<Windows>,
    pub(super) matrix: Matrix,
    pub(super) families: Vec<Chapter<'r>>,
}

/// What worked for a while.
pub(super) struct Windows {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) caption: String,
    pub(super) columns: [String; 3],
    pub(super) rows: Vec<Window>,
}

pub(super) struct Window {
    pub(super) id: &'static str,
    pub(super) attack: &'static str,
    pub(super) methods: String,
    pub(super) lasted: String,
    pub(super) seen: String,
}

/// Every attack on every target.
pub(super) struct Matrix {
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) attack: String,
    /// Each with its columns.
    pub(super) targets: Vec<(String, Vec<&'static str>)>,
    pub(super) legend: (String, Vec<(Cell, String)>),
}

/// A family of attacks.
pub(super) struct Chapter<'r> {
    pub(super) title: String,
    pub(super) attacks: Vec<Shown<'r>>,
}

/// An attack, and what came of it.
pub(super) struct Shown<'r> {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What he has, does and is after, and where that is described.
    pub(super) pairs: [(String, &'static str); 4],
    /// One for each column of the matrix.
    pub(super) cells: Vec<Cell>,
    pub(super) tries: Vec<Try>,
    pub(super) left_out: Option<String>,
    pub(super) pictures: Vec<(String, &'r Picture)>,
}

/// What came of it, in a word.
#[derive(Clone)]
pub(super) struct Cell {
    /// A class of the stylesheet.
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// What was seen, of all targets of which it is the same.
pub(super) struct Try {
    pub(super) who: String,
    pub(super) cell: Cell,
    pub(super) seen: String,
}

impl<'r> Document<'r> {
    pub(super) fn of(report: &'r Report, lang: Lang) -> Self {
        let words = Words { lang };
        Self {
            lang,
            title: words.say("title"),
            about: words.say("about"),
            contents: words.say("contents"),
            notices: notices(report, words),
            verdict: (words.say("verdict"), verdict(report, words)),
            windows: windows(report, words),
            matrix: matrix(report, words),
            families: Family::ALL.iter().filter_map(|family| chapter(report, *family, words)).collect(),
        }
    }
}

/// In three sentences.
pub(super) fn verdict(report: &Report, words: Words) -> Vec<String> {
    let count = |target: &str, outcome| {
        let rows = report.attacks.iter().flat_map(|attack| &attack.results);
        rows.filter(|row| row.target == target && row.outcome == outcome).count().to_string()
    };
    let defects = report.wrong().filter(|(_, row)| row.target == "careless").count();
    let key = match (report.wrong().next(), report.left_out.is_empty()) {
        (Some(_), _) => "verdict-wrong",
        (None, true) => "verdict-good",
        (None, false) => "verdict-tried",
    };
    let tried = report.attacks.len() - report.left_out.len();
    vec![
        words.say(key),
        words.with(
            "verdict-cloakroom",
            [
                ("attacks", &tried.to_string()),
                ("failed", &count("cloakroom", Outcome::Failed)),
                ("windows", &count("cloakroom", Outcome::Window)),
                ("succeeded", &count("cloakroom", Outcome::Succeeded)),
            ],
        ),
        words.with(
            "verdict-careless",
            [("succeeded", &count("careless", Outcome::Succeeded)), ("defects", &defects.to_string())],
        ),
    ]
}

/// What must not be so, and what was not tried.
fn notices(report: &Report, words: Words) -> Vec<String> {
    let wrong = report.wrong().map(|(attack, row)| {
        let who = format!("{}, {} {}", attack.id, words.target(row.target), row.method);
        words.with("notice-wrong", [("who", &who), ("word", &words.outcome(row)), ("evidence", &row.evidence)])
    });
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for left in &report.left_out {
        match reasons.iter_mut().find(|(why, _)| *why == left.why) {
            Some((_, attacks)) => attacks.push(left.id),
            None => reasons.push((&left.why, vec![left.id])),
        }
    }
    let left_out = reasons
        .iter()
        .map(|(why, attacks)| words.with("notice-left-out", [("attacks", &attacks.join(", ")), ("why", why)]));
    wrong.chain(left_out).collect()
}

fn windows(report: &Report, words: Words) -> Option<Windows> {
    let of = |attack: &AttackRow| {
        let those: Vec<_> = attack.results.iter().filter(|row| row.outcome == Outcome::Window).collect();
        let row = |(row, methods)| Window {
            id: attack.id,
            attack: attack.title,
            methods,
            lasted: words.outcome(row),
            seen: row.evidence.clone(),
        };
        together(&those, words).into_iter().map(row).collect::<Vec<_>>()
    };
    let rows: Vec<_> = report.attacks.iter().flat_map(of).collect();
    (!rows.is_empty()).then(|| Windows {
        title: words.say("windows"),
        text: words.say("windows-text"),
        caption: words.say("windows-caption"),
        columns: [words.say("attack"), words.say("window-for"), words.say("window-seen")],
        rows,
    })
}

fn matrix(report: &Report, words: Words) -> Matrix {
    let cell = |class, key| Cell { class, text: words.say(key) };
    let mut legend = vec![
        (cell("held", "outcome-failed"), words.say("legend-failed")),
        (cell("gave", "outcome-succeeded"), words.say("legend-succeeded")),
        (cell("while", "legend-window-example"), words.say("legend-window")),
        (cell("none", "outcome-none"), words.say("legend-none")),
    ];
    if !report.left_out.is_empty() {
        legend.push((cell("out", "outcome-left-out"), words.say("legend-left-out")));
    }
    if report.wrong().next().is_some() {
        legend.push((Cell { class: "wrong", text: WRONG.trim().to_owned() }, words.say("legend-wrong")));
    }
    let methods = |target| COLUMNS.iter().filter(|column| column.0 == target).map(|column| column.1).collect();
    Matrix {
        title: words.say("matrix"),
        caption: words.say("matrix-caption"),
        attack: words.say("attack"),
        targets: ["careless", "cloakroom"].map(|target| (words.target(target), methods(target))).into(),
        legend: (words.say("legend"), legend),
    }
}

fn chapter(report: &Report, family: Family, words: Words) -> Option<Chapter<'_>> {
    let members = report.attacks.iter().filter(|attack| attack.family == family);
    let attacks: Vec<_> = members.map(|attack| shown(report, attack, words)).collect();
    (!attacks.is_empty()).then(|| Chapter { title: words.family(family), attacks })
}

fn shown<'r>(report: &Report, attack: &'r AttackRow, words: Words) -> Shown<'r> {
    let of_column = |column: &(&str, &str)| {
        let row = attack.results.iter().find(|row| (row.target, row.method) == *column);
        row.map_or_else(|| Cell { class: "out", text: words.say("outcome-left-out") }, |row| cell(row, words))
    };
    let all: Vec<_> = attack.results.iter().collect();
    let tries = together(&all, words).into_iter().map(|(row, methods)| Try {
        who: format!("{} {methods}", words.target(row.target)),
        cell: cell(row, words),
        seen: row.evidence.clone(),
    });
    let left_out = report.left_out.iter().find(|left| left.id == attack.id);
    let pictures = attack
        .pictures
        .iter()
        .map(|picture| (format!("{} {}: {}", words.target(picture.target), picture.method, picture.caption), picture));
    Shown {
        id: attack.id,
        title: attack.title,
        pairs: [
            (words.say("attacker-has"), attack.has),
            (words.say("attacker-does"), attack.does),
            (words.say("attacker-gains"), attack.gains),
            (words.say("source"), attack.source),
        ],
        cells: COLUMNS.iter().map(of_column).collect(),
        tries: tries.collect(),
        left_out: left_out.map(|left| words.with("not-tried", [("why", &left.why)])),
        pictures: pictures.collect(),
    }
}

/// What is the same of several methods is said once, of all of them.
fn together<'r>(rows: &[&'r TryRow], words: Words) -> Vec<(&'r TryRow, String)> {
    let mut found: Vec<(&TryRow, String)> = Vec::new();
    let same = |a: &TryRow, b: &TryRow| {
        a.target == b.target && a.evidence == b.evidence && words.outcome(a) == words.outcome(b) && a.wrong == b.wrong
    };
    for row in rows {
        match found.iter_mut().find(|(first, _)| same(first, row)) {
            // A text grows by what is written to it.
            Some((_, methods)) => _ = write!(methods, ", {}", row.method),
            None => found.push((row, row.method.to_owned())),
        }
    }
    found
}

fn cell(row: &TryRow, words: Words) -> Cell {
    let class = match row.outcome {
        _ if row.wrong => "wrong",
        Outcome::Succeeded => "gave",
        Outcome::Failed => "held",
        Outcome::Window => "while",
        Outcome::NotApplicable => "none",
    };
    let text = words.outcome(row);
    Cell { class, text: if row.wrong { format!("{WRONG}{text}") } else { text } }
}

/// Before what must not be so: colours only help.
const WRONG: &str = "! ";

/// The columns of the matrix.
const COLUMNS: [(&str, &str); 6] = [
    ("careless", "session"),
    ("careless", "jwt"),
    ("cloakroom", "session"),
    ("cloakroom", "jwt"),
    ("cloakroom", "phantom"),
    ("cloakroom", "jwt-stateless"),
];
