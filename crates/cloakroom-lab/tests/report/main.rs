//! The report of a comparison, read back: what stands in it, that nothing from outside becomes markup, and that it is honest; and in
//! `attack` that of attacks.

mod attack;
mod attacks;
mod fixture;

use std::{collections::BTreeSet, fs, path::Path};

use cloakroom_core::method::Method;
use cloakroom_lab::{
    compare::{Comparison, report},
    language::Lang,
    stats::Estimate,
};
use roxmltree::{Document, Node, ParsingOptions};

/// What a comparison's report is in its forms.
struct Report {
    html: String,
    markdown: String,
    result: Comparison,
}

impl Report {
    fn of(comparison: &Comparison, lang: Lang) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        report::write(comparison, lang, dir.path()).expect("it is written");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a text");
        let result = serde_json::from_str(&read("result.json")).expect("a comparison");
        Self { html: read("report.html"), markdown: read("report.md"), result }
    }

    fn parsed(&self) -> Document<'_> {
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        Document::parse_with_options(&self.html, options).expect("well-formed")
    }
}

fn everywhere(mut check: impl FnMut(Lang, &Report)) {
    for lang in Lang::ALL {
        check(lang, &Report::of(&fixture::comparison(), lang));
    }
}

fn named<'n>(within: &Node<'n, 'n>, name: &str) -> Vec<Node<'n, 'n>> {
    within.descendants().filter(|node| node.tag_name().name() == name).collect()
}

fn text(node: &Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect::<String>().trim().to_owned()
}

#[test]
fn what_was_left_out_and_what_was_predicted_are_said_in_the_reports_language() {
    let mut comparison = fixture::comparison();
    let absent = &mut comparison.left_out[0];
    (absent.what, absent.why) = ("redis".to_owned(), "not_installed".to_owned());
    absent.remedy = "install_redis".to_owned();
    for (lang, said) in [
        (Lang::English, ["it is not installed", "it need not run", "everything at once", "among 10"]),
        (Lang::Korean, ["설치되어 있지 않습니다", "실행하고 있지 않아도", "모든 일을 한꺼번에", "살아 있는 로그인 10"]),
    ] {
        let report = Report::of(&comparison, lang);
        for words in said {
            assert!(report.markdown.contains(words) && report.html.contains(words), "{lang:?}: {words}");
        }
        for identifier in ["not_installed", "install_redis", "everything_at_once"] {
            assert!(!report.html.contains(identifier), "{lang:?}: {identifier}");
        }
    }
}

#[test]
fn the_page_is_well_formed_and_its_headings_are_in_order() {
    everywhere(|lang, report| {
        let page = report.parsed();
        let root = page.root_element();
        assert_eq!(root.attribute("lang"), Some(lang.tag()));
        let levels: Vec<u32> = root
            .descendants()
            .filter_map(|node| node.tag_name().name().strip_prefix('h').and_then(|level| level.parse().ok()))
            .collect();
        assert_eq!((levels[0], levels.iter().filter(|level| **level == 1).count()), (1, 1));
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        let ids: Vec<&str> = root.descendants().filter_map(|node| node.attribute("id")).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id stands once");
        for labelled in root.descendants().filter_map(|node| node.attribute("aria-labelledby")) {
            assert!(ids.contains(&labelled), "{labelled}");
        }
    });
}

#[test]
fn every_table_has_a_caption_and_heads_and_no_row_lacks_a_cell() {
    everywhere(|_, report| {
        let page = report.parsed();
        let tables = named(&page.root_element(), "table");
        assert!(tables.len() >= 17, "{}", tables.len());
        for table in tables {
            assert!(!text(&named(&table, "caption")[0]).is_empty());
            let head = &named(&table, "thead")[0];
            let columns = named(head, "th").len();
            assert!(named(head, "th").iter().all(|head| head.attribute("scope") == Some("col")));
            for body in named(&table, "tbody") {
                for row in named(&body, "tr") {
                    let heads = named(&row, "th");
                    let group = heads[0].attribute("scope") == Some("rowgroup");
                    let cells = named(&row, "td").len() + heads.len();
                    assert!(group || (heads.len() == 1 && cells == columns), "{}", text(&row));
                }
            }
        }
    });
}

