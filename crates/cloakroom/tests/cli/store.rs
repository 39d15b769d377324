//! `cloakroom store`: sessions move between real stores while real servers serve, and what is wrong with a store is found.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    bench::{Bench, Server},
    postgres::{Database, SECRET},
    redis::Redis,
};

/// A bench whose sessions begin in one place and are looked for in another.
fn at(bench: &mut Bench, sessions: &str, other: Option<&str>) {
    bench.set("CLOAKROOM_STORE__SESSIONS", sessions);
    match other {
        Some(other) => bench.set("CLOAKROOM_STORE__OTHER_SESSIONS", other),
        None => bench.unset("CLOAKROOM_STORE__OTHER_SESSIONS"),
    }
}

pub(crate) fn refresh(server: &Server, login: &Value) -> (u16, Value) {
    let body = json!({ "refresh_token": login["refresh_token"] }).to_string();
    let (status, answer) = server.call("POST", "/v1/refresh", "", &body);
    (status, serde_json::from_str(&answer).unwrap_or_default())
}

pub(crate) fn sign_out(server: &Server, login: &Value) {
    let header = format!("Authorization: Bearer {}\r\n", login["access_token"].as_str().unwrap());
    assert_eq!(server.call("POST", "/v1/logout", &header, "").0, 204);
}

/// More sessions like the one that is there.
fn multiply(bench: &Bench, times: u32) {
    let database = rusqlite::Connection::open(bench.data().join("cloakroom.db")).unwrap();
    let row = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
               INSERT INTO sessions SELECT randomblob(16), account, created, expires, record
               FROM n, (SELECT * FROM sessions LIMIT 1)";
    database.execute(row, [times]).unwrap();
}

#[test]
fn sessions_move_to_another_store_while_a_server_serves_and_nobody_is_signed_out() {
    let (redis, mut bench) = (Redis::start(), Bench::new());
    bench.add("ada@example.com");
    let server = bench.serve();
    let logins: Vec<_> = (0..4).map(|_| server.login("ada@example.com", "api")).collect();
    sign_out(&server, &logins[0]);
    assert!(server.stop().0.success());

    at(&mut bench, &redis.url(), Some("sqlite"));
    let server = bench.serve();
    let new = server.login("ada@example.com", "api");
    assert_eq!(refresh(&server, &logins[1]).0, 200);
    assert_eq!(bench.json(&["session", "list", "ada@example.com"])["sessions"].as_array().unwrap().len(), 4);
    let answer = bench.json(&["store", "copy", "sqlite", &redis.url()]);
    assert_eq!((&answer["copied"]["met"], &answer["copied"]["made"]), (&json!(3), &json!(3)), "{answer}");
    assert_eq!(answer["verified"]["whole"], true);
    assert_eq!(answer["verified"]["counts"], json!([{ "app": "api", "method": "jwt", "from": 3, "to": 4 }]));
    assert!(!answer.to_string().contains("7351"));
    // After the copy: an end reaches both, and stays one.
    sign_out(&server, &refresh(&server, &logins[2]).1);
    let again = bench.json(&["store", "copy", "sqlite", &redis.url()]);
    assert_eq!((&again["copied"]["made"], &again["copied"]["present"]), (&json!(0), &json!(2)), "{again}");
    assert!(server.stop().0.success());

    at(&mut bench, &redis.url(), None);
    let server = bench.serve();
    for (login, status) in [(&logins[0], 401), (&logins[1], 200), (&logins[2], 401), (&logins[3], 200), (&new, 200)] {
        assert_eq!(refresh(&server, login).0, status);
    }
    let told = bench.run(&["store", "copy", "sqlite", &redis.url()]);
    assert!(told.code == 0 && told.out.contains("2 were there"), "{told:?}");
}

