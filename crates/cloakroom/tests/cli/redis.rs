//! Commands and `doctor` where sessions are in a Redis.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::bench::{Bench, PASSWORD};

/// A Redis in memory.
pub(crate) struct Redis {
    port: u16,
    process: Child,
    _directory: tempfile::TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", "s3cret-7351"])
            .arg("--dir")
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (package redis-server)");
        let redis = Self { port, process, _directory: directory };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "redis-server does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:s3cret-7351@127.0.0.1:{}", self.port)
    }

    /// How many keys it holds.
    pub(crate) fn keys(&self) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"AUTH s3cret-7351\r\nDBSIZE\r\nQUIT\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().find_map(|line| line.strip_prefix(':')).unwrap().parse().unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn commands_and_the_doctor_reach_sessions_in_redis_and_say_when_they_do_not() {
    let redis = Redis::start();
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_LISTEN", "127.0.0.1:0");
    bench.set("CLOAKROOM_STORE__SESSIONS", redis.url());
    let shown = bench.run(&["config", "check"]);
    assert!(shown.code == 0 && !shown.out.contains("7351"), "{}{}", shown.out, shown.err);
    bench.add("ada@example.com");
    assert_eq!(bench.json(&["session", "list", "ada@example.com"])["sessions"], serde_json::json!([]));
    let report = bench.json(&["doctor"]);
    let finding = |report: &serde_json::Value| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["check"] == "sessions").unwrap().clone()
    };
    let found = finding(&report);
    assert_eq!(found["level"], "warn", "nothing is kept there: {found}");
    assert!(found["detail"].as_str().unwrap().contains("append-only file") && !report.to_string().contains("7351"));

    let server = bench.serve();
    assert_eq!(finding(&bench.json(&["doctor"]))["level"], "warn");
    assert!(server.stop().0.success());

    drop(redis);
    let run = bench.run(&["doctor", "--json"]);
    let found = finding(&serde_json::from_str(&run.out).unwrap());
    assert_eq!((run.code, &found["level"]), (1, &serde_json::json!("fail")), "{found}");
    let run = bench.run_with(&["account", "add", "eve@example.com", "--password-stdin", "--json"], PASSWORD);
    assert_eq!((run.code, run.code_of_error().as_str()), (1, "store_unavailable"), "{}", run.err);
    assert!(!run.err.contains("7351"));
}

#[test]
fn the_doctor_looks_at_the_store_that_sessions_are_moved_from() {
    let redis = Redis::start();
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_LISTEN", "127.0.0.1:0");
    bench.set("CLOAKROOM_STORE__OTHER_SESSIONS", redis.url());
    let levels = |report: &str| -> Vec<(String, String)> {
        let report: serde_json::Value = serde_json::from_str(report).unwrap();
        let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == "sessions");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        findings.map(|finding| (text(&finding["level"]), text(&finding["detail"]))).collect()
    };
    let found = levels(&bench.run(&["doctor", "--json"]).out);
    assert!(found.iter().any(|(level, detail)| level == "warn" && detail.contains("append-only file")), "{found:?}");
    assert!(found.iter().any(|(level, detail)| level == "warn" && detail.contains("are being moved")), "{found:?}");
    drop(redis);
    let run = bench.run(&["doctor", "--json"]);
    assert_eq!((run.code, &*levels(&run.out)[0].0), (1, "fail"), "{}", run.out);
    assert!(!run.out.contains("7351"));
}
