//! The same commands beside a running server, through its private socket.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::bench::{Bench, PASSWORD};

#[test]
fn commands_reach_the_running_server_and_are_heeded_at_once() {
    let bench = Bench::new();
    bench.add("ada@example.com");
    let server = bench.serve();
    let socket = bench.data().join("control.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    let first = server.login("ada@example.com", "api");
    let devices = bench.json(&["session", "list", "ada@example.com"]);
    assert_eq!(devices["sessions"][0]["id"], first["session"]["id"]);
    assert_eq!(devices["sessions"][0]["method"], "jwt");
    assert_eq!(bench.json(&["session", "list", "ada@example.com", "--app", "web"]), json!({ "sessions": [] }));
    assert_eq!(
        bench.json(&["session", "list"]),
        json!({ "counts": [{ "app": "api", "method": "jwt", "sessions": 1 }] })
    );

    assert_eq!(server.verify(&first["access_token"]), 200);
    bench.json(&["session", "revoke", first["session"]["id"].as_str().unwrap()]);
    assert_eq!(server.verify(&first["access_token"]), 401);

    let second = server.login("ada@example.com", "stateless");
    bench.json(&["session", "revoke", "--account", "ada@example.com"]);
    assert_eq!(server.verify(&second["access_token"]), 401);

    let third = server.login("ada@example.com", "api");
    bench.json(&["session", "revoke", "--app", "api"]);
    assert_eq!(server.verify(&third["access_token"]), 401);

    let fourth = server.login("ada@example.com", "api");
    let keys = bench.json(&["key", "list"]);
    let signing = keys["keys"].as_array().unwrap().iter().find(|key| key["purpose"] == "EdDSA").unwrap();
    bench.json(&["key", "kill", signing["kid"].as_str().unwrap()]);
    assert_eq!(server.verify(&fourth["access_token"]), 401);

    let fifth = server.login("ada@example.com", "api");
    assert_eq!(server.verify(&fifth["access_token"]), 200);
    bench.json(&["account", "disable", "ada@example.com"]);
    assert_eq!(server.verify(&fifth["access_token"]), 401);

    let service = bench.json(&["service", "add", "shop"]);
    let basic = format!("{}:{}", service["id"].as_str().unwrap(), service["secret"].as_str().unwrap());
    let basic = data_encoding::BASE64.encode(basic.as_bytes());
    let head = server.call("GET", "/v1/revocations/head", &format!("Authorization: Basic {basic}\r\n"), "");
    assert_eq!(head.0, 200, "{}", head.1);

    let audit = bench.json(&["audit", "list", "--kind", "session_ended", "--limit", "1"]);
    assert_eq!(audit["events"][0]["session"], first["session"]["id"]);

    assert!(server.stop().0.success());
    assert!(!socket.exists());
    assert_eq!(bench.json(&["account", "list"])["accounts"][0]["state"], "disabled");
}

#[test]
fn a_second_server_on_the_data_directory_is_refused() {
    let bench = Bench::new();
    let server = bench.serve();
    let began = Instant::now();
    let run = bench.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("in use by another server (pid "), "{}", run.err);
    assert!(began.elapsed() < Duration::from_secs(8), "it need not wait for a server");
    bench.json(&["key", "list"]);
    assert_eq!(server.call("GET", "/readyz", "", "").0, 200);
}

#[test]
fn a_crashed_servers_socket_is_in_nobodys_way() {
    let bench = Bench::new();
    bench.serve().crash();
    assert!(bench.data().join("control.sock").exists());
    bench.json(&["key", "list"]);
    let server = bench.serve();
    bench.json(&["key", "list"]);
    assert!(server.stop().0.success());
}

#[test]
fn a_directory_with_a_long_path_has_a_socket_too() {
    let bench = Bench::with_data(&["long"; 40].join("/"));
    let _server = bench.serve();
    assert!(bench.data().join("control.sock").exists());
    bench.json(&["key", "list"]);
    bench.add("ada@example.com");
}