#[test]
fn a_copy_that_was_killed_is_run_again() {
    const SESSIONS: u32 = 20_000;
    // A copy notes first, in keys of their own, how far what it copies has seen the log.
    const MARKS: u64 = 64;
    let (redis, mut bench) = (Redis::start(), Bench::new());
    bench.add("ada@example.com");
    let server = bench.serve();
    server.login("ada@example.com", "web");
    assert!(server.stop().0.success());
    multiply(&bench, SESSIONS - 1);
    at(&mut bench, "sqlite", None);
    let url = format!("{}/0?devices=off", redis.url());
    let copy = ["store", "copy", "sqlite", &url];
    let mut killed = bench.command(&copy).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while redis.keys() < 1000 {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it was killed");
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let there = redis.keys() - MARKS;
    assert!((1000 - MARKS..u64::from(SESSIONS)).contains(&there), "{there}");
    let answer = bench.json(&copy);
    let copied = &answer["copied"];
    assert_eq!((&copied["met"], &copied["present"]), (&json!(SESSIONS), &json!(there)), "{answer}");
    let counts = json!([{ "app": "web", "method": "session", "from": SESSIONS, "to": SESSIONS }]);
    assert_eq!((&answer["verified"]["counts"], &answer["verified"]["whole"]), (&counts, &json!(true)));
    assert!(answer["verified"]["samples"].as_u64().unwrap() >= 500);
}

#[test]
fn a_copy_refuses_what_cannot_be_one() {
    let (redis, bench) = (Redis::start(), Bench::new());
    assert_eq!(bench.refusal(&["store", "copy", "sqlite", &redis.url()]), (1, "store_unavailable".into()));
    for (from, to) in [("memory", "sqlite"), ("sqlite", "memory"), ("sqlite", "sqlite"), ("sqlite", "mysql://:7351@db")]
    {
        assert_eq!(bench.refusal(&["store", "copy", from, to]), (2, "usage".into()), "{from} {to}");
    }
    bench.add("ada@example.com");
    let server = bench.serve();
    // A file belongs to its server.
    assert_eq!(bench.refusal(&["store", "copy", &redis.url(), "sqlite"]), (1, "store_in_use".into()));
    assert!(server.stop().0.success());
    assert_eq!(bench.json(&["store", "copy", &redis.url(), "sqlite"])["verified"]["whole"], true);
}

#[test]
fn a_store_is_checked_and_what_is_wrong_is_told_with_its_remedy() {
    let bench = Bench::new();
    bench.add("ada@example.com");
    let server = bench.serve();
    server.login("ada@example.com", "web");
    let sound = bench.json(&["store", "check"]);
    assert_eq!(sound, json!({ "accounts": 1, "sessions": 1, "findings": [] }));
    let ended = server.login("ada@example.com", "api");
    assert!(server.stop().0.success());
    multiply(&bench, 6);
    let database = rusqlite::Connection::open(bench.data().join("cloakroom.db")).unwrap();
    let set = |what: &str| {
        let row = "(SELECT sid FROM sessions WHERE length(record) > 50 AND expires > 0 AND account != zeroblob(16)
                    AND substr(record, 6, 4) != x'00000000' AND substr(record, 10, 16) != zeroblob(16) LIMIT 1)";
        let statement = format!("UPDATE sessions SET {what} WHERE sid IN {row}");
        assert_eq!(database.execute(&statement, []).unwrap(), 1);
    };
    set("record = x'01'");
    set("record = CAST(substr(record, 1, 9) || zeroblob(16) || substr(record, 26) AS BLOB)");
    set("record = CAST(substr(record, 1, 5) || zeroblob(4) || substr(record, 10) AS BLOB)");
    set("record = CAST(substr(record, 1, 37) || zeroblob(6) || substr(record, 44) AS BLOB), expires = 0");
    let sid = ended["session"]["id"].as_str().unwrap();
    let log = "INSERT INTO log (sequence, kind, subject, method, epoch, at, until)
               SELECT 1, 1, sid, 0, 0, 0, 1 FROM sessions WHERE expires > 0 AND length(record) > 50 LIMIT 1";
    assert_eq!(database.execute(log, []).unwrap(), 1, "{sid}");
    drop(database);
    let run = bench.run(&["store", "check", "--json"]);
    let found: Value = serde_json::from_str(&run.out).unwrap();
    let kinds: Vec<_> =
        found["findings"].as_array().unwrap().iter().map(|found| found["kind"].as_str().unwrap()).collect();
    assert_eq!((run.code, run.code_of_error().as_str()), (1, "found"));
    assert_eq!(kinds, ["damaged", "orphans", "strays", "unswept", "undead"], "{found}");
    assert!(
        found["findings"].as_array().unwrap().iter().all(|found| found["count"] == 1 && !found["remedy"].is_null())
    );
    let shown = bench.run(&["store", "check"]);
    assert!(shown.code == 1 && shown.out.contains("→ ") && shown.err.contains("not as they should be"), "{shown:?}");
}