#[test]
fn the_whole_tables_hold_every_row_beside_those_of_its_place() {
    let comparison = fixture::comparison();
    let report = Report::of(&comparison, Lang::English);
    let page = report.parsed();
    for id in ["table-costs", "table-latencies", "table-behaviour"] {
        let table = page.descendants().find(|node| node.attribute("id") == Some(id)).expect("the table");
        let heads = named(&table, "th");
        let of = |scope: &str| heads.iter().filter(|head| head.attribute("scope") == Some(scope)).count();
        assert_eq!((of("row"), of("rowgroup")), (comparison.rows.len(), 9), "{id}");
    }
}

#[test]
fn the_verdict_comes_first_and_is_three_sentences_that_name_the_method() {
    everywhere(|_, report| {
        let page = report.parsed();
        let first = page.descendants().find(|node| node.tag_name().name() == "h2").expect("a heading");
        let sentences = named(&first.parent_element().expect("a section"), "p");
        assert_eq!(sentences.len(), 3);
        assert!(text(&sentences[0]).contains("session"));
        assert_eq!(report.result.verdict.sentences, sentences.iter().map(text).collect::<Vec<_>>());
    });
}

#[test]
fn a_verdict_that_somebody_else_has_written_stands_as_it_is() {
    let mut comparison = fixture::comparison();
    comparison.verdict.sentences = vec!["Use what you have.".to_owned()];
    let report = Report::of(&comparison, Lang::Korean);
    assert_eq!(report.result.verdict.sentences, comparison.verdict.sentences);
    assert!(report.html.contains("<p>Use what you have.</p>"));
    assert!(report.markdown.contains("\nUse what you have.\n"));
}

#[test]
fn a_verdict_of_any_method_is_held_against_the_other_kind() {
    let mut comparison = fixture::comparison();
    for method in Method::ALL {
        comparison.verdict.recommended = Some(method);
        let sentences = report::verdict(&comparison, Lang::English);
        let other = if method.has_tokens() { "session" } else { "jwt" };
        assert!(
            sentences[0].starts_with(&format!("For this case use {method} (SQLite, one server)")),
            "{}",
            sentences[0]
        );
        assert!(sentences[1].contains(other) && sentences[2].contains(&format!("({other}: ")), "{sentences:?}");
    }
    comparison.verdict.recommended = None;
    assert!(report::verdict(&comparison, Lang::English)[0].starts_with("No method"));
}

#[test]
fn several_servers_are_judged_by_several_servers() {
    let mut comparison = fixture::comparison();
    comparison.case["servers"] = 3.into();
    assert!(report::verdict(&comparison, Lang::English)[0].contains("three servers, one store, sticky"));
    comparison.case["shared_store"] = false.into();
    assert!(report::verdict(&comparison, Lang::English)[0].contains("three servers, a store each"));
}

#[test]
fn a_difference_within_the_spread_is_said_to_be_none_everywhere() {
    let mut comparison = fixture::comparison();
    for row in &mut comparison.rows {
        row.verify.spread = 0.9;
        row.login.spread = 0.9;
    }
    let wide = Report::of(&comparison, Lang::English);
    let page = wide.parsed();
    let table = page.descendants().find(|node| node.attribute("id") == Some("table-costs")).expect("the table");
    // The others beside a session, for verifications and sign-ins, in nine places.
    assert_eq!(text(&table).matches("no difference seen").count(), 3 * 2 * 9);
    assert!(wide.html.contains("No difference seen: between session (in memory, one server)"));
    assert!(wide.result.verdict.sentences[1].starts_with("No difference in CPU time was seen"));

    let mut comparison = fixture::comparison();
    comparison.machine.noise = Some(Estimate::exact(3.0));
    let noisy = Report::of(&comparison, Lang::English);
    assert!(noisy.result.verdict.sentences[1].starts_with("No difference in CPU time was seen"));
    assert!(Report::of(&fixture::comparison(), Lang::English).result.verdict.sentences[1].contains("0.95 times"));
}

