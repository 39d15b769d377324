//! Commands and `doctor` where everything is in PostgreSQL.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::bench::{Bench, PASSWORD};

pub(crate) const SECRET: &str = "6X2mVv0aYk4m3x1q2p8Qn7rJ5t9wB0uZc6dLhEoGfSI=";
const OTHER_SECRET: &str = "k1Vh0Zs9Qw3Xc7Rt2Yb6Nm4Lp8Jg5Fd0Sa1Ue7Io3Tw=";

/// A database of the test's own on the server that `scripts/with-stores` has started.
pub(crate) struct Database(String);

impl Database {
    pub(crate) fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cloakroom_test_cli_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run(&format!("CREATE DATABASE {name}")).unwrap();
        Self(name)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/{}", server().rsplit_once('/').unwrap().0, self.0)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.0);
        for _ in 0..100 {
            // What clears the tables away is not ours to stop, but is soon done.
            if run(&statement).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        eprintln!("a test's database was not dropped");
    }
}

fn server() -> String {
    std::env::var("TEST_POSTGRES")
        .unwrap_or_else(|_| panic!("TEST_POSTGRES is not set: run the tests by `scripts/with-stores COMMAND`"))
}

fn run(statement: &str) -> Result<(), tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, driver) = tokio_postgres::connect(&server(), NoTls).await?;
        tokio::spawn(driver);
        client.batch_execute(statement).await
    })
}

fn finding(report: &Value, check: &str) -> Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["check"] == check).cloned().unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn commands_and_the_doctor_work_on_postgres_with_a_server_and_without() {
    let database = Database::create();
    let password = database.url().split([':', '@']).nth(2).unwrap().to_owned();
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_LISTEN", "127.0.0.1:0");
    bench.set("CLOAKROOM_STORE__ACCOUNTS", database.url());
    let without = bench.run(&["config", "check"]);
    assert_eq!(without.code, 2, "{}", without.out);
    assert!(without.err.contains("CLOAKROOM_SECRET") && !without.err.contains(&password), "{}", without.err);
    bench.set("CLOAKROOM_SECRET", SECRET);
    for json in [&["config", "check"][..], &["config", "check", "--json"]] {
        let shown = bench.run(json);
        assert!(shown.code == 0 && !shown.out.contains(&password), "{}{}", shown.out, shown.err);
    }

    bench.add("ada@example.com");
    assert_eq!(bench.json(&["session", "list", "ada@example.com"])["sessions"], json!([]));
    assert_eq!(bench.json(&["account", "list"])["accounts"].as_array().unwrap().len(), 1);
    assert!(bench.json(&["key", "list"])["keys"].as_array().unwrap().len() > 1);
    let report = bench.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(finding(&report, "store")["level"], "ok", "{report}");
    assert_eq!(finding(&report, "clock offset")["level"], "ok", "{report}");
    assert!(!report.to_string().contains(&password));

    let server = bench.serve();
    bench.add("eve@example.com");
    assert_eq!(bench.json(&["account", "list"])["accounts"].as_array().unwrap().len(), 2);
    // A server elsewhere, on a directory of its own: its operator sees the same accounts, and one without the secret none.
    let mut elsewhere = Bench::new();
    elsewhere.set("CLOAKROOM_STORE__ACCOUNTS", database.url());
    elsewhere.set("CLOAKROOM_SECRET", SECRET);
    assert_eq!(elsewhere.json(&["account", "list"])["accounts"].as_array().unwrap().len(), 2);
    elsewhere.set("CLOAKROOM_SECRET", OTHER_SECRET);
    let wrong = elsewhere.run(&["account", "list", "--json"]);
    assert!(wrong.code != 0 && wrong.err.contains("master secret"), "{}", wrong.err);
    assert!(server.stop().0.success());

    let mut unreachable = Bench::new();
    unreachable.set("CLOAKROOM_STORE__ACCOUNTS", "postgres://ada:hunter22@127.0.0.1:1/people");
    unreachable.set("CLOAKROOM_SECRET", SECRET);
    let run = unreachable.run_with(&["account", "add", "eve@example.com", "--password-stdin", "--json"], PASSWORD);
    assert_eq!((run.code, run.code_of_error().as_str()), (1, "store_unavailable"), "{}", run.err);
    assert!(!run.err.contains("hunter22"));
    let run = unreachable.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, &finding(&report, "store")["level"]), (1, &json!("fail")), "{report}");
    assert!(!run.out.contains("hunter22"));
}
