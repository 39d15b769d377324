mod cases;

use std::collections::{BTreeMap, BTreeSet};

use cloakroom_core::method::Method;
use cloakroom_server::config::{Config, Sources};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{Fit, alternatives::looser, decide, rank, recommend, rules::RULES};
use crate::{
    advise::{alternatives::CONSTRAINTS, questions::ask, show},
    case::{Case, Client, EndWithin, Key, Verifiers},
    language::Lang,
};
use cases::CASES;

fn read(text: &str) -> Case {
    Case::parse("case.toml".as_ref(), text).unwrap()
}

fn ruled_out(case: &Case) -> BTreeMap<Method, BTreeSet<&'static str>> {
    let advice = decide(case, Lang::English);
    let out = advice.options.iter().filter(|choice| choice.fit == Fit::RuledOut);
    let rules = |choice: &super::Choice| {
        let reasons = choice.reasons.iter().filter(|reason| reason.effect == super::Effect::RulesOut);
        reasons.map(|reason| reason.rule.id).collect()
    };
    out.map(|choice| (choice.method, rules(choice))).collect()
}

fn out(case: &Case) -> BTreeSet<Method> {
    rank(case).into_iter().filter(|ranked| ranked.out).map(|ranked| ranked.method).collect()
}

#[test]
fn each_worked_case_has_the_answer_that_was_reasoned() {
    for worked in &CASES {
        let case = read(worked.case);
        let advice = decide(&case, Lang::English);
        assert_eq!(advice.recommended, worked.best, "{}", worked.name);
        let expected: BTreeMap<_, BTreeSet<_>> =
            worked.out.iter().map(|(method, rules)| (*method, rules.iter().copied().collect())).collect();
        assert_eq!(ruled_out(&case), expected, "{}", worked.name);
        let of_whom = advice.options.iter().filter(|choice| choice.fit == Fit::Best || worked.best.is_none());
        let said: BTreeSet<_> = of_whom.flat_map(|choice| &choice.reasons).map(|reason| reason.rule.id).collect();
        for rule in worked.says {
            assert!(said.contains(rule), "{}: {rule} is not among {said:?}", worked.name);
        }
        assert_eq!(advice.conflicts.is_empty(), worked.best.is_some(), "{}", worked.name);
    }
}

#[test]
fn each_rule_is_shown_by_a_worked_case() {
    let said: BTreeSet<_> = CASES
        .iter()
        .flat_map(|worked| decide(&read(worked.case), Lang::English).options)
        .flat_map(|choice| choice.reasons)
        .map(|reason| reason.rule.id)
        .collect();
    assert_eq!(said, RULES.iter().map(|rule| rule.id).collect(), "each once, and each in use");
}

/// What a contradiction says must hold: with the change that it names there is a method, and with each of its keys given up by itself.
#[test]
fn a_contradiction_names_what_helps() {
    let conflict = |text: &str| decide(&read(text), Lang::English).conflicts.remove(0);
    let offline = conflict("offline_verification = true\nend_within = \"0s\"");
    assert_eq!(offline.keys, ["end_within", "offline_verification"]);
    assert_eq!(
        offline.text,
        "Nothing satisfies end_within = \"0s\" and offline_verification = true together. The smallest change that helps: end_within = \
         \"15s\"; then `jwt`."
    );
    assert!(!offline.together);
    let twice = conflict(
        "sensitive = true\nservers = 3\nshared_store = false\noffline_verification = true\nend_within = \"0s\"",
    );
    assert!(twice.together);
    assert_eq!(twice.changes.len(), 2);
    for worked in CASES.iter().filter(|worked| worked.best.is_none()) {
        let case = read(worked.case);
        for conflict in decide(&case, Lang::English).conflicts {
            let helped = conflict.changes.iter().all(|change| change.recommended.is_some());
            assert!(helped && !conflict.changes.is_empty(), "{}: {conflict:?}", worked.name);
        }
    }
    let idle = conflict("cross_site = true\nclients = [\"mobile\"]");
    assert_eq!(idle.changes[0].to, json!(false));
}