#[test]
fn what_a_figure_says_follows_from_the_data() {
    let sentence = |comparison: &Comparison, id: &str| {
        let report = Report::of(comparison, Lang::English);
        let page = report.parsed();
        let figure = page.descendants().find(|node| node.attribute("id") == Some(id)).expect("the figure");
        text(&named(&figure, "p")[0])
    };
    let mut comparison = fixture::comparison();
    assert!(sentence(&comparison, "figure-ending").contains("Nothing that could hear of the end went beyond"));
    comparison.rows[7].end_lag_ms.max = 2_300.0;
    assert!(sentence(&comparison, "figure-ending").contains("1 went beyond the bound of 2 s"));
    assert!(
        sentence(&comparison, "figure-survival").starts_with("In 19 of 32 trials"),
        "{}",
        sentence(&comparison, "figure-survival")
    );
    for survival in &mut comparison.survival {
        survival.after = survival.signed_in;
    }
    assert!(sentence(&comparison, "figure-survival").contains("all 32 trials"));
    assert!(sentence(&comparison, "figure-growth-cpu").starts_with("jwt (in memory) changes most"));
    for growth in &mut comparison.growth {
        growth.verify.cpu_us_per_request = 12.0;
    }
    assert!(sentence(&comparison, "figure-growth-cpu").starts_with("No difference seen"));
    assert!(sentence(&comparison, "figure-extrapolation").contains("jwt takes least"));
    for size in &mut comparison.model.extrapolation {
        size.cpu_cores = Estimate { value: 100.0, low: 80.0, high: 120.0 };
    }
    assert!(sentence(&comparison, "figure-extrapolation").contains("no difference is seen"));
}

#[test]
fn both_forms_say_the_same() {
    everywhere(|_, report| {
        let page = report.parsed();
        let plain = report.markdown.replace('\\', "").replace("&lt;", "<").replace("&amp;", "&");
        let whole = |name: &str| named(&page.root_element(), name);
        for node in whole("h2").iter().chain(&whole("h3")).chain(&whole("p")).chain(&whole("caption")) {
            assert!(plain.contains(&text(node)), "{}", text(node));
        }
        for cell in whole("td") {
            let first = cell.children().find(Node::is_text).and_then(|text| text.text()).unwrap_or_default();
            assert!(plain.contains(first), "{first}");
        }
    });
}

#[test]
fn notices_stand_at_the_top_and_only_where_they_hold() {
    let notices = |comparison: &Comparison| {
        let report = Report::of(comparison, Lang::English);
        let before = report.markdown.split("\n## ").next().expect("a beginning").matches("\n> ").count();
        assert_eq!(report.html.matches("role=\"note\"").count(), before);
        before
    };
    let mut comparison = fixture::comparison();
    assert_eq!(notices(&comparison), 0);
    comparison.measurement.optimised = false;
    assert_eq!(notices(&comparison), 1);
    comparison.measurement.quick = true;
    comparison.measurement.interrupted = true;
    assert_eq!(notices(&comparison), 3);
}

/// What nobody should be able to bring in by a case file, a processor's name or an error's text.
const HOSTILE: &str = "</style></script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp; | [x](javascript:x) `*_\u{0}\u{1b}[2J\n# x";

