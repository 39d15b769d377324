//! A log, or an answer, that cannot be written.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write, pipe},
    process::Stdio,
};

use serde_json::json;

use crate::bench::{Bench, PASSWORD, Server};

/// A disk that is always full.
fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// Something of everything that writes a log line, and a stop; all as if the log could be written.
fn all_is_as_ever(server: Server) {
    let wrong = json!({ "email": "ada@example.com", "password": "not this one at all", "app": "web" }).to_string();
    for _ in 0..3 {
        assert_eq!(server.call("POST", "/v1/login", "", &wrong).0, 401);
    }
    assert_eq!(server.call("POST", "/v1/login", "Origin: https://elsewhere.example\r\n", &wrong).0, 403);
    server.login("ada@example.com", "web");
    assert_eq!(server.call("GET", "/readyz", "", ""), (200, "ready\n".to_owned()));
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
}

/// Has it write log lines until one is counted as lost.
fn loses_lines(server: &Server) {
    for _ in 0..100 {
        server.call("GET", "/v1/account", "", "");
        let (status, metrics) = server.call("GET", "/metrics", "", "");
        assert_eq!(status, 200);
        let lost = metrics.lines().find_map(|line| line.strip_prefix("cloakroom_log_lines_lost_total "));
        if lost.unwrap() != "0" {
            return;
        }
    }
    panic!("no line is lost");
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_LOG", "debug");
    bench.add("ada@example.com");
    bench
}

/// R28: a full disk under the log changes no answer and no exit status; what is lost is counted.
#[test]
fn a_log_on_a_full_disk_changes_no_answer_and_no_exit_status() {
    let bench = bench();
    let server = bench.serve_logging_to(full_disk());
    loses_lines(&server);
    all_is_as_ever(server);
}

/// R28: nor does a pipe whose reader is gone, as with a log collector that was restarted.
#[test]
fn a_log_whose_reader_is_gone_changes_no_answer_and_no_exit_status() {
    let (reader, writer) = pipe().unwrap();
    let bench = bench();
    let server = bench.serve_logging_to(writer);
    drop(reader);
    loses_lines(&server);
    all_is_as_ever(server);
}

/// R28: nor does one whose reader stands still.
#[test]
fn a_log_whose_reader_stands_still_changes_no_answer_and_no_exit_status() {
    let mut bench = bench();
    bench.set("CLOAKROOM_LOG", "trace");
    let (mut reader, mut writer) = pipe().unwrap();
    // The pipe is as good as full before the server begins.
    writer.write_all(&vec![b'.'; 65_000]).unwrap();
    let server = bench.serve_logging_to(writer);
    for _ in 0..200 {
        assert_eq!(server.call("GET", "/v1/account", "", "").0, 401);
    }
    all_is_as_ever(server);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > 65_000);
}

/// R28: an answer that is lost is told and shows in the exit status: a secret in it is not shown again.
#[test]
fn an_answer_that_cannot_be_written_is_told() {
    let bench = Bench::new();
    for args in [&["service", "add", "shop"][..], &["service", "list"], &["service", "list", "--json"], &["--help"]] {
        let done = bench.command(args).stdin(Stdio::null()).stdout(full_disk()).output().unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{args:?}: {told}");
        assert!(args == ["--help"] || told.contains("the answer could not be written"), "{args:?}: {told}");
    }
    assert_eq!(bench.json(&["service", "list"])["services"].as_array().unwrap().len(), 1, "it was made");
}

/// R28: what is said beside the answer may be lost: neither a full disk nor a reader that is gone changes what is done.
#[test]
fn remarks_and_errors_that_cannot_be_written_change_no_exit_status() {
    let bench = Bench::new();
    let gone = || {
        let (_, writer) = pipe().unwrap();
        Stdio::from(writer)
    };
    for quiet in [|| Stdio::from(full_disk()), gone as fn() -> Stdio] {
        let run = |args: &[&str]| {
            let done = bench.command(args).stdin(Stdio::null()).stderr(quiet()).output().unwrap();
            (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
        };
        let (code, answer) = run(&["service", "add", "shop"]);
        assert!(code == 0 && answer.contains("secret"), "{code}: {answer}");
        assert_eq!(run(&["account", "list"]), (0, String::new()), "there are none, which is a remark");
        assert_eq!(run(&["service", "remove", "nobody"]).0, 1);
        assert_eq!(run(&["account", "sell"]).0, 2);
    }
    assert_eq!(
        bench.json_with(&["account", "add", "ada@example.com", "--password-stdin"], PASSWORD)["account"]["email"],
        "ada@example.com"
    );
}
