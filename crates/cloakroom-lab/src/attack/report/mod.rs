//! What came of the attacks: as JSON, as a page of its own, and as text.

mod document;
mod html;
mod markdown;
mod words;

use std::{fs, io, path::Path};

use serde::Serialize;

use self::{document::Document, words::Words};
use super::{Family, Outcome};
use crate::{file::put, language::Lang};

/// What came of all attacks.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One row for each attack.
    pub attacks: Vec<AttackRow>,
    /// What was not tried, and so is shown by nothing.
    pub left_out: Vec<LeftOut>,
}

/// An attack.
#[derive(Debug, Serialize)]
pub struct AttackRow {
    /// Its name.
    pub id: &'static str,
    /// What it is about.
    #[serde(skip)]
    pub family: Family,
    /// What it is called.
    pub title: &'static str,
    /// Who describes it.
    pub source: &'static str,
    /// What the attacker has to begin with.
    #[serde(skip)]
    pub has: &'static str,
    /// What he does.
    #[serde(skip)]
    pub does: &'static str,
    /// What he gains where it succeeds.
    #[serde(skip)]
    pub gains: &'static str,
    /// What came of it, target by target; the careless ones first.
    pub results: Vec<TryRow>,
    /// What pages showed.
    #[serde(skip)]
    pub pictures: Vec<Picture>,
}

/// What came of an attack on one target.
#[derive(Debug, Serialize)]
pub struct TryRow {
    /// `careless` or `cloakroom`.
    pub target: &'static str,
    /// `session`, `jwt`, `phantom` or `jwt-stateless`.
    pub method: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// For how long it worked, in seconds.
    pub window_s: Option<f64>,
    /// What was seen.
    pub evidence: String,
    /// Whether it ought not to be so.
    #[serde(skip)]
    pub wrong: bool,
}

/// An attack that was not tried.
#[derive(Debug, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub id: &'static str,
    /// What was missing.
    pub why: String,
}

/// What a page showed.
#[derive(Debug)]
pub struct Picture {
    /// `careless` or `cloakroom`.
    pub target: &'static str,
    /// The method.
    pub method: &'static str,
    /// What to see.
    pub caption: String,
    /// The picture.
    pub png: Vec<u8>,
}

impl Report {
    /// What ought not to be so: each with its attack.
    pub fn wrong(&self) -> impl Iterator<Item = (&AttackRow, &TryRow)> {
        self.attacks
            .iter()
            .flat_map(|attack| attack.results.iter().filter(|row| row.wrong).map(move |row| (attack, row)))
    }

    /// Whether every attack was tried, succeeded on the careless login, and did not on Cloakroom.
    pub fn is_good(&self) -> bool {
        self.left_out.is_empty() && self.wrong().next().is_none()
    }

    /// In three sentences.
    pub fn summary(&self, lang: Lang) -> String {
        document::verdict(self, Words { lang }).join(" ")
    }

    /// Writes `report.html` and `report.md` in a language, and `result.json`, into a directory, which is made. Each file is whole or as it
    /// was before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, lang: Lang, dir: &Path) -> io::Result<()> {
        let document = Document::of(self, lang);
        fs::create_dir_all(dir)?;
        put(dir, "result.json", &serde_json::to_vec_pretty(self)?)?;
        put(dir, "report.md", markdown::render(&document).as_bytes())?;
        put(dir, "report.html", html::render(&document)?.as_bytes())
    }
}

impl AttackRow {
    /// What came of it on each target, in a word or two.
    pub fn words(&self, lang: Lang) -> Vec<String> {
        let words = Words { lang };
        if self.results.is_empty() {
            return vec![words.say("outcome-left-out")];
        }
        self.results.iter().map(|row| words.outcome(row)).collect()
    }
}

impl TryRow {
    /// What came of it, in a word or two.
    pub fn word(&self, lang: Lang) -> String {
        Words { lang }.outcome(self)
    }
}
