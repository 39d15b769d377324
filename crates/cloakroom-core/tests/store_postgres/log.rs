//! The revocation log of several servers on one database, and its incarnations.

use std::{collections::BTreeSet, time::Duration};

use cloakroom_core::{
    random::Rng,
    revocation::{Hold, Position, Since},
    store::{AccountStore, EndRequest, StoreError, postgres::Postgres},
};
use tokio::task::JoinSet;

use crate::{DAY, NOW, cluster::Cluster, database::Database, fresh};

async fn end_one(store: &Postgres, rng: &Rng) -> u64 {
    store.end(&[(EndRequest::Session(fresh(rng).0), Hold::lasting(DAY))], Some(NOW)).await.unwrap()[0].sequence
}

/// Whoever follows while several servers write hears of every line, in order, and never of one before its predecessor.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_write_at_once_leave_no_gap_that_fills_later() {
    const EACH: u64 = 100;
    let database = Database::create().await;
    let mut servers = Vec::new();
    for url in [database.url("pool_size=4"), database.url("pool_size=4&statements=unnamed"), database.pooled("")] {
        servers.push(Postgres::open(&url).await.unwrap());
    }
    let mut writing = JoinSet::new();
    for server in &servers {
        for _ in 0..4 {
            let server = server.clone();
            writing.spawn(async move {
                let rng = Rng::system();
                let mut sequences = Vec::new();
                for _ in 0..EACH {
                    sequences.push(end_one(&server, &rng).await);
                }
                sequences
            });
        }
    }
    let all = EACH * 4 * 3;
    let mut at: Option<Position> = Some(Position { sequence: 0, ..servers[0].log_head().await.unwrap() });
    let mut heard = 0;
    while heard < all {
        let answer = servers[0].log_since(at.into(), Some(NOW)).await.unwrap();
        assert!(!answer.snapshot);
        for entry in &answer.entries {
            assert_eq!(entry.sequence, heard + 1, "a gap");
            heard += 1;
        }
        assert_eq!(answer.head.sequence, heard, "the head is what was told");
        at = Some(answer.head);
    }
    let sequences: BTreeSet<_> = writing.join_all().await.into_iter().flatten().collect();
    assert_eq!(sequences, (1..=all).collect(), "every number was given once");
}