#[test]
fn what_would_change_the_answer_does() {
    for worked in &CASES {
        let case = read(worked.case);
        for change in decide(&case, Lang::English).changes {
            // The value is put back through the file's own reading.
            let mut written = serde_json::to_value(&case).unwrap();
            written[change.key] = change.to.clone();
            let lines = written
                .as_object()
                .unwrap()
                .iter()
                .map(|(key, value)| format!("{key} = {}\n", crate::case::shown(value)));
            let other = read(&lines.collect::<String>());
            assert_eq!(recommend(&other), change.recommended, "{}: {change:?}", worked.name);
            assert_ne!(change.recommended, worked.best, "{}: {change:?}", worked.name);
        }
    }
    let of = |key: &str| {
        decide(&read("regions = 12\nservers = 24"), Lang::English).changes.into_iter().find(|change| change.key == key)
    };
    assert_eq!(of("store_round_trip_ms").unwrap().to, json!(10.0), "the threshold itself, not a power of two");
}

#[test]
fn the_answer_has_the_published_shape() {
    let answer = serde_json::to_value(decide(&Case::default(), Lang::English)).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let named = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(keys(&answer), named(&["recommended", "options", "conflicts", "changes"]));
    assert_eq!(answer["recommended"], "session");
    let options = answer["options"].as_array().unwrap();
    assert_eq!(options.len(), 4);
    for option in options {
        assert_eq!(keys(option), named(&["method", "fit", "reasons", "settings", "estimate"]));
        let estimate = [
            "cpu_cores",
            "wire_bytes_per_second",
            "store_operations_per_second",
            "state_bytes",
            "end_lag_ms",
            "egress_per_month",
        ];
        assert_eq!(keys(&option["estimate"]), named(&estimate));
        assert!(option["reasons"].as_array().unwrap().iter().all(|reason| keys(reason) == named(&["rule", "text"])));
    }
    assert_eq!(options.iter().filter(|option| option["fit"] == "best").count(), 1);
    let none = serde_json::to_value(decide(&read(CASES[35].case), Lang::Korean)).unwrap();
    assert_eq!(none["recommended"], Value::Null);
    assert!(none["options"].as_array().unwrap().iter().all(|option| option["fit"] == "ruled_out"));
}

