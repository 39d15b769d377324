//! A database of each test's own on the server that `scripts/with-stores` has started; it goes when the test ends.

use std::time::Duration;

use cloakroom_core::{
    random::Rng,
    store::postgres::{Postgres, Url},
};
use tokio_postgres::{Client, NoTls};

/// A variable that `scripts/with-stores` sets.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests by `scripts/with-stores COMMAND`, as in `scripts/with-stores cargo nextest run`")
    })
}

/// A machine that is busy with other things is no fault of the store's; what options say after this wins.
const PATIENT: &str = "connect_timeout=60&statement_timeout=60";

pub(crate) struct Database {
    name: String,
    direct: String,
    pooled: String,
}

impl Database {
    pub(crate) async fn create() -> Self {
        let name = format!("cloakroom_test_{:016x}", u64::from_be_bytes(Rng::system().bytes()));
        let server = variable("TEST_POSTGRES");
        connect(&server).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let pooled = with_name(&variable("TEST_PGBOUNCER"), &name);
        Self { direct: with_name(&server, &name), pooled, name }
    }

    /// Its URL; `options` as in `pool_size=2&statements=unnamed`.
    pub(crate) fn url(&self, options: &str) -> Url {
        Url::parse(&format!("{}?{PATIENT}&{options}", self.direct)).unwrap()
    }

    /// Its URL through PgBouncer.
    pub(crate) fn pooled(&self, options: &str) -> Url {
        Url::parse(&format!("{}?{PATIENT}&{options}", self.pooled)).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        &self.direct
    }

    pub(crate) async fn open(&self) -> Postgres {
        Postgres::open(&self.url("pool_size=8")).await.unwrap()
    }

    /// A connection of a tool's.
    pub(crate) async fn tool(&self) -> Client {
        connect(&self.direct).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        // The test's runtime may be ending. Tests have one of several threads, so that this wait does not stop it: PostgreSQL
        // waits for connections that are just being made.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = connect(&variable("TEST_POSTGRES")).await;
                let mut dropped = server.batch_execute(&statement).await;
                for _ in 0..100 {
                    // What clears the tables away is not ours to stop, but is soon done.
                    if dropped.is_ok() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    dropped = server.batch_execute(&statement).await;
                }
                dropped
            })
        });
        if let Ok(Err(error)) = dropping.join() {
            eprintln!("a test's database was not dropped: {error}");
        }
    }
}

fn with_name(server: &str, name: &str) -> String {
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, driver) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

/// Databases that go when the test ends, for checks that each want an empty one.
#[derive(Default)]
pub(crate) struct Databases(std::sync::Mutex<Vec<Database>>);

impl Databases {
    pub(crate) async fn store(&self, url: impl Fn(&Database) -> Url) -> Postgres {
        let database = Database::create().await;
        let store = Postgres::open(&url(&database)).await.unwrap();
        self.0.lock().unwrap().push(database);
        store
    }
}
