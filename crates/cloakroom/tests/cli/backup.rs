//! `cloakroom backup` and `cloakroom restore`, with real servers before and after.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use crate::{
    bench::Bench,
    postgres::{Database, SECRET},
    store::{refresh, sign_out},
};

/// A person with two sessions, a backup of that, and one session that ended afterwards.
struct Backed {
    bench: Bench,
    file: String,
    living: Value,
    ended: Value,
}

fn backed_up() -> Backed {
    let bench = Bench::new();
    bench.add("ada@example.com");
    let server = bench.serve();
    let (living, ended) = (server.login("ada@example.com", "api"), server.login("ada@example.com", "api"));
    let file = bench.file("unused", "").replace("unused", "backup.db");
    let answer = bench.json(&["backup", &file]);
    assert_eq!((&answer["backup"], &answer["sessions"]), (&json!(file), &json!(true)));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(bench.refusal(&["backup", &file]).0, 1, "no file is overwritten");
    sign_out(&server, &ended);
    assert_eq!(refresh(&server, &ended).0, 401);
    assert!(server.stop().0.success());
    Backed { bench, file, living, ended }
}

impl Backed {
    /// An empty data directory beside the master secret of the backup.
    fn elsewhere(&self) -> Bench {
        let bench = Bench::new();
        fs::create_dir(bench.data()).unwrap();
        fs::copy(self.bench.data().join("master.secret"), bench.data().join("master.secret")).unwrap();
        bench
    }
}

fn incarnation(data: &Path) -> i64 {
    let database = rusqlite::Connection::open(data.join("cloakroom.db")).unwrap();
    database.query_row("SELECT incarnation FROM installation", [], |row| row.get(0)).unwrap()
}

/// What ended after the backup lives again, unless everything is ended: both are documented.
#[test]
fn a_backup_is_put_back_as_it_was_or_with_everything_ended() {
    let backed = backed_up();
    let plain = backed.elsewhere();
    plain.json(&["restore", &backed.file]);
    assert_ne!(incarnation(plain.data()), incarnation(backed.bench.data()));
    let server = plain.serve();
    assert_eq!(refresh(&server, &backed.living).0, 200);
    assert_eq!(refresh(&server, &backed.ended).0, 200, "it comes back, as the documentation says");
    assert!(server.stop().0.success());
    assert_eq!(plain.refusal(&["restore", &backed.file]), (1, "store_in_use".into()), "a store is there");

    let ended = backed.elsewhere();
    assert_eq!(ended.json(&["restore", &backed.file, "--end-all"])["ended_all"], true);
    let server = ended.serve();
    for login in [&backed.living, &backed.ended] {
        assert_eq!(refresh(&server, login).0, 401);
    }
    let again = server.login("ada@example.com", "api");
    assert_eq!((refresh(&server, &again).0, server.verify(&again["access_token"])), (200, 200));
    let keys = ended.json(&["key", "list"]);
    let states: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert!(
        states.iter().filter(|state| **state == "killed").count() >= 2 && states.contains(&"current"),
        "{states:?}"
    );
    assert!(!ended.data().join(".restoring").exists());
}

/// F047: keys of a backup are opened by the secret of its time only, and none is made up.
#[test]
fn a_backup_without_its_master_secret_is_refused() {
    let backed = backed_up();
    let secret = fs::read_to_string(backed.bench.data().join("master.secret")).unwrap();
    let holds = |needle: &[u8]| fs::read(&backed.file).unwrap().windows(needle.len()).any(|window| window == needle);
    assert!(!holds(secret.trim().as_bytes()) && holds(b"ada@example.com"));
    let mut bench = Bench::new();
    assert_eq!(bench.refusal(&["restore", &backed.file]), (1, "wrong_secret".into()));
    assert!(!bench.data().join("master.secret").exists());
    bench.set("CLOAKROOM_SECRET", SECRET);
    assert_eq!(bench.refusal(&["restore", &backed.file]), (1, "wrong_secret".into()));
    assert!(!bench.data().join("cloakroom.db").exists());
    let nonsense = bench.file("nonsense", "this is no database, and long enough to be looked at as if it were one");
    assert_eq!(bench.refusal(&["restore", &nonsense]).0, 1);
    assert_eq!(bench.refusal(&["restore"]), (2, "usage".into()));
}

#[test]
fn a_file_that_was_put_back_by_hand_is_given_another_log() {
    let backed = backed_up();
    let before = incarnation(backed.bench.data());
    let server = backed.bench.serve();
    assert_eq!(backed.bench.refusal(&["restore", "--in-place"]), (1, "store_in_use".into()));
    assert!(server.stop().0.success());
    backed.bench.json(&["restore", "--in-place"]);
    assert_ne!(incarnation(backed.bench.data()), before);
    backed.bench.json(&["restore", "--in-place", "--end-all"]);
    let server = backed.bench.serve();
    assert_eq!(refresh(&server, &backed.living).0, 401);
    server.login("ada@example.com", "api");
}

#[test]
fn tables_in_postgres_that_were_put_back_are_given_another_log() {
    let database = Database::create();
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_STORE__ACCOUNTS", database.url());
    bench.set("CLOAKROOM_SECRET", SECRET);
    bench.add("ada@example.com");
    assert_eq!(bench.refusal(&["backup", "unused"]), (1, "not_embedded".into()));
    let server = bench.serve();
    let login = server.login("ada@example.com", "api");
    assert_eq!(bench.refusal(&["restore", "--in-place"]), (1, "store_in_use".into()));
    assert!(server.stop().0.success());
    bench.json(&["restore", "--in-place"]);
    let server = bench.serve();
    assert_eq!(refresh(&server, &login).0, 200);
    assert!(server.stop().0.success());
    bench.json(&["restore", "--in-place", "--end-all"]);
    let server = bench.serve();
    assert_eq!(refresh(&server, &login).0, 401);
    server.login("ada@example.com", "api");
}