/// Many ends of one server share their commits.
#[tokio::test(flavor = "multi_thread")]
async fn ends_that_come_together_are_one_transaction() {
    let database = Database::create().await;
    let store = database.open().await;
    let tool = database.tool().await;
    tool.batch_execute("BEGIN; SELECT 1 FROM cloakroom_log_head FOR UPDATE").await.unwrap();
    let mut ending = JoinSet::new();
    for _ in 0..200 {
        let store = store.clone();
        ending.spawn(async move { end_one(&store, &Rng::system()).await });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    tool.batch_execute("COMMIT").await.unwrap();
    assert_eq!(ending.join_all().await.len(), 200);
    let row = tool.query_one("SELECT count(DISTINCT xmin::text) FROM cloakroom_log", &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) <= 4, "{} transactions", row.get::<_, i64>(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_hear_of_each_others_ends_at_once() {
    let database = Database::create().await;
    let (here, there) = (database.open().await, Postgres::open(&database.pooled("")).await.unwrap());
    let mut calls = here.log_calls().expect("it goes to the server itself");
    assert!(there.log_calls().is_none(), "a pooler passes no news on");
    let around = database.text().split(['@', '/']).nth(3).unwrap().to_owned();
    let around = Postgres::open(&database.pooled(&format!("listen={around}"))).await.unwrap();
    let mut calls_around = around.log_calls().expect("there is a way around the pooler");
    // The first call says that it listens.
    for calls in [&mut calls, &mut calls_around] {
        while *calls.borrow_and_update() == 0 {
            calls.changed().await.unwrap();
        }
    }
    for ender in [&there, &here, &around] {
        end_one(ender, &Rng::system()).await;
        for calls in [&mut calls, &mut calls_around] {
            tokio::time::timeout(Duration::from_secs(10), calls.changed()).await.expect("it is called").unwrap();
            calls.borrow_and_update();
        }
    }
    // A connection that is cut is made again, and says so.
    let tool = database.tool().await;
    tool.batch_execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend' AND application_name = 'cloakroom (listening)'",
    )
    .await
    .unwrap();
    tokio::time::timeout(Duration::from_secs(10), calls.changed()).await.expect("it is called").unwrap();
}

/// F068: a standby that takes over lacks the last lines and gives their numbers again. Whoever followed the old log must
/// not take the new one for the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_another_incarnation() {
    let primary = Cluster::start(&["fsync = on"]).await;
    let store = Postgres::open(&primary.url("")).await.unwrap();
    let rng = Rng::seeded(1);
    end_one(&store, &rng).await;
    let standby = primary.standby().await;
    let caught_up = async |sequence: i64| {
        let client = standby.connect().await.unwrap();
        while client.query("SELECT 1 FROM cloakroom_log WHERE sequence = $1", &[&sequence]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    caught_up(1).await;
    let before = store.log_head().await.unwrap();

    // A standby is no store, and its log nothing to go by.
    match Postgres::open(&standby.url("")).await {
        Err(StoreError::Unavailable(why)) => assert!(why.contains("standby") && why.contains("primary"), "{why}"),
        other => panic!("{other:?}"),
    }
    // Of two addresses the primary is taken, whichever comes first.
    let both = format!("postgres://cloakroom@127.0.0.1:{},127.0.0.1:{}/postgres", standby.port(), primary.port());
    let both = cloakroom_core::store::postgres::Url::parse(&both).unwrap();
    let follower = Postgres::open(&both).await.unwrap();
    assert_eq!(follower.log_head().await.unwrap(), before);

    // The primary acknowledges one more line, and is gone before the standby has it.
    let client = standby.connect().await.unwrap();
    client.batch_execute("ALTER SYSTEM SET primary_conninfo = ''").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    loop {
        let receiving = client.query("SELECT 1 FROM pg_stat_wal_receiver", &[]).await.unwrap();
        if receiving.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lost = end_one(&store, &rng).await;
    let known = store.log_head().await.unwrap();
    assert_eq!((lost, known.sequence), (2, 2));
    drop(store);
    drop(primary);
    standby.promote().await;
    let again = async || loop {
        if let Ok(head) = follower.log_head().await {
            break head;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let after = again().await;
    assert_eq!(after.sequence, 1, "the line was lost");
    assert_eq!(end_one(&follower, &rng).await, 2, "and its number is given again");
    let answer = follower.log_since(Since::Line(known), Some(NOW)).await.unwrap();
    assert_ne!(answer.head.incarnation, known.incarnation);
    assert!(answer.snapshot, "whoever knew the lost line starts anew");
    assert_eq!(answer.entries.len(), 2);
}

/// A dump that is read back has the log's own number, and is another log all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_dump_is_another_incarnation() {
    let database = Database::create().await;
    let store = database.open().await;
    end_one(&store, &Rng::seeded(1)).await;
    let head = store.log_head().await.unwrap();
    drop(store);
    let tool = database.tool().await;
    tool.batch_execute(
        "CREATE TABLE kept AS SELECT * FROM cloakroom_log_head; DROP TABLE cloakroom_log_head;
         CREATE TABLE cloakroom_log_head (LIKE kept); INSERT INTO cloakroom_log_head SELECT * FROM kept",
    )
    .await
    .unwrap();
    let restored = database.open().await;
    let now = restored.log_head().await.unwrap();
    assert_eq!(now.sequence, head.sequence);
    assert_ne!(now.incarnation, head.incarnation);
    assert!(restored.log_since(Since::Line(head), Some(NOW)).await.unwrap().snapshot);
}