#[test]
fn nothing_from_outside_becomes_markup() {
    let mut comparison = fixture::comparison();
    let hostile = || HOSTILE.to_owned();
    comparison.case = serde_json::json!({ HOSTILE: HOSTILE });
    comparison.machine.processor = hostile();
    comparison.machine.system = hostile();
    comparison.measurement.version = hostile();
    comparison.measurement.began = hostile();
    comparison.measurement.command = hostile();
    for left in &mut comparison.left_out {
        (left.what, left.why, left.remedy) = (hostile(), hostile(), hostile());
    }
    comparison.feed_cut.iter_mut().for_each(|cut| cut.on_feed_loss = hostile());
    comparison.theft.iter_mut().for_each(|theft| (theft.copied, theft.then) = (hostile(), hostile()));
    comparison.survival.iter_mut().for_each(|survival| survival.event = hostile());
    comparison.model.terms.iter_mut().for_each(|term| term.name = hostile());
    comparison.model.tests.iter_mut().for_each(|test| (test.what, test.unit) = (hostile(), hostile()));
    comparison.verdict.sentences = vec![hostile()];
    for lang in Lang::ALL {
        let report = Report::of(&comparison, lang);
        let page = report.parsed();
        let elements: BTreeSet<&str> = page.descendants().map(|node| node.tag_name().name()).collect();
        assert!(!elements.contains("script") && !elements.contains("img"), "{elements:?}");
        assert!(page.descendants().flat_map(|node| node.attributes()).all(|a| !a.name().starts_with("on")));
        assert!(text(&page.root_element()).contains("<script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp; |"));
        assert!(!report.markdown.contains(|c: char| c.is_control() && c != '\n'));
        let mut code = false;
        let mut columns = None;
        for line in report.markdown.lines() {
            code ^= line.starts_with("```");
            if code {
                continue;
            }
            assert!(!line.contains("<script") && !line.replace("\\]", "").contains("]("), "{line}");
            assert!(!line.starts_with("# x"), "{line}");
            // A row has as many cells as its head.
            let cells = line.starts_with("| ").then(|| line.replace("\\|", "").matches('|').count());
            assert!(columns.is_none() || cells.is_none() || columns == cells, "{line}");
            columns = cells;
        }
    }
}

#[test]
fn a_report_loads_nothing_and_runs_nothing() {
    everywhere(|_, report| {
        let free = report.html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "").replace("url(#fill-", "");
        for mark in ["://", "url(", "@import", "<script", "<link", "<img", "src=", "style=\"", "javascript:"] {
            assert!(!free.contains(mark), "{mark}");
        }
        assert!(report.html.contains("default-src 'none'"));
    });
}

#[test]
fn what_was_not_measured_is_left_out_and_nothing_breaks() {
    let mut comparison = fixture::comparison();
    comparison.rows.clear();
    comparison.wire.clear();
    comparison.growth.clear();
    comparison.feed_cut.clear();
    comparison.theft.clear();
    comparison.survival.clear();
    comparison.left_out.clear();
    comparison.model = cloakroom_lab::compare::Model::default();
    comparison.case = serde_json::Value::Null;
    comparison.measurement.pinned = None;
    for lang in Lang::ALL {
        let report = Report::of(&comparison, lang);
        let page = report.parsed();
        assert_eq!(report.result.verdict.sentences.len(), 1);
        assert!(named(&page.root_element(), "figure").is_empty() && named(&page.root_element(), "table").is_empty());
    }
}

#[test]
fn figures_that_are_no_numbers_break_nothing() {
    let mut comparison = fixture::comparison();
    for (number, row) in comparison.rows.iter_mut().enumerate() {
        let odd = [f64::NAN, f64::INFINITY, 0.0, -1.0][number % 4];
        row.verify.cpu_us_per_request = odd;
        row.verify.spread = odd;
        row.end_lag_ms.max = odd;
        row.state_bytes_per_login = None;
    }
    comparison.growth.iter_mut().for_each(|growth| growth.verify.p99_us = f64::NAN);
    comparison.survival.iter_mut().for_each(|survival| survival.signed_in = 0);
    comparison.model.tests.iter_mut().for_each(|test| test.measured = 0.0);
    let dir = tempfile::tempdir().expect("a directory");
    report::write(&comparison, Lang::English, dir.path()).expect("it is written");
    let html = fs::read_to_string(dir.path().join("report.html")).expect("a text");
    assert!(!html.contains("NaN") && !html.contains(">inf"));
}

#[test]
fn files_are_replaced_whole_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("not/yet");
    let names = || -> BTreeSet<String> {
        let files = fs::read_dir(&out).expect("a directory");
        files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect()
    };
    for lang in Lang::ALL {
        report::write(&fixture::comparison(), lang, &out).expect("it is written");
        assert_eq!(names(), ["report.html", "report.md", "result.json"].map(str::to_owned).into());
        let html = fs::read_to_string(out.join("report.html")).expect("a text");
        assert!(html.contains(&format!("<html lang=\"{}\">", lang.tag())));
    }
    assert!(report::write(&fixture::comparison(), Lang::English, Path::new("/proc/nowhere")).is_err());
}
