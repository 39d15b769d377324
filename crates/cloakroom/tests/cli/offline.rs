//! Commands without a server: they open the store themselves.

use serde_json::json;

use crate::bench::{Bench, PASSWORD};

#[test]
fn an_account_is_added_listed_disabled_enabled_and_deleted() {
    let bench = Bench::new();
    let added = bench.json_with(&["account", "add", "Ada@Example.com", "--name", "Ada", "--password-stdin"], PASSWORD);
    let account = &added["account"];
    assert_eq!(
        (&account["email"], &account["name"], &account["state"]),
        (&json!("Ada@Example.com"), &json!("Ada"), &json!("active"))
    );
    assert!(added.get("password").is_none());
    let id = account["id"].as_str().unwrap();

    let listed = bench.json(&["account", "list"]);
    assert_eq!(listed, json!({ "accounts": [account] }));
    assert!(bench.run(&["account", "list"]).out.contains("Ada@Example.com"));

    assert_eq!(bench.json(&["account", "disable", "ada@example.com"])["account"]["state"], "disabled");
    assert_eq!(bench.json(&["account", "enable", id])["account"]["state"], "active");
    assert_eq!(
        bench.json_with(&["account", "password", id, "--password-stdin"], "another-kettle-march-72")["account"]["id"],
        id
    );
    assert_eq!(bench.json(&["account", "delete", "ada@example.com"])["account"]["id"], id);
    assert_eq!(bench.json(&["account", "list"]), json!({ "accounts": [] }));
    assert_eq!(bench.refusal(&["account", "disable", id]), (1, "not_found".into()));

    let kinds = bench.json(&["audit", "list", "--account", id]);
    let kinds: Vec<_> =
        kinds["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["account_deleted", "password_changed", "account_enabled", "account_disabled", "registered"]);
}

#[test]
fn a_made_password_is_shown_once_and_a_weak_one_is_refused() {
    let bench = Bench::new();
    let added = bench.json(&["account", "add", "ada@example.com", "--generate"]);
    let made = added["password"].as_str().unwrap();
    assert_eq!(made.len(), 23);
    let run = bench.run_with(&["account", "add", "bob@example.com", "--password-stdin", "--json"], "password123\n");
    assert_eq!((run.code, run.code_of_error().as_str()), (1, "invalid_request"));
    assert!(!run.err.contains("password123"), "{}", run.err);
    assert_eq!(bench.refusal(&["account", "add", "ada@example.com", "--generate"]), (1, "email_taken".into()));
    assert_eq!(bench.refusal(&["account", "add", "nobody", "--generate"]), (2, "bad_argument".into()));
    // There is no terminal here to ask at.
    assert_eq!(bench.refusal(&["account", "add", "bob@example.com"]), (2, "usage".into()));
}

#[test]
fn more_accounts_than_a_page_holds_are_all_listed() {
    let bench = Bench::new();
    bench.add("ada@example.com");
    let database = rusqlite::Connection::open(bench.data().join("cloakroom.db")).unwrap();
    let row = "INSERT INTO accounts SELECT randomblob(16), ?1, ?1, name, disabled, epoch, created, password FROM accounts \
               WHERE email = 'ada@example.com'";
    for i in 0..250 {
        database.execute(row, [format!("user{i}@example.com")]).unwrap();
    }
    drop(database);
    let listed = bench.json(&["account", "list"]);
    let mut emails: Vec<_> = listed["accounts"].as_array().unwrap().iter().map(|a| a["email"].to_string()).collect();
    emails.sort();
    emails.dedup();
    assert_eq!(emails.len(), 251);
}

#[test]
fn keys_are_listed_rotated_and_killed() {
    let bench = Bench::new();
    bench.add("ada@example.com");
    let listed = bench.json(&["key", "list"]);
    let keys = listed["keys"].as_array().unwrap();
    let purposes: Vec<_> =
        keys.iter().map(|key| (key["purpose"].as_str().unwrap(), key["state"].as_str().unwrap())).collect();
    assert_eq!(purposes, [("mac", "current"), ("EdDSA", "current")]);

    let made = bench.json(&["key", "rotate", "EdDSA"]);
    assert_eq!((&made["made"][0]["purpose"], &made["made"][0]["state"]), (&json!("EdDSA"), &json!("next")));
    assert_eq!(bench.json(&["key", "rotate"])["made"].as_array().unwrap().len(), 2);

    let stolen = keys[1]["kid"].as_str().unwrap();
    let killed = bench.json(&["key", "kill", stolen]);
    assert_eq!(killed["killed"], stolen);
    let after = bench.json(&["key", "list"]);
    let state =
        |kid: &str| after["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap()["state"].clone();
    assert_eq!(state(stolen), "killed");
    let current =
        after["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == "EdDSA" && key["state"] == "current");
    assert_eq!(current.count(), 1);

    assert_eq!(bench.refusal(&["key", "kill", "nokey"]), (1, "not_found".into()));
    assert_eq!(bench.refusal(&["key", "rotate", "ES512"]), (2, "usage".into()));
}

/// R31: a row that no secret opens stops no command; it is named, and can be killed.
#[test]
fn a_key_that_cannot_be_opened_is_named() {
    let bench = Bench::new();
    bench.add("ada@example.com");
    let database = rusqlite::Connection::open(bench.data().join("cloakroom.db")).unwrap();
    let row = "INSERT INTO keys (kid, purpose, ordinal, wrapped, created, used_from)
               SELECT 'stray', purpose, ordinal + 7, x'00', created, used_from FROM keys WHERE purpose = 'EdDSA'";
    database.execute(row, []).unwrap();
    drop(database);
    let listed = bench.json(&["key", "list"]);
    let stray = listed["keys"].as_array().unwrap().iter().find(|key| key["kid"] == "stray").unwrap();
    assert_eq!(stray["state"], "unreadable");
    assert!(listed["trouble"][0]["problem"].as_str().unwrap().contains("key stray (EdDSA)"), "{listed}");
    let report: serde_json::Value = serde_json::from_str(&bench.run(&["doctor", "--json"]).out).unwrap();
    let failed = report["findings"].as_array().unwrap().iter().find(|one| one["level"] == "fail").unwrap();
    assert!(failed["remedy"].as_str().unwrap().contains("cloakroom key kill stray"), "{failed}");
    bench.json(&["key", "kill", "stray"]);
    assert_eq!(bench.json(&["key", "list"])["trouble"], json!([]));
}

#[test]
fn a_service_is_shown_with_its_secret_once() {
    let bench = Bench::new();
    let added = bench.run(&["service", "add", "shop"]);
    assert_eq!(added.code, 0, "{}", added.err);
    let added: serde_json::Value = serde_json::from_str(&added.out).unwrap();
    let members: Vec<_> = added.as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "secret"]);
    let listed = bench.json(&["service", "list"]);
    assert_eq!((&listed["services"][0]["id"], &listed["services"][0]["name"]), (&added["id"], &json!("shop")));
    assert!(!listed.to_string().contains(added["secret"].as_str().unwrap()));
    let id = added["id"].as_str().unwrap();
    assert_eq!(bench.json(&["service", "remove", id]), json!({ "removed": id }));
    assert_eq!(bench.refusal(&["service", "remove", id]), (1, "not_found".into()));
    assert_eq!(bench.refusal(&["service", "add", ""]), (1, "invalid_request".into()));
}

#[test]
fn sessions_are_ended_by_id_account_and_app() {
    let bench = Bench::new();
    let id = bench.add("ada@example.com");
    // An id may begin with what looks like a flag.
    let sid = "-3q2-7wAAAAAAAAAAAAAAA";
    assert_eq!(bench.json(&["session", "revoke", sid]), json!({ "revoked": { "session": sid } }));
    assert_eq!(
        bench.json(&["session", "revoke", "--account", "ada@example.com"]),
        json!({ "revoked": { "account": id } })
    );
    let by_app = bench.json(&["session", "revoke", "--app", "web", "--method", "session"]);
    assert_eq!(by_app, json!({ "revoked": { "app": "web", "method": "session" } }));
    assert_eq!(bench.json(&["session", "revoke", "--app", "web"])["revoked"]["method"], json!(null));
    assert_eq!(bench.json(&["session", "list"]), json!({ "counts": [] }));
    assert_eq!(bench.json(&["session", "list", "ada@example.com"]), json!({ "sessions": [] }));
    assert_eq!(bench.refusal(&["session", "revoke", "--app", "wep"]), (1, "unknown_app".into()));
    assert_eq!(bench.refusal(&["session", "revoke", "short"]), (2, "bad_argument".into()));
}

#[test]
fn wrong_usage_ends_with_status_2() {
    let bench = Bench::new();
    for args in [
        &["frobnicate"][..],
        &["session", "revoke"],
        &["session", "revoke", "--account", "a", "--app", "web"],
        &["session", "revoke", "--method", "jwt"],
        &["session", "revoke", "--app", "web", "--method", "jwtt"],
        &["account", "add"],
        &["account", "add", "a@example.com", "--generate", "--password-stdin"],
        &["key", "kill"],
        &["token", "verify", "a.b.c"],
        &["audit", "list", "--kind", "nothing"],
        &["audit", "list", "--limit", "0"],
        &["serve", "--listen", "nowhere"],
    ] {
        let run = bench.run(args);
        assert_eq!(run.code, 2, "{args:?}: {}", run.err);
        assert!(run.out.is_empty() && run.err.contains("error"), "{args:?}");
        assert_eq!(bench.refusal(args).0, 2, "{args:?}");
    }
    let help = bench.run(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.contains("Exit status"));
    assert!(help.out.contains("advise"));
}

#[test]
fn a_mistyped_directory_does_not_become_a_store() {
    let bench = Bench::new();
    for args in [&["account", "list"][..], &["key", "list"], &["session", "list"], &["key", "rewrap", "--generate"]] {
        assert_eq!(bench.refusal(args), (1, "no_store".into()), "{args:?}");
    }
    assert!(!bench.data().exists());
}

#[test]
fn every_mistake_of_a_configuration_is_told() {
    let bench = Bench::new();
    let sound = bench.json(&["config", "check"]);
    assert_eq!(sound["apps"].as_array().unwrap().len(), 4);
    assert!(sound["apps"][0]["revocation"]["statement"].as_str().unwrap().contains("2s"));
    assert!(bench.run(&["config", "check"]).out.contains("How soon an end is heeded"));

    let file = bench.file("wrong.toml", "listen = \"here\"\n[[app]]\nid = \"web\"\nmethod = \"jwtt\"\n");
    for command in [&["config", "check"][..], &["account", "list"], &["doctor"], &["serve"]] {
        let args = [command, &["--config", &file]].concat();
        let run = bench.run(&args);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}");
        assert!(run.err.contains("`listen`") && run.err.contains("`app[0].method`"), "{}", run.err);
        assert_eq!(bench.refusal(&args), (2, "bad_configuration".into()));
    }
}

