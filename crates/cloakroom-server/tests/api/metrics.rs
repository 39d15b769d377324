//! What operators see: every metric is documented, counts what it says, and is what dashboard and alert rules ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use crate::lab::{APPS, Feed, Lab};

/// A page of metrics, read.
#[derive(Default)]
struct Page {
    /// Kind and help of each family.
    families: BTreeMap<String, (String, String)>,
    /// Labels of each sample's name.
    labels: BTreeMap<String, BTreeSet<String>>,
    /// The value of each sample, as it is written.
    samples: BTreeMap<String, String>,
}

impl Page {
    async fn of(lab: &Lab) -> Self {
        let (text, mut page) = (lab.get("/metrics").await.text(), Self::default());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(described) = line.strip_prefix("# ") {
                let (what, rest) = described.split_once(' ').unwrap();
                let (name, text) = rest.split_once(' ').unwrap();
                let family = page.families.entry(name.to_owned()).or_default();
                text.clone_into(if what == "TYPE" { &mut family.0 } else { &mut family.1 });
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let names = labels.split("\",").filter_map(|pair| pair.split_once('=')).map(|(name, _)| name.to_owned());
            page.labels.entry(name.to_owned()).or_default().extend(names);
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert_eq!(page.samples.insert(series.to_owned(), value.to_owned()), None, "{series} is there once");
        }
        page
    }

    fn value(&self, series: &str) -> &str {
        self.samples.get(series).unwrap_or_else(|| panic!("{series}: {:?}", self.samples.keys()))
    }

    /// The labels of a family's samples, but those of a histogram's own.
    fn labels_of(&self, family: &str) -> BTreeSet<String> {
        let suffixes = ["", "_bucket", "_sum", "_count"];
        let labels = suffixes.iter().filter_map(|suffix| self.labels.get(&format!("{family}{suffix}"))).flatten();
        labels.filter(|label| *label != "le").cloned().collect()
    }
}

/// Something of everything that is counted, on a server whose accounts and sessions are in SQLite.
async fn traffic(lab: &Lab) -> Feed {
    for app in APPS {
        let ada = lab.login("ada", app).await;
        for _ in 0..2 {
            assert_eq!(lab.verify(ada.credential()).await.status, 200);
        }
    }
    let api = lab.login("ada", "api").await;
    assert_eq!(lab.refresh(api.refresh_token()).await.status, 200);
    assert_eq!(lab.refresh("nonsense").await.status, 401);
    assert_eq!(lab.try_login("ada", "not this one", "web").await.status, 401);
    assert_eq!(lab.get("/signin").await.status, 200);
    assert_eq!(lab.get("/wp-login.php").await.status, 404);
    assert_eq!(lab.post("/v1/logout").bearer(api.credential()).await.status, 204);
    let service = lab.service().await;
    Feed::open(lab.get("/v1/revocations").basic(&service)).await
}

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// Of a store that gathers them.
const READS: [&str; 3] =
    ["cloakroom_store_reads_waiting", "cloakroom_store_read_batches_total", "cloakroom_store_batched_reads_total"];

/// The table says name, kind, labels and meaning as the server does, and nothing is missing in either.
#[tokio::test]
async fn the_documented_metrics_are_those_of_a_server() {
    let lab = Lab::start().await;
    let _feed = traffic(&lab).await;
    let page = Page::of(&lab).await;
    let mut documented = BTreeSet::new();
    for row in file("docs/metrics.md").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, help] = cells[..] else { panic!("{row}") };
        let name = name.trim_matches('`');
        let (served_kind, served_help) = page.families.get(name).unwrap_or_else(|| panic!("{name} is not served"));
        assert_eq!((served_kind.as_str(), served_help.as_str()), (kind, help), "{name}");
        let labels: BTreeSet<_> = labels.split('`').filter(|part| !part.trim_matches([',', ' ']).is_empty()).collect();
        let served = page.labels_of(name);
        // SQLite has no connections to servers elsewhere, and gathers no reads.
        if !name.starts_with("cloakroom_store_connections") && !READS.contains(&name) {
            assert_eq!(served.iter().map(String::as_str).collect::<BTreeSet<_>>(), labels, "{name}");
        }
        documented.insert(name.to_owned());
    }
    assert_eq!(documented, page.families.into_keys().collect());
}