/// What is advised can be written into a configuration as it stands, and keeps what the case asks for.
#[test]
fn the_settings_of_every_option_are_a_sound_configuration() {
    for worked in &CASES {
        let case = read(worked.case);
        for choice in decide(&case, Lang::English).options {
            let text = toml::to_string(&choice.settings).unwrap();
            let secret = ("CLOAKROOM_SECRET", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
            let sources = Sources::new().text("advised.toml", text.clone()).environment([secret]);
            let config = Config::load(sources).unwrap_or_else(|errors| panic!("{}: {errors}\n{text}", worked.name));
            assert_eq!(config.apps().default_app().method, choice.method, "{}", worked.name);
            if let (EndWithin::Within(time), true) = (case.end_within, choice.fit != Fit::RuledOut) {
                assert!(choice.estimate.end_lag_ms <= time.as_secs_f64() * 1e3, "{} {}", worked.name, choice.method);
            }
        }
    }
}

#[test]
fn both_languages_say_every_rule() {
    for rule in &RULES {
        let (english, korean) = (rule.sentence(Lang::English), rule.sentence(Lang::Korean));
        assert!(english.ends_with('.') && english.is_ascii(), "{}", rule.id);
        assert!(korean.ends_with('.') && korean.chars().any(|c| ('가'..='힣').contains(&c)), "{}", rule.id);
        assert!(!korean.contains("  ") && !english.contains("  "), "{}", rule.id);
    }
    let case = read("servers = 3\nclients = [\"browser\", \"mobile\"]");
    let said = |lang| show(&case, &decide(&case, lang), lang);
    assert!(said(Lang::English).starts_with("Use `session`.\n"));
    assert!(said(Lang::English).contains("\n    method = \"session\"\n"));
    assert!(said(Lang::Korean).starts_with("`session` 방식을 쓰세요.\n"));
    assert!(said(Lang::Korean).contains("드는 비용:"));
}

#[test]
fn at_most_ten_questions_are_asked_and_a_bad_answer_is_asked_again() {
    let answers = "browser, mobile\n50000\n6\nmany\n3\nyes\nmany_services\n5s\nno\nno\ny\n";
    let mut asked = Vec::new();
    let case = ask(&mut answers.as_bytes(), &mut asked, Lang::English).unwrap();
    let expected = read(
        "clients = [\"browser\", \"mobile\"]\nlive_sessions = 50000\nrequests_per_second = 500\nlogins_per_second = 5\nservers = 6\n\
         regions = 3\nverifiers = \"many_services\"\nend_within = \"5s\"\nsensitive = true",
    );
    assert_eq!(case, expected);
    let asked = String::from_utf8(asked).unwrap();
    assert_eq!(asked.matches('?').count(), 11, "ten questions, one of them twice: {asked}");
    assert!(asked.contains("`many` is no whole number; 1 to 1000 is possible"));
    // Nothing but Enter: the default case, and no question that makes no difference.
    let mut asked = Vec::new();
    assert_eq!(ask(&mut "\n".repeat(10).as_bytes(), &mut asked, Lang::Korean).unwrap(), Case::default());
    assert!(!String::from_utf8(asked).unwrap().contains("지역"));
    assert_eq!(ask(&mut "".as_bytes(), &mut Vec::new(), Lang::English).unwrap(), Case::default());
}

fn any_case() -> impl Strategy<Value = Case> {
    let ends = ["0s", "50ms", "100ms", "1s", "14s", "15s", "1m", "1h", "any"];
    let clients = proptest::collection::btree_set(select(Client::ALL.to_vec()), 1..=4);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let sizes =
        (1..=5_u32, 1..=4_u32, select(vec![0.1, 5.0, 10.0, 200.0]), select(vec![10_u64, 10_000, 1_000_000_000]));
    (clients, select(ends.to_vec()), select(Verifiers::ALL.to_vec()), switches, sizes).prop_map(
        |(
            clients,
            end,
            verifiers,
            (shared_store, cross_site, offline_verification, sensitive),
            (servers, regions, store_round_trip_ms, live_sessions),
        )| {
            Case {
                clients,
                end_within: read(&format!("end_within = \"{end}\"")).end_within,
                verifiers,
                shared_store,
                cross_site,
                offline_verification,
                sensitive,
                servers,
                regions,
                store_round_trip_ms,
                live_sessions,
                ..Case::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Monotonic: what a case leaves is left by each looser case, whichever key is loosened, and by the same with fewer servers, regions
    /// or milliseconds.
    #[test]
    fn loosening_a_constraint_never_rules_a_method_out(case in any_case()) {
        let left_out = out(&case);
        let smaller = Case { servers: case.servers.div_ceil(2), store_round_trip_ms: 0.0, live_sessions: 1, ..case.clone() };
        for key in CONSTRAINTS.into_iter().chain([Key::Regions]) {
            for other in looser(&case, key).into_iter().chain([smaller.clone()]) {
                let then = out(&other);
                prop_assert!(then.is_subset(&left_out), "{key:?}: {other:?} rules out {then:?}, {case:?} {left_out:?}");
            }
        }
    }

    /// Nothing is recommended that is ruled out, what contradicts itself is said to, and the remedy helps.
    #[test]
    fn every_case_has_an_answer_or_a_contradiction(case in any_case()) {
        let advice = decide(&case, Lang::Korean);
        prop_assert_eq!(advice.options.len(), 4);
        prop_assert_eq!(advice.recommended.is_some(), advice.options[0].fit == Fit::Best);
        prop_assert!(advice.options.is_sorted_by_key(|choice| choice.fit));
        if advice.recommended.is_none() {
            prop_assert!(!advice.conflicts.is_empty());
            let helped = advice.conflicts.iter().flat_map(|conflict| &conflict.changes).all(|change| change.recommended.is_some());
            prop_assert!(helped);
        }
        for choice in &advice.options {
            let estimate = serde_json::to_value(choice.estimate).unwrap();
            prop_assert!(estimate.as_object().unwrap().values().all(|value| value.as_f64().is_some_and(|v| v >= 0.0 && v.is_finite())));
        }
    }
}
