//! The report as text.

use super::{AttackRow, COLUMNS, LEGEND, Report};

/// The whole.
pub(super) fn page(report: &Report) -> String {
    let columns = COLUMNS.iter().map(|(target, method)| format!(" {target} {method} |")).collect::<Vec<_>>().concat();
    let rows = report.attacks.iter().map(row).collect::<Vec<_>>().concat();
    let details = report.attacks.iter().map(details).collect::<Vec<_>>().concat();
    format!(
        "# Attacks\n\n{}\n\n{LEGEND}\n\n| attack |{columns}\n| --- | --- | --- | --- | --- | --- | --- |\n{rows}{details}",
        report.summary()
    )
}

fn row(attack: &AttackRow) -> String {
    let cells =
        COLUMNS.iter().map(|column| match attack.results.iter().find(|row| (row.target, row.method) == *column) {
            Some(row) if row.wrong => format!(" {} (!) |", row.word()),
            Some(row) => format!(" {} |", row.word()),
            None => " left out |".to_owned(),
        });
    format!("| {} |{}\n", attack.id, cells.collect::<Vec<_>>().concat())
}

fn details(attack: &AttackRow) -> String {
    let results =
        attack.results.iter().map(|row| format!("- {} {}: {}. {}\n", row.target, row.method, row.word(), row.evidence));
    format!(
        "\n## {}: {}\n\nThe attacker has {}. He {}. He gains {}. Source: {}.\n\n{}",
        attack.id,
        attack.title,
        attack.has,
        attack.does,
        attack.gains,
        attack.source,
        results.collect::<Vec<_>>().concat()
    )
}
