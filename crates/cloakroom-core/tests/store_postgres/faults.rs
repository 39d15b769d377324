//! What happens to acknowledged writes, and to whoever waits, when PostgreSQL goes away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cloakroom_core::{
    ids::{Generation, SessionId},
    random::Rng,
    revocation::{Hold, Since},
    session::{Write, Written},
    store::{
        AccountStore, EndRequest, SessionStore, StoreError,
        postgres::{Postgres, Url},
    },
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{DAY, NOW, cluster::Cluster, database::Database, fresh, log_in};

async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// What one client was told had been done.
#[derive(Default)]
struct Acknowledged {
    created: Vec<SessionId>,
    rotated: Vec<SessionId>,
    ended: Vec<SessionId>,
}

async fn busy(store: Postgres, stop: Arc<AtomicBool>) -> Acknowledged {
    let rng = Rng::system();
    let mut acknowledged = Acknowledged::default();
    while !stop.load(Ordering::Relaxed) {
        let (id, record) = fresh(&rng);
        if store.write(id, Write::Create(record)).await.is_err() {
            pause().await;
            continue;
        }
        acknowledged.created.push(id);
        let rotate = Write::Rotate { from: Generation(0), to: Generation(1), at: Some(NOW), active: Some(NOW) };
        match store.write(id, rotate).await {
            Ok(written) => {
                assert!(matches!(written, Written::Done(_)));
                acknowledged.rotated.push(id);
            }
            // It may have been done all the same.
            Err(_) => drop(acknowledged.created.pop()),
        }
        if acknowledged.rotated.len() % 2 == 0 && acknowledged.rotated.last() == Some(&id) {
            match store.end(&[(EndRequest::Session(id), Hold::lasting(DAY))], Some(NOW)).await {
                Ok(_) => acknowledged.ended.push(id),
                Err(_) => drop(acknowledged.created.pop()),
            }
            acknowledged.rotated.pop();
        }
    }
    acknowledged
}

/// F125, F124: PostgreSQL is killed under load and comes back. What was acknowledged holds, and the store works on by
/// itself. Commits would not wait for the disk by that server's own settings.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_outlives_a_killed_server() {
    let mut cluster = Cluster::start(&["synchronous_commit = off", "fsync = on", "wal_writer_delay = 10s"]).await;
    let store = Postgres::open(&cluster.url("pool_size=8&connect_timeout=1")).await.unwrap();
    for _ in 0..2 {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            clients.spawn(busy(store.clone(), Arc::clone(&stop)));
        }
        let before = store.log_head().await.unwrap().sequence;
        while store.log_head().await.unwrap().sequence < before + 50 {
            pause().await;
        }
        cluster.kill();
        while store.log_head().await.is_ok() {
            pause().await;
        }
        stop.store(true, Ordering::Relaxed);
        let acknowledged = clients.join_all().await;
        cluster.run().await;
        while store.log_head().await.is_err() {
            pause().await;
        }
        let (mut ended, mut alive) = (0, 0);
        let log = store.log_since(Since::Ever, Some(NOW)).await.unwrap().entries;
        for client in acknowledged {
            for id in &client.ended {
                assert_eq!(store.read(*id).await.unwrap(), None, "an end was lost");
                let end = cloakroom_core::revocation::End::Session { session: *id };
                assert!(log.iter().any(|entry| entry.end == end), "a line of the log was lost");
                ended += 1;
            }
            for id in client.created.iter().filter(|id| !client.ended.contains(id)) {
                assert!(store.read(*id).await.unwrap().is_some(), "a login was lost");
            }
            for id in &client.rotated {
                let record = store.read(*id).await.unwrap().expect("a rotated session was lost");
                assert_eq!(record.generation, Generation(1), "a rotation was lost");
                alive += 1;
            }
        }
        assert!(ended >= 50 && alive > 0, "{ended} ended, {alive} alive");
    }
}