#[tokio::test]
async fn what_people_do_is_counted_by_its_outcome() {
    let lab = Lab::start().await;
    let feed = traffic(&lab).await;
    let page = Page::of(&lab).await;
    for (series, count) in [
        (r#"cloakroom_sign_ins_total{app="api",method="jwt",outcome="ok"}"#, "2"),
        (r#"cloakroom_sign_ins_total{app="web",method="session",outcome="invalid_credentials"}"#, "1"),
        (r#"cloakroom_refreshes_total{outcome="ok"}"#, "1"),
        (r#"cloakroom_refreshes_total{outcome="credential_invalid"}"#, "1"),
        (r#"cloakroom_events_total{kind="signed_out"}"#, "1"),
        (r#"cloakroom_limits_hit_total{limit="account"}"#, "0"),
        (r#"cloakroom_http_request_seconds_count{method="POST",route="/v1/login",status="2xx"}"#, "5"),
        (r#"cloakroom_http_request_seconds_count{method="POST",route="/v1/login",status="4xx"}"#, "1"),
        (r#"cloakroom_http_request_seconds_count{method="GET",route="none",status="4xx"}"#, "1"),
        (r#"cloakroom_http_request_seconds_bucket{method="GET",route="/signin",status="2xx",le="+Inf"}"#, "1"),
        (r#"cloakroom_store_operation_seconds_count{port="sessions",operation="write"}"#, "4"),
        ("cloakroom_password_hash_seconds_count", "7"),
        ("cloakroom_feed_readers", "1"),
        (r#"cloakroom_key_age_seconds{purpose="mac"}"#, "0"),
    ] {
        assert_eq!(page.value(series), count, "{series}");
    }
    let number = |series| page.value(series).parse::<f64>().unwrap();
    assert!(number("process_resident_memory_bytes") > 1e6 && number("process_open_fds") > 3.0);
    assert!(!page.samples.keys().any(|series| series.contains("/v1/verify")), "a check is not timed");
    drop(feed);
}

/// A stranger's paths and methods make no series.
#[tokio::test]
async fn strangers_make_no_new_series() {
    let lab = Lab::with_settings("base_path = '/auth'").await;
    lab.get("/auth/v1/session").await;
    let before = Page::of_base(&lab).await;
    for n in 0..20 {
        lab.get(&format!("/auth/v1/sessions{n}")).await;
        lab.get(&format!("/{n}")).await;
        lab.ask(&format!("STRANGE{n}"), "/auth/v1/login").await;
        lab.delete(&format!("/auth/v1/sessions/{n}")).await;
    }
    let routes = |page: &Page| {
        let requests = page.samples.keys().filter(|series| series.starts_with("cloakroom_http_request_seconds_count"));
        requests.cloned().collect::<BTreeSet<_>>()
    };
    let new: Vec<_> = routes(&Page::of_base(&lab).await).difference(&routes(&before)).cloned().collect();
    assert_eq!(
        new,
        [
            r#"cloakroom_http_request_seconds_count{method="DELETE",route="/v1/sessions/{id}",status="4xx"}"#,
            r#"cloakroom_http_request_seconds_count{method="GET",route="/metrics",status="2xx"}"#,
            r#"cloakroom_http_request_seconds_count{method="_OTHER",route="/v1/login",status="4xx"}"#,
        ]
    );
}

impl Page {
    async fn of_base(lab: &Lab) -> Self {
        let text = lab.get("/auth/metrics").await.text();
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        Self { samples: samples.map(|(series, _)| (series.to_owned(), String::new())).collect(), ..Self::default() }
    }
}

/// Whoever is turned away is counted by the limit that did it.
#[tokio::test]
async fn limits_that_are_hit_are_counted() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    for _ in 0..12 {
        lab.try_login("ada", "not this one", "web").await;
    }
    let page = Page::of(&lab).await;
    assert_eq!(page.value(r#"cloakroom_limits_hit_total{limit="account"}"#), "2");
    assert_eq!(page.value(r#"cloakroom_sign_ins_total{app="web",method="session",outcome="rate_limited"}"#), "2");
}

/// Every name and label that dashboard and rules ask for is there. `tests/observability` has a real Prometheus ask.
#[tokio::test]
async fn what_dashboard_and_alert_rules_ask_for_is_served() {
    let lab = Lab::start().await;
    let _feed = traffic(&lab).await;
    let page = Page::of(&lab).await;
    let board: Value = serde_json::from_str(&file("deploy/grafana/cloakroom.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let rows: Vec<_> = panels.iter().filter(|panel| panel["type"] == "row").map(|row| &row["title"]).collect();
    assert_eq!(rows, ["Overview", "Logins", "Verification", "Revocation", "Stores", "Process"]);
    let mut asked: Vec<_> = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .collect::<Vec<_>>()
        .into_iter()
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    let rules = file("docs/alerts.yml");
    asked.extend(rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned));
    assert!(asked.len() > 60, "{}", asked.len());
    // Those that a scrape adds, and those of metrics that need a store elsewhere.
    let mut known: BTreeSet<_> = ["instance", "job", "le", "holds", "store", "state"].map(str::to_owned).into();
    known.extend(page.labels.values().flatten().cloned());
    for expression in asked {
        for name in words(&expression).filter(|word| word.starts_with("cloakroom_") || word.starts_with("process_")) {
            let family = ["", "_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|family| page.families.contains_key(*family)));
            assert!(family.is_some(), "{name} in {expression}");
        }
        let matched = expression.split('{').skip(1).flat_map(|rest| rest.split('}').next().unwrap().split(','));
        let grouped = expression.split("by (").skip(1).flat_map(|rest| rest.split(')').next().unwrap().split(", "));
        for label in matched.map(|label| label.split(['=', '!']).next().unwrap()).chain(grouped) {
            assert!(known.contains(label), "{label} in {expression}");
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}
