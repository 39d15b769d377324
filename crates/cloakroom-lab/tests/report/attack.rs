//! The report of attacks, read back: what stands in it, that nothing from outside becomes markup, and that what was not tried counts
//! neither way.

use std::fs;

use cloakroom_lab::{attack::Report, language::Lang};
use roxmltree::{Document, ParsingOptions};

use super::{attacks, named, text};

/// `report.html`, `report.md` and `result.json`.
fn written(report: &Report, lang: Lang) -> [String; 3] {
    let dir = tempfile::tempdir().expect("a directory");
    report.write(lang, dir.path()).expect("it is written");
    ["report.html", "report.md", "result.json"].map(|name| fs::read_to_string(dir.path().join(name)).expect("a text"))
}

fn parsed(html: &str) -> Document<'_> {
    Document::parse_with_options(html, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() })
        .expect("well-formed")
}

#[test]
fn a_good_run_says_so_in_every_language() {
    let report = attacks::good();
    assert!(report.is_good());
    for (lang, said) in
        [(Lang::English, "No attack succeeded against Cloakroom"), (Lang::Korean, "Cloakroom에 성공한 공격은 없고")]
    {
        let [html, markdown, _] = written(&report, lang);
        let page = parsed(&html);
        let root = page.root_element();
        assert_eq!(root.attribute("lang"), Some(lang.tag()));
        assert!(html.contains(said) && markdown.contains(said) && report.summary(lang).contains(said));
        assert!(!html.contains("class=\"notice\""));
        // A row for each attack, and each leads to what was seen.
        let ids: Vec<_> = report.attacks.iter().map(|attack| attack.id).collect();
        let links: Vec<_> = named(&root, "a").iter().filter_map(|a| a.attribute("href")).map(str::to_owned).collect();
        for id in ids {
            assert!(links.contains(&format!("#{id}")), "{id}");
            assert!(named(&root, "article").iter().any(|article| article.attribute("id") == Some(id)), "{id}");
        }
        assert_eq!(named(&root, "img").len(), 4);
        assert!(!html.contains("http://") && !html.contains("https://"), "it needs nothing else");
    }
}

#[test]
fn what_worked_for_a_while_is_listed_once_with_its_time() {
    let [html, markdown, _] = written(&attacks::good(), Lang::English);
    let page = parsed(&html);
    let table = named(&page.root_element(), "table").into_iter().find(|t| t.attribute("id") == Some("table-windows"));
    let rows = named(&table.expect("there are windows"), "tr");
    assert_eq!(rows.len(), 2);
    let row = text(&rows[1]);
    assert!(row.contains("jwt, jwt-stateless") && row.contains("9.6 s") && row.contains("15.0 s at most"), "{row}");
    assert!(markdown.contains("| copied-access-token-unnoticed, jwt, jwt-stateless | 9.6 s |"), "{markdown}");
}

#[test]
fn what_was_left_out_is_said_and_counts_neither_way() {
    let mut report = attacks::bad();
    for row in report.attacks.iter_mut().flat_map(|attack| &mut attack.results) {
        row.wrong = false;
    }
    assert!(!report.is_good());
    let [html, markdown, result] = written(&report, Lang::English);
    let verdict = "Nothing that was tried succeeded against Cloakroom, but not everything was tried. Attacks tried: 5.";
    assert!(report.summary(Lang::English).starts_with(verdict), "{}", report.summary(Lang::English));
    for page in [&html, &markdown] {
        assert!(page.contains("Left out: csrf-form. no Chromium is installed"), "{page}");
        assert!(!page.contains("No attack succeeded"));
    }
    assert!(markdown.contains("| csrf-form | left out | left out | left out | left out | left out | left out |"));
    let result: serde_json::Value = serde_json::from_str(&result).expect("JSON");
    assert_eq!(result["left_out"][0]["id"], "csrf-form");
    assert_eq!(result["attacks"][1]["results"], serde_json::json!([]));
    assert_eq!(result["attacks"][1].as_object().map(serde_json::Map::len), Some(4), "its keys are fixed");
}

#[test]
fn what_must_not_be_so_comes_first_and_nothing_from_outside_becomes_markup() {
    for lang in Lang::ALL {
        let [html, markdown, _] = written(&attacks::bad(), lang);
        let page = parsed(&html);
        let notices: Vec<_> = named(&page.root_element(), "p")
            .iter()
            .filter(|p| p.attribute("class") == Some("notice"))
            .map(text)
            .collect();
        assert_eq!(notices.len(), 3);
        assert!(notices[0].contains("alg-none") && notices[0].contains("<script>alert(1)</script>"), "{notices:?}");
        assert!(notices[1].contains("fixation"), "{notices:?}");
        assert!(named(&page.root_element(), "script").is_empty());
        assert!(markdown.contains("\\<script\\>") && !markdown.replace("\\<", "").contains('<'), "{markdown}");
    }
}
