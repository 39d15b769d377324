//! The report as text.

use std::fmt::Write as _;

use super::document::{Document, Shown};

/// The whole. Writing into a text cannot fail.
pub(super) fn render(document: &Document<'_>) -> String {
    let mut page = format!("# {}\n\n{}\n", document.title, document.about);
    for notice in &document.notices {
        _ = write!(page, "\n> **{}**\n", plain(notice));
    }
    _ = write!(page, "\n## {}\n\n{}\n", document.verdict.0, document.verdict.1.join(" "));
    if let Some(windows) = &document.windows {
        _ = write!(page, "\n## {}\n\n{}\n\n", windows.title, windows.text);
        _ = writeln!(page, "| {} |\n| --- | --- | --- |", windows.columns.join(" | "));
        for row in &windows.rows {
            _ = writeln!(page, "| {}, {} | {} | {} |", row.id, row.methods, row.lasted, plain(&row.seen));
        }
    }
    let matrix = &document.matrix;
    _ = write!(page, "\n## {}\n\n", matrix.title);
    for (cell, meaning) in &matrix.legend.1 {
        _ = writeln!(page, "- {}: {meaning}", cell.text);
    }
    let of_target = |(target, methods): &(String, Vec<&str>)| -> Vec<_> {
        methods.iter().map(|method| format!(" {target} {method} |")).collect()
    };
    let columns: Vec<_> = matrix.targets.iter().flat_map(of_target).collect();
    _ = writeln!(page, "\n| {} |{}\n| --- |{}", matrix.attack, columns.concat(), " --- |".repeat(columns.len()));
    for attack in document.families.iter().flat_map(|family| &family.attacks) {
        let cells: Vec<_> = attack.cells.iter().map(|cell| format!(" {} |", cell.text)).collect();
        _ = writeln!(page, "| {} |{}", attack.id, cells.concat());
    }
    for family in &document.families {
        _ = write!(page, "\n## {}\n", family.title);
        family.attacks.iter().for_each(|attack| one(&mut page, attack));
    }
    page
}

fn one(page: &mut String, attack: &Shown<'_>) {
    _ = write!(page, "\n### {}: {}\n\n", attack.id, attack.title);
    for (name, value) in &attack.pairs {
        _ = writeln!(page, "- {name}: {value}");
    }
    page.push('\n');
    for each in &attack.tries {
        _ = writeln!(page, "- **{}: {}** {}", each.who, each.cell.text, plain(&each.seen));
    }
    if let Some(why) = &attack.left_out {
        _ = writeln!(page, "{}", plain(why));
    }
}

/// In one line, and with nothing in it that ends a cell or begins markup. What was seen can come from a server.
fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().fold(String::with_capacity(line.len()), |mut plain, c| {
        if matches!(c, '|' | '<' | '>' | '[' | ']' | '`' | '*' | '\\') {
            plain.push('\\');
        }
        plain.push(c);
        plain
    })
}