#[test]
fn what_is_no_command_is_refused_and_bounded() {
    let bench = Bench::new();
    let server = bench.serve();
    let ask = |line: &[u8]| {
        let mut socket = UnixStream::connect(bench.data().join("control.sock")).unwrap();
        // The server may have turned away before it has read all.
        let _ = socket.write_all(line);
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer);
        answer
    };
    assert!(ask(b"{\"do\":\"shut_down\"}\n").contains("unknown_command"));
    assert!(ask(b"\n").contains("unknown_command"));
    let long = ask("x".repeat(70_000).as_bytes());
    assert!(long.is_empty() || long.contains("bad_request"), "{long}");
    // One that says nothing is not waited for, and keeps nobody waiting.
    let _silent: Vec<_> = (0..4).map(|_| UnixStream::connect(bench.data().join("control.sock")).unwrap()).collect();
    bench.json(&["key", "list"]);
    drop(server);
}

/// F128: what an operator types does not get into the log, however much is logged.
#[test]
fn passwords_are_not_logged() {
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_LOG", "trace");
    let server = bench.serve();
    bench.add("ada@example.com");
    let secret = bench.json(&["service", "add", "shop"])["secret"].as_str().unwrap().to_owned();
    let (status, log) = server.stop();
    assert!(status.success());
    let log = log.join("\n");
    assert!(log.contains("account add"), "the command is logged");
    assert!(!log.contains(PASSWORD) && !log.contains(&secret));
}

/// F122: every command in a loop beside a loaded server, and another program that holds the file's lock for seconds, fail
/// nothing and corrupt nothing.
#[test]
fn commands_and_a_loaded_server_do_not_disturb_each_other() {
    let bench = Bench::new();
    for i in 0..3 {
        bench.add(&format!("user{i}@example.com"));
    }
    let server = bench.serve();
    let (stop, logins) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for i in 0..2 {
            let (server, stop, logins) = (&server, &stop, &logins);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let token = server.login(&format!("user{i}@example.com"), "api")["access_token"].clone();
                    assert_eq!(server.verify(&token), 200);
                    logins.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut file = rusqlite::Connection::open(bench.data().join("cloakroom.db")).unwrap();
            file.busy_timeout(Duration::from_secs(10)).unwrap();
            let held = file.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
            std::thread::sleep(Duration::from_secs(2));
            held.rollback().unwrap();
        });
        let stopped = StopOnDrop(&stop);
        for round in 0..2 {
            let email = format!("new{round}@example.com");
            bench.add(&email);
            bench.json_with(&["account", "password", &email, "--password-stdin"], "another-kettle-march-72");
            bench.json(&["account", "disable", &email]);
            bench.json(&["account", "enable", &email]);
            bench.json(&["session", "revoke", "--account", &email]);
            bench.json(&["account", "delete", &email]);
            bench.json(&["session", "revoke", "--app", "edge"]);
            bench.json(&["session", "revoke", "AAAAAAAAAAAAAAAAAAAAAQ"]);
            let service = bench.json(&["service", "add", "shop"])["id"].as_str().unwrap().to_owned();
            bench.json(&["service", "remove", &service]);
            bench.json(&["key", "rotate"]);
            bench.json(&["key", "rewrap", "--generate"]);
            for args in [
                &["account", "list"][..],
                &["session", "list"],
                &["session", "list", "user0@example.com"],
                &["service", "list"],
                &["key", "list"],
                &["audit", "list", "--limit", "250"],
                &["config", "check"],
                &["doctor"],
            ] {
                bench.json(args);
            }
        }
        drop(stopped);
    });
    assert!(logins.load(Ordering::Relaxed) > 0);
    assert!(server.stop().0.success());
    let file = rusqlite::Connection::open(bench.data().join("cloakroom.db")).unwrap();
    let sound: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

/// So that a failed assertion ends the load, too.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