/// Everything from one file to PostgreSQL and back into another: nobody is signed out, and what ended stays so.
#[test]
fn accounts_move_between_databases_while_no_server_runs() {
    let database = Database::create();
    let url = database.url();
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_SECRET", SECRET);
    bench.add("ada@example.com");
    bench.json(&["service", "add", "shop"]);
    bench.json(&["session", "revoke", "--app", "web"]);
    let server = bench.serve();
    let (living, ended) = (server.login("ada@example.com", "api"), server.login("ada@example.com", "api"));
    sign_out(&server, &ended);
    let copy = ["store", "copy", "--accounts", "sqlite", &url];
    assert_eq!(bench.refusal(&copy), (1, "store_in_use".into()), "a server runs");
    assert!(server.stop().0.success());
    let before: Vec<_> = [&["audit", "list"][..], &["key", "list"], &["account", "list"], &["service", "list"]]
        .map(|command| bench.json(command))
        .into();
    let answer = bench.json(&copy);
    assert_eq!((&answer["rows"]["accounts"], &answer["rows"]["services"]), (&json!(1), &json!(1)), "{answer}");
    assert_eq!(bench.refusal(&copy), (1, "store_in_use".into()), "a store is there");

    bench.set("CLOAKROOM_STORE__ACCOUNTS", url.as_str());
    assert_eq!(bench.json(&["store", "copy", "sqlite", &url])["copied"]["made"], 1);
    let after: Vec<_> = [&["audit", "list"][..], &["key", "list"], &["account", "list"], &["service", "list"]]
        .map(|command| bench.json(command))
        .into();
    assert_eq!(after, before);
    let server = bench.serve();
    assert_eq!((refresh(&server, &living).0, refresh(&server, &ended).0), (200, 401));
    server.login("ada@example.com", "web");
    let back = ["store", "copy", "--accounts", &url, "sqlite"];
    let mut other = Bench::new();
    other.set("CLOAKROOM_SECRET", SECRET);
    assert_eq!(other.refusal(&back), (1, "store_in_use".into()), "a server runs");
    assert!(server.stop().0.success());
    other.json(&back);
    assert_eq!(other.json(&["store", "copy", &url, "sqlite"])["copied"]["made"], 2);

    // A copy that was broken off: no server starts on it, and it is finished by running it again.
    let file = rusqlite::Connection::open(other.data().join("cloakroom.db")).unwrap();
    file.execute("UPDATE installation SET secret_check = CAST('an unfinished copy' AS BLOB)", []).unwrap();
    file.execute("DELETE FROM keys WHERE ordinal = 1", []).unwrap();
    file.execute("UPDATE accounts SET epoch = 7", []).unwrap();
    drop(file);
    assert!(other.run(&["account", "list"]).err.contains("unfinished copy"));
    other.json(&back);
    let server = other.serve();
    assert_eq!((refresh(&server, &living).0, refresh(&server, &ended).0), (200, 401));
}
