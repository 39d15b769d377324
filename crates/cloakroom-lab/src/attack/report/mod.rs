//! What came of the attacks: as JSON, as a page of its own, and as text.

mod html;
mod markdown;

use std::{fs, io, path::Path};

use serde::Serialize;

use super::Outcome;

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
    pub why: &'static str,
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

    /// In a sentence.
    pub fn summary(&self) -> String {
        let count = |target: &str, outcome| {
            let rows = self.attacks.iter().flat_map(|attack| &attack.results);
            rows.filter(|row| row.target == target && row.outcome == outcome).count()
        };
        let defects = self.wrong().filter(|(_, row)| row.target == "careless").count();
        let left_out =
            self.left_out.first().map(|first| format!(" {} were left out: {}.", self.left_out.len(), first.why));
        format!(
            "{} attacks. Against the careless login {} tries succeeded, {defects} did not though they should have. Against Cloakroom \
             {} tries failed, {} worked for a declared while, {} succeeded.{}",
            self.attacks.len(),
            count("careless", Outcome::Succeeded),
            count("cloakroom", Outcome::Failed),
            count("cloakroom", Outcome::Window),
            count("cloakroom", Outcome::Succeeded),
            left_out.unwrap_or_default(),
        )
    }

    /// Writes `report.html`, `report.md` and `result.json` into a directory, which is made.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("report.html"), html::page(self))?;
        fs::write(dir.join("report.md"), markdown::page(self))?;
        fs::write(dir.join("result.json"), serde_json::to_vec_pretty(self)?)
    }
}

impl TryRow {
    /// In a word or two.
    pub fn word(&self) -> String {
        match (self.outcome, self.window_s) {
            (Outcome::Succeeded, _) => "succeeded".to_owned(),
            (Outcome::Failed, _) => "failed".to_owned(),
            (Outcome::Window, Some(window)) => format!("{window:.1} s"),
            (Outcome::Window, None) => "a while".to_owned(),
            (Outcome::NotApplicable, _) => "–".to_owned(),
        }
    }
}

/// The columns.
const COLUMNS: [(&str, &str); 6] = [
    ("careless", "session"),
    ("careless", "jwt"),
    ("cloakroom", "session"),
    ("cloakroom", "jwt"),
    ("cloakroom", "phantom"),
    ("cloakroom", "jwt-stateless"),
];

/// How the page is to be read.
const LEGEND: &str = "Each attack is tried on a deliberately careless login first, where it must succeed, or it shows nothing. A time is \
    a window: for so long it worked, and no longer than was declared beforehand; a longer one counts as success. A dash: there is \
    nothing of the kind to try, for the reason given below.";