#[test]
fn two_commands_at_once_wait_for_each_other() {
    let bench = Bench::new();
    bench.add("ada@example.com");
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| bench.run(&["account", "list"]))).collect();
        for run in runs {
            let run = run.join().unwrap();
            assert_eq!(run.code, 0, "{}", run.err);
        }
    });
}

/// Before anything is opened: what would be shown is for this machine alone.
#[test]
fn a_server_that_others_reach_does_not_explain_itself() {
    let settings = [
        ("LISTEN", "0.0.0.0:0", "--explain is for loopback only"),
        ("TRUSTED_PROXIES", "127.0.0.1", "--explain is never shown through a proxy"),
        ("PROXY_ENDS_TLS", "true", "--explain is never shown through a proxy"),
        ("PUBLIC_URL", "https://auth.example", "--explain is for loopback only"),
    ];
    for (name, value, said) in settings {
        let mut bench = Bench::new();
        bench.set("CLOAKROOM_PUBLIC_URL", "http://localhost:8080");
        bench.set(&format!("CLOAKROOM_{name}"), value);
        let run = bench.run(&["serve", "--explain"]);
        assert_eq!(run.code, 2, "{name}: {}", run.err);
        assert!(run.err.contains(said), "{name}: {}", run.err);
        assert!(!bench.data().exists());
    }
}