/// F124: connections that are cut are replaced, and reads do not even notice.
#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_are_replaced_and_reads_do_not_notice() {
    let database = Database::create().await;
    let store = database.open().await;
    let id = log_in(&store, &Rng::seeded(1)).await;
    let tool = database.tool().await;
    let stop = Arc::new(AtomicBool::new(false));
    let reads: Arc<[AtomicU64; 8]> = Arc::default();
    let mut readers = JoinSet::new();
    for reader in 0..reads.len() {
        let (store, stop, reads) = (store.clone(), Arc::clone(&stop), Arc::clone(&reads));
        readers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                store.read(id).await.unwrap().unwrap();
                reads[reader].fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for round in 1..=8 {
        // All at once, as a restart does; and not again before everybody goes on.
        tool.batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
        let before: Vec<_> = reads.iter().map(|reads| reads.load(Ordering::Relaxed)).collect();
        while reads.iter().zip(&before).any(|(reads, before)| reads.load(Ordering::Relaxed) < before + 2) {
            assert!(readers.try_join_next().is_none(), "a read failed in round {round}");
            pause().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    readers.join_all().await;
}

/// F124: a full pool, or a statement that a lock holds up, makes nobody wait for longer than they may.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_told_in_time_that_nothing_comes() {
    let database = Database::create().await;
    let store = Postgres::open(&database.url("pool_size=2&connect_timeout=1&statement_timeout=2")).await.unwrap();
    let id = log_in(&store, &Rng::seeded(1)).await;
    let tool = database.tool().await;
    tool.batch_execute("BEGIN; LOCK TABLE cloakroom_sessions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let began = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        waiting.spawn(async move { store.read(id).await });
    }
    for answer in waiting.join_all().await {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    tool.batch_execute("ROLLBACK").await.unwrap();
    // New connections take the place of those that were given up.
    while store.read(id).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "and then all is well again");
        pause().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached_is_told_in_time() {
    let open = async |url: &str| {
        let began = Instant::now();
        let refused = Postgres::open(&Url::parse(url).unwrap()).await;
        let Err(StoreError::Unavailable(why)) = refused else { panic!("{refused:?}") };
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        why
    };
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let why = open(&format!("postgres://ada:sesame@127.0.0.1:{port}/p")).await;
    assert!(why.contains("nothing listens"), "{why}");
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = mute.local_addr().unwrap().port();
    let why = open(&format!("postgres://ada:sesame@127.0.0.1:{port}/p?connect_timeout=1")).await;
    assert!(why.contains("longer"), "{why}");
    let why = open("postgres://ada:sesame@/p?host=/nowhere").await;
    assert!(why.contains("socket"), "{why}");
}

/// A server that dies while it holds the head of the log does not hold up the others' ends for long: PostgreSQL gives up on
/// it. Here it stops in the middle of a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_server_does_not_keep_the_log_locked() {
    let database = Database::create().await;
    let store = Postgres::open(&database.url("statement_timeout=30")).await.unwrap();
    let tool = database.tool().await;
    tool.batch_execute(
        "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 1000; SELECT 1 FROM cloakroom_log_head FOR UPDATE",
    )
    .await
    .unwrap();
    let (id, _) = fresh(&Rng::seeded(1));
    let ended = store.end(&[(EndRequest::Session(id), Hold::lasting(DAY))], Some(NOW)).await.unwrap();
    assert_eq!(ended[0].sequence, 1);
}

/// R24: a rotation that waited for its row was done when it had it, and not when it was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_waited_is_as_young_as_its_answer() {
    let database = Database::create().await;
    let store = database.open().await;
    let id = log_in(&store, &Rng::seeded(1)).await;
    let tool = database.tool().await;
    tool.batch_execute("BEGIN; SELECT 1 FROM cloakroom_sessions FOR UPDATE").await.unwrap();
    let rotate = Write::Rotate { from: Generation(0), to: Generation(1), at: None, active: None };
    let asked = std::time::Instant::now();
    let rotating = tokio::spawn({
        let store = store.clone();
        async move { store.write(id, rotate).await }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    tool.batch_execute("COMMIT").await.unwrap();
    assert!(matches!(rotating.await.unwrap().unwrap(), Written::Done(Some(_))));
    let found = store.find(id, None).await.unwrap().unwrap();
    assert!(found.since_rotation + Duration::from_secs(1) < asked.elapsed(), "{:?}", found.since_rotation);
}
