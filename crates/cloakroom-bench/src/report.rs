//! What was found: for people a table, for programs JSON. Beside each figure stands the bound that it is held to, and whether
//! it met that, as measured.

use std::{fmt::Write as _, fs, io, path::Path};

use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;

use cloakroom_lab::stats::Estimate;

/// What a figure is held to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Within(f64, f64),
}

/// Whether it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Met,
    Missed,
}

/// A figure of an operation.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) what: String,
    #[serde(flatten)]
    pub(crate) estimate: Estimate,
    pub(crate) unit: &'static str,
    pub(crate) bound: Option<Bound>,
    pub(crate) verdict: Option<Verdict>,
    /// The interval lies on both sides of the bound: another run may say otherwise.
    pub(crate) unsure: bool,
}

/// The figures of an operation, with the command that gives them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Findings {
    pub(crate) operation: &'static str,
    pub(crate) command: String,
    pub(crate) figures: Vec<Figure>,
    /// How it was measured, and what must be known to read it.
    pub(crate) notes: Vec<String>,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::Within(low, high) => (low..=high).contains(&value),
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {}", short(most)),
            Self::AtLeast(least) => format!("≥ {}", short(least)),
            Self::Within(low, high) => format!("{} to {}", short(low), short(high)),
        }
    }
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, estimate: Estimate, unit: &'static str) -> Self {
        Self { what: what.into(), estimate, unit, bound: None, verdict: None, unsure: false }
    }

    #[must_use]
    pub(crate) fn bound(mut self, bound: Bound) -> Self {
        let Estimate { value, low, high } = self.estimate;
        self.bound = Some(bound);
        self.verdict = Some(if bound.holds(value) { Verdict::Met } else { Verdict::Missed });
        self.unsure = bound.holds(low) != bound.holds(value) || bound.holds(high) != bound.holds(value);
        self
    }

    fn row(&self) -> [String; 5] {
        let Estimate { value, low, high } = self.estimate;
        let interval = if low < high { format!("{} to {}", short(low), short(high)) } else { String::new() };
        let verdict = match (self.verdict, self.unsure) {
            (None, _) => "",
            (Some(Verdict::Met), false) => "met",
            (Some(Verdict::Met), true) => "met (unsure)",
            (Some(Verdict::Missed), false) => "MISSED",
            (Some(Verdict::Missed), true) => "MISSED (unsure)",
        };
        let bound = self.bound.map(Bound::text).unwrap_or_default();
        [self.what.clone(), format!("{} {}", short(value), self.unit), interval, bound, verdict.into()]
    }
}

impl Findings {
    pub(crate) fn new(operation: &'static str) -> Self {
        Self { operation, command: String::new(), figures: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(["figure", "value", "95 % interval", "bound", ""]);
        for figure in &self.figures {
            table.add_row(figure.row());
        }
        let mut text = format!("\n{}\n$ {}\n{table}\n", self.operation, self.command);
        for note in &self.notes {
            // Writing into a string does not fail.
            let _ = writeln!(text, "  {note}");
        }
        text
    }
}

/// For programs: everything, and on what it was measured.
pub(crate) fn write_json(path: &Path, findings: &[Findings]) -> io::Result<()> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let json = serde_json::json!({
        "processor": model.trim_start_matches([' ', '\t', ':']),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "load_average_at_end": load_average(),
        "operations": findings,
    });
    fs::write(path, serde_json::to_vec_pretty(&json)?)
}

/// Of the last minute: how busy others kept the machine.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(f64::NAN)
}

/// Three or more digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        some if some >= 100.0 => format!("{value:.1}"),
        some if some >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_what_the_value_says_and_unsure_where_the_interval_disagrees() {
        let figure = |value, low, high| Figure::new("x", Estimate { value, low, high }, "µs").bound(Bound::AtMost(1.0));
        assert_eq!((figure(0.9, 0.8, 0.95).verdict, figure(0.9, 0.8, 0.95).unsure), (Some(Verdict::Met), false));
        assert_eq!((figure(0.9, 0.8, 1.1).verdict, figure(0.9, 0.8, 1.1).unsure), (Some(Verdict::Met), true));
        assert_eq!((figure(1.2, 1.1, 1.3).verdict, figure(1.2, 1.1, 1.3).unsure), (Some(Verdict::Missed), false));
        assert_eq!((figure(1.2, 0.9, 1.3).verdict, figure(1.2, 0.9, 1.3).unsure), (Some(Verdict::Missed), true));
    }

    #[test]
    fn the_table_says_missed_where_a_bound_was_missed() {
        let mut findings = Findings::new("sizes");
        findings.add(Figure::new("ticket", Estimate::exact(65.0), "bytes").bound(Bound::AtMost(64.0)));
        assert!(findings.text().contains("MISSED"));
    }
}
