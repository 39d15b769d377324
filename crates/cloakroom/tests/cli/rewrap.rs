//! Changes of the master secret, and what a crash in the middle leaves.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::bench::Bench;

fn secret_file(bench: &Bench) -> PathBuf {
    bench.data().join("master.secret")
}

fn read(bench: &Bench) -> String {
    fs::read_to_string(secret_file(bench)).unwrap()
}

const NEW: &str = "q8Vn0aYp3mE7kXcW2sR9tLuJf5hBzD1gOiT6yNwKxZ4=";

#[test]
fn a_made_secret_takes_the_files_place() {
    let bench = Bench::new();
    bench.add("ada@example.com");
    let (old, keys) = (read(&bench), bench.json(&["key", "list"]));
    let done = bench.json(&["key", "rewrap", "--generate"]);
    assert_eq!((&done["keys"], &done["changed"]), (&json!(2), &json!(true)));
    assert_ne!(read(&bench), old);
    assert!(!bench.data().join("master.secret.new").exists());
    assert_eq!(bench.json(&["key", "list"]), keys);
    fs::write(secret_file(&bench), old).unwrap();
    assert_eq!(bench.refusal(&["key", "list"]), (1, "wrong_secret".into()));
}

/// A crash after the store is under the new secret and before the file has its name.
#[test]
fn a_start_finishes_a_change_that_was_interrupted() {
    let bench = Bench::new();
    bench.add("ada@example.com");
    let old = read(&bench);
    bench.json(&["key", "rewrap", "--generate"]);
    let (new, left) = (read(&bench), bench.data().join("master.secret.new"));
    fs::copy(secret_file(&bench), &left).unwrap();
    fs::write(secret_file(&bench), &old).unwrap();
    bench.json(&["key", "list"]);
    assert_eq!(read(&bench), new);
    assert!(!left.exists());
}

/// A crash before that: the store is under the old secret, and the new file means nothing.
#[test]
fn a_change_that_never_happened_is_forgotten() {
    let bench = Bench::new();
    bench.add("ada@example.com");
    let left = bench.data().join("master.secret.new");
    for text in [NEW, "half a sec"] {
        let old = read(&bench);
        fs::write(&left, text).unwrap();
        bench.json(&["key", "list"]);
        assert_eq!(read(&bench), old);
        bench.json(&["key", "rewrap", "--generate"]);
        assert!(!left.exists());
        assert!(read(&bench) != old && read(&bench) != text);
        bench.json(&["key", "list"]);
    }
}

#[test]
fn a_given_secret_takes_over_from_the_old_one() {
    let mut bench = Bench::new();
    bench.add("ada@example.com");
    let old = read(&bench).trim().to_owned();
    assert_eq!(bench.refusal(&["key", "rewrap"]), (2, "usage".into()));
    bench.set("CLOAKROOM_SECRET", NEW);
    assert_eq!(bench.refusal(&["key", "rewrap"]), (2, "usage".into()));
    assert_eq!(bench.refusal(&["key", "rewrap", "--generate"]).0, 1);
    bench.set("CLOAKROOM_SECRET_OLD", NEW);
    assert_eq!(bench.refusal(&["key", "rewrap"]), (2, "usage".into()));
    bench.set("CLOAKROOM_SECRET_OLD", old);
    assert_eq!(bench.json(&["key", "rewrap"]), json!({ "keys": 2, "changed": true, "file": null }));
    assert_eq!(bench.json(&["key", "rewrap"]), json!({ "keys": 0, "changed": false, "file": null }));
    bench.unset("CLOAKROOM_SECRET_OLD");
    bench.json(&["key", "list"]);
    bench.unset("CLOAKROOM_SECRET");
    assert_eq!(bench.refusal(&["key", "list"]), (1, "wrong_secret".into()));
}

#[test]
fn a_running_server_signs_nobody_out_and_starts_again_with_the_new_secret() {
    let mut bench = Bench::new();
    bench.add("ada@example.com");
    let server = bench.serve();
    let token = server.login("ada@example.com", "api")["access_token"].clone();
    let before = read(&bench);
    assert_eq!(bench.json(&["key", "rewrap", "--generate"])["changed"], true);
    assert_ne!(read(&bench), before);
    assert_eq!(server.verify(&token), 200);

    // A secret that the next start would not find is not taken.
    bench.set("CLOAKROOM_SECRET", NEW);
    bench.set("CLOAKROOM_SECRET_OLD", read(&bench).trim());
    assert_eq!(bench.refusal(&["key", "rewrap"]), (1, "secret_elsewhere".into()));
    bench.unset("CLOAKROOM_SECRET");
    bench.set("CLOAKROOM_SECRET_OLD", read(&bench).trim());
    fs::write(secret_file(&bench), NEW).unwrap();
    assert_eq!(bench.json(&["key", "rewrap"])["changed"], true);
    assert!(server.stop().0.success());

    bench.unset("CLOAKROOM_SECRET_OLD");
    let server = bench.serve();
    assert_eq!(server.call("GET", "/readyz", "", "").0, 200);
    // The address has another port now, so that the old token's issuer is another: the account and its keys are there.
    server.login("ada@example.com", "api");
}
