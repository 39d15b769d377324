//! The tables stay as large as what lives in them needs, however many sessions have come and gone.

use std::time::{Duration, Instant};

use cloakroom_core::{
    ids::{AccountId, Generation, SessionId},
    random::Rng,
    session::Write,
    store::{SessionStore, conformance::deletion_at, postgres::Postgres},
};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::{DAY, NOW, database::Database, record};

const TABLE: &str = "cloakroom_sessions";
/// After so many rounds a session expires: a tenth of the living comes and goes with each.
const LIFE: u32 = 10;

async fn size_of(tool: &Client, table: &str) -> i64 {
    let size = format!("SELECT pg_total_relation_size('{table}')");
    tool.query_one(&size, &[]).await.unwrap().get(0)
}

/// How large the living sessions are in a table and indexes that never held others.
async fn live_size(tool: &Client) -> i64 {
    tool.batch_execute(&format!(
        "CREATE TABLE fresh (LIKE {TABLE} INCLUDING ALL); INSERT INTO fresh SELECT * FROM {TABLE} ORDER BY created"
    ))
    .await
    .unwrap();
    let size = size_of(tool, "fresh").await;
    tool.batch_execute("DROP TABLE fresh").await.unwrap();
    size
}

/// One round's logins, each rotated and used; and away with those that are over.
async fn round(store: &Postgres, number: u32, logins: usize) {
    const TASKS: usize = 16;
    let now = NOW + DAY * number;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let store = store.clone();
        tasks.spawn(async move {
            let rng = Rng::system();
            let mut touches = Vec::new();
            for _ in 0..logins / TASKS {
                let id = SessionId::from_bytes(rng.bytes());
                let account = AccountId::generate(now, &rng);
                let _ = store.write(id, Write::Create(record(account, now + DAY * LIFE))).await.unwrap();
                let rotate = Write::Rotate { from: Generation(0), to: Generation(1), at: Some(now), active: Some(now) };
                let _ = store.write(id, rotate).await.unwrap();
                touches.push((id, now + Duration::from_secs(3600)));
            }
            store.touch(&touches).await.unwrap();
        });
    }
    tasks.join_all().await;
    while store.sweep(deletion_at(now), 500).await.unwrap() > 0 {}
}

/// Who clears away what a round has left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clearing {
    /// The test, when the table's own settings make it due: so the test does not hang on when PostgreSQL looks.
    WhenDue,
    /// PostgreSQL, by itself.
    ByItself,
}

async fn churn(living: usize, logins: usize, clearing: Clearing) {
    let database = Database::create().await;
    let store = database.open().await;
    let tool = database.tool().await;
    let a_round = living / LIFE as usize;
    let rounds = (logins / a_round) as u32;
    let due = 500 + living / 20;
    let options = "SELECT reloptions::text FROM pg_class WHERE relname = 'cloakroom_sessions'";
    let options: String = tool.query_one(options, &[]).await.unwrap().get(0);
    for setting in ["autovacuum_vacuum_threshold=500", "autovacuum_vacuum_scale_factor=0.05"] {
        assert!(options.contains(setting), "{options}");
    }
    let (mut sizes, mut left) = (Vec::new(), 0);
    for number in 0..rounds {
        round(&store, number, a_round).await;
        left += a_round * 3;
        if clearing == Clearing::WhenDue && left > due {
            tool.batch_execute("VACUUM cloakroom_sessions").await.unwrap();
            left = 0;
        }
        sizes.push(size_of(&tool, TABLE).await);
    }
    let live = live_size(&tool).await;
    let largest = *sizes.iter().max().unwrap();
    println!(
        "{logins} logins, {living} alive: {live} bytes live, at most {:.2} times that",
        largest as f64 / live as f64
    );
    assert!(largest <= live * 2, "{sizes:?} over twice {live}");

    // Rotations and activity stay on their pages and touch no index.
    let until = Instant::now() + Duration::from_secs(30);
    let count = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'cloakroom_sessions'";
    loop {
        let row = tool.query_one(count, &[]).await.unwrap();
        let (updates, hot): (i64, i64) = (row.get(0), row.get(1));
        // A rotation and an activity of each.
        if updates.unsigned_abs() >= logins as u64 {
            assert!(hot * 10 >= updates * 9, "{hot} of {updates} updates touched no index");
            break;
        }
        assert!(Instant::now() < until, "the statistics do not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_logins_later_the_table_is_as_large_as_the_living_need() {
    churn(4000, 24_000, Clearing::WhenDue).await;
}

/// The long form; a quarter of an hour:
/// `scripts/with-stores cargo nextest run -p cloakroom-core --features postgres --run-ignored only a_million_logins`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a million sessions take a quarter of an hour"]
async fn a_million_logins_later_the_table_is_as_large_as_the_living_need() {
    churn(100_000, 1_000_000, Clearing::ByItself).await;
}
