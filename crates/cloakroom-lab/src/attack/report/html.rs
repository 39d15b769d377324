//! The report as one page that needs nothing else.

use data_encoding::BASE64;

use super::{AttackRow, COLUMNS, LEGEND, Report, TryRow};
use crate::attack::Outcome;

/// The whole.
pub(super) fn page(report: &Report) -> String {
    let matrix = report.attacks.iter().map(matrix_row).collect::<Vec<_>>().concat();
    let details = report.attacks.iter().map(details).collect::<Vec<_>>().concat();
    let columns =
        COLUMNS.iter().map(|(_, method)| format!("<th scope=\"col\">{method}</th>")).collect::<Vec<_>>().concat();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Attacks</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body><main>\
         <h1>Attacks</h1><p class=\"lead\">{}</p><p>{LEGEND}</p>\
         <div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Attack by attack\"><table><thead>\
         <tr><th rowspan=\"2\" scope=\"col\">attack</th><th colspan=\"2\" scope=\"colgroup\">careless</th>\
         <th colspan=\"4\" scope=\"colgroup\">Cloakroom</th></tr><tr>{columns}</tr></thead><tbody>{matrix}</tbody></table></div>\
         <h2>Attack by attack</h2>{details}</main></body></html>",
        escaped(&report.summary())
    )
}

fn matrix_row(attack: &AttackRow) -> String {
    let cells =
        COLUMNS.iter().map(|column| match attack.results.iter().find(|row| (row.target, row.method) == *column) {
            Some(row) => format!(
                "<td class=\"{}\" title=\"{}\">{}</td>",
                class(row),
                escaped(&row.evidence),
                escaped(&row.word())
            ),
            None => "<td class=\"out\">left out</td>".to_owned(),
        });
    format!(
        "<tr><th scope=\"row\"><a href=\"#{0}\">{0}</a><br><small>{1}</small></th>{2}</tr>",
        attack.id,
        escaped(attack.title),
        cells.collect::<Vec<_>>().concat()
    )
}

fn class(row: &TryRow) -> &'static str {
    match row.outcome {
        _ if row.wrong => "wrong",
        Outcome::Succeeded => "gave",
        Outcome::Failed => "held",
        Outcome::Window => "while",
        Outcome::NotApplicable => "none",
    }
}

fn details(attack: &AttackRow) -> String {
    let rows = attack.results.iter().map(|row| {
        let (target, method, word) = (row.target, row.method, escaped(&row.word()));
        format!("<li class=\"{}\"><b>{target} {method}: {word}</b> {}</li>", class(row), escaped(&row.evidence))
    });
    let pictures = attack.pictures.iter().map(|picture| {
        let caption = escaped(&format!("{} {}: {}", picture.target, picture.method, picture.caption));
        let data = BASE64.encode(&picture.png);
        format!("<figure><img alt=\"{caption}\" src=\"data:image/png;base64,{data}\"><figcaption>{caption}</figcaption></figure>")
    });
    format!(
        "<section id=\"{}\"><h3>{}</h3><dl><dt>has</dt><dd>{}</dd><dt>does</dt><dd>{}</dd><dt>gains</dt><dd>{}</dd>\
         <dt>source</dt><dd>{}</dd></dl><ul>{}</ul><div class=\"pictures\">{}</div></section>",
        attack.id,
        escaped(attack.title),
        escaped(attack.has),
        escaped(attack.does),
        escaped(attack.gains),
        escaped(attack.source),
        rows.collect::<Vec<_>>().concat(),
        pictures.collect::<Vec<_>>().concat()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Each outcome has its word; the colours only help.
const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d1f1c; --paper: #fbfaf7; --line: #c9c6bd; --held: #dcebdc; --gave: #ececea; --while: #f6e7bd; --wrong: #f3c6c0 }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e6e1; --paper: #161815; --line: #43463f; --held: #22382a; --gave: #2a2c29; --while: #453a17; --wrong: #5c241d } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1rem }
.lead { font-size: 1.15rem }
a { color: inherit }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .875rem }
th, td { border: 1px solid var(--line); padding: .25rem .5rem; text-align: left; vertical-align: top }
tbody th { font-weight: 600; min-width: 14rem }
small { font-weight: 400 }
.held { background: var(--held) } .gave { background: var(--gave) } .while { background: var(--while) } .wrong { background: var(--wrong); font-weight: 700 }
section { border-top: 1px solid var(--line); margin-top: 1.5rem }
dl { display: grid; grid-template-columns: 5rem 1fr; gap: 0 .5rem } dd { margin: 0 }
li { margin: .25rem 0; padding: .125rem .5rem; overflow-wrap: anywhere }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem } figure { margin: 0; width: 25rem; max-width: 100% } img { max-width: 100%; border: 1px solid var(--line) }
@media print { body { font-size: 10pt } section { break-inside: avoid } }
";
