//! The same for where only text goes: reviews, wikis, terminals. Figures are their sentences and their tables.

use std::fmt::Write as _;

use super::document::{Block, Cell, Document, Section, Table};

pub(super) fn render(document: &Document) -> String {
    let mut out = format!("# {}\n\n{}\n", text(&document.title), text(&document.about));
    for notice in &document.notices {
        line(&mut out, &format!("\n> **{}**", text(notice)));
    }
    for part in std::iter::once(&document.verdict).chain(&document.sections) {
        section(&mut out, part, document);
    }
    out
}

fn section(out: &mut String, section: &Section, document: &Document) {
    line(out, &format!("\n## {}", text(&section.title)));
    if section.blocks.is_empty() {
        line(out, &format!("\n{}", text(&document.labels.nothing)));
    }
    for block in &section.blocks {
        out.push('\n');
        match block {
            Block::Text(said) => line(out, &text(said)),
            Block::List(items) => {
                for item in items {
                    line(out, &format!("- {}", text(item)));
                }
            }
            Block::Pairs(pairs) => {
                for (name, value) in pairs {
                    line(out, &format!("- **{}**: {}", text(name), text(value)));
                }
            }
            Block::Heading(title) => line(out, &format!("### {}", text(title))),
            Block::Code(code) => line(out, &fenced(code)),
            Block::Table(said) => {
                line(out, &format!("**{}**\n", text(&said.caption)));
                table(out, said);
            }
            Block::Figure(figure) => {
                line(out, &format!("### {}\n\n{}\n", text(&figure.title), text(&figure.sentence)));
                table(out, &figure.table);
            }
        }
    }
}

fn table(out: &mut String, table: &Table) {
    let heads: Vec<String> = table.columns.iter().map(|column| text(&column.head)).collect();
    let rules = table.columns.iter().map(|column| if column.is_numeric() { "---:" } else { "---" });
    row(out, &heads);
    row(out, &rules.map(str::to_owned).collect::<Vec<_>>());
    for group in &table.groups {
        if let Some(title) = &group.title {
            let mut cells = vec![String::new(); heads.len()];
            cells[0] = format!("**{}**", text(title));
            row(out, &cells);
        }
        for member in &group.rows {
            let cells = std::iter::once(text(&member.head)).chain(member.cells.iter().map(cell));
            row(out, &cells.collect::<Vec<_>>());
        }
    }
}

fn row(out: &mut String, cells: &[String]) {
    line(out, &format!("| {} |", cells.join(" | ")));
}

fn cell(cell: &Cell) -> String {
    match &cell.note {
        Some(note) => format!("{} ({})", text(&cell.text), text(note)),
        None => text(&cell.text),
    }
}

fn line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// Code between fences that are longer than any in it.
fn fenced(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}sh\n{code}\n{fence}")
}

/// Plain text, of which nothing is taken for markup: no HTML, no link, no emphasis, no cell's end, no heading or list.
fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '>' => {
                let _ = write!(escaped, "\\{c}");
            }
            _ => escaped.push(c),
        }
    }
    // What would begin a heading or a list at the beginning of a line.
    let digits = escaped.chars().take_while(char::is_ascii_digit).count();
    let numbered = digits > 0 && [". ", ") "].iter().any(|end| escaped[digits..].starts_with(end));
    if escaped.starts_with(['#', '+', '-', '=']) {
        escaped.insert(0, '\\');
    } else if numbered {
        escaped.insert(digits, '\\');
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        for (plain, escaped) in [
            ("plain, and as it is (12.5 %)", "plain, and as it is (12.5 %)"),
            ("<img src=x>", "&lt;img src=x\\>"),
            ("a | b", "a \\| b"),
            ("[a](javascript:b)", "\\[a\\](javascript:b)"),
            ("# heading", "\\# heading"),
            ("- item\n- item", "\\- item - item"),
            ("1. item", "1\\. item"),
            ("12.6 µs", "12.6 µs"),
            ("*a* _b_ `c` ~d~", "\\*a\\* \\_b\\_ \\`c\\` \\~d\\~"),
        ] {
            assert_eq!(text(plain), escaped);
        }
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_code() {
        assert_eq!(fenced("a"), "```sh\na\n```");
        assert_eq!(fenced("a ```` b"), "`````sh\na ```` b\n`````");
    }
}
