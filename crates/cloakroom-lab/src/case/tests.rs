use super::*;

fn parse(text: &str) -> Result<Case, Vec<String>> {
    Case::parse("case.toml".as_ref(), text).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn an_empty_file_is_the_default_case() {
    assert_eq!(parse(""), Ok(Case::default()));
}

/// The keys and defaults that callers outside rely on.
#[test]
fn the_published_file_is_the_default_case() {
    let published = r#"
        clients = ["browser"]          # browser | mobile | service | third_party
        live_sessions = 10_000
        requests_per_second = 100
        logins_per_second = 1
        servers = 1
        regions = 1
        store_round_trip_ms = 1.0
        shared_store = true
        end_within = "1m"
        verifiers = "own"              # own | many_services | third_party
        cross_site = false
        offline_verification = false
        sensitive = false
        egress_price_per_gb = 0.09
    "#;
    assert_eq!(parse(published), Ok(Case::default()));
    assert_eq!(published.lines().filter(|line| line.contains('=')).count(), Key::ALL.len());
}

#[test]
fn what_is_written_reads_back() {
    let case = Case {
        clients: BTreeSet::from([Client::Mobile, Client::ThirdParty]),
        requests_per_second: 0.5,
        end_within: EndWithin::NextRequest,
        verifiers: Verifiers::ManyServices,
        sensitive: true,
        ..Case::default()
    };
    assert_eq!(parse(&case.to_toml()), Ok(case.clone()));
    assert_eq!(serde_json::to_value(&case).unwrap()["clients"], serde_json::json!(["mobile", "third_party"]));
    for (text, end) in [
        ("0s", EndWithin::NextRequest),
        ("0ms", EndWithin::NextRequest),
        ("any", EndWithin::Any),
        ("250ms", EndWithin::Within(Duration::from_millis(250))),
        ("2h", EndWithin::Within(Duration::from_secs(7200))),
    ] {
        assert_eq!(parse(&format!("end_within = \"{text}\"")).unwrap().end_within, end, "{text}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_line_and_remedy() {
    let errors = parse(
        "clients = [\"browsr\"]\nservers = 0\nregion = 2\nend_within = 60\nshared_store = \"yes\"\nstore_round_trip_ms = nan\n\
         verifiers = \"me\"\n",
    )
    .unwrap_err();
    let expected = [
        "`clients`: `browsr` is no kind of client (browser, mobile, service, third_party); in case.toml line 1",
        "`servers`: `0` is out of bounds; 1 to 100000 is possible; in case.toml line 2",
        "`region`: there is no such key (did you mean `regions`?); in case.toml line 3",
        "`end_within`: `60` is no duration; write it as \"0s\", \"5s\", \"1m\", \"1h\" or \"any\"; in case.toml line 4",
        "`shared_store`: `yes` is neither true nor false; in case.toml line 5",
        "`store_round_trip_ms`: `nan` is out of bounds; 0 to 60000 is possible; in case.toml line 6",
        "`verifiers`: `me` is no kind of verifier (own, many_services, third_party); in case.toml line 7",
    ];
    assert_eq!(errors, expected);
    assert_eq!(parse("clients = []").unwrap_err().len(), 1);
    assert!(parse("servers = \n").unwrap_err()[0].starts_with("this is no TOML: "));
}

#[test]
fn answers_are_read_as_people_write_them() {
    let mut case = Case::default();
    for (key, text) in [
        (Key::Clients, "browser, mobile"),
        (Key::LiveSessions, "1,000,000"),
        (Key::EndWithin, "5s"),
        (Key::Sensitive, "y"),
        (Key::CrossSite, "아니요"),
        (Key::Verifiers, "many_services"),
    ] {
        parse_value(&mut case, key, text).unwrap();
    }
    assert_eq!(case.clients, BTreeSet::from([Client::Browser, Client::Mobile]));
    assert_eq!((case.live_sessions, case.sensitive), (1_000_000, true));
    assert_eq!(case.end_within, EndWithin::Within(Duration::from_secs(5)));
    let problem = parse_value(&mut case, Key::Servers, "many").unwrap_err();
    assert_eq!(problem, "`many` is no whole number; 1 to 100000 is possible");
}

#[test]
fn nobody_does_more_often_what_takes_its_time() {
    assert!((at_most_every(1000.0, 1e9, 300.0, 1.0) - 1000.0 / 300.0).abs() < 1e-3);
    assert!(at_most_every(1000.0, 1.0, 300.0, 1.0) < 1.0, "who asks once in a while does it less often than they ask");
    assert!(at_most_every(1000.0, 0.0, 300.0, 1.0).abs() < 1e-12);
    assert!(at_most_every(1000.0, 1e9, 300.0, 3.0) > 2.9 * at_most_every(1000.0, 1e9, 300.0, 1.0));
}
