//! Primaries that are replaced, slots that move, nodes that fail alone: behind sentinels, and in a cluster.

use std::time::{Duration, Instant};

use cloakroom_core::{
    ids::Generation,
    random::Rng,
    session::{Write, Written},
    store::{SessionStore, conformance},
};
use redis::Value;
use rustix::process::Signal;

use super::{
    account, at,
    faults::{BOUND, recovered, unavailable},
    key, log_in, lowest, mark, now, open, refusal,
    server::{Server, add_node, add_replica, cluster, cluster_name, cluster_url, until},
};

/// Three sentinels, a primary and a replica.
struct Watched {
    primary: Server,
    replica: Server,
    sentinels: Vec<Server>,
}

impl Watched {
    fn start() -> Self {
        let primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
        let port = primary.port.to_string();
        let replica = Server::start(&["--replicaof", "127.0.0.1", &port]);
        until("the replica follows", || replica.info("master_link_status") == "up");
        let text = format!(
            "sentinel monitor main 127.0.0.1 {port} 2\nsentinel down-after-milliseconds main 3000\n\
             sentinel failover-timeout main 3000\nsentinel parallel-syncs main 1\n"
        );
        let sentinels: Vec<_> = (0..3).map(|_| Server::with_file(&text, &["--sentinel"])).collect();
        for sentinel in &sentinels {
            until("the sentinels know one another", || {
                let Ok(Value::Array(found)) = sentinel.try_ask(&["SENTINEL", "MASTER", "main"]) else { return false };
                let text = |value: &Value| match value {
                    Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    _ => String::new(),
                };
                let of = |name: &str| {
                    let at = found.iter().position(|value| text(value) == name);
                    at.map(|at| text(&found[at + 1])).unwrap_or_default()
                };
                of("num-other-sentinels") == "2" && of("num-slaves") == "1"
            });
        }
        Self { primary, replica, sentinels }
    }

    fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sentinels_it_keeps_the_promises_of_the_session_port() {
    let watched = Watched::start();
    conformance::expiring_sessions(async || {
        watched.primary.ask(&["FLUSHALL"]);
        open(&watched.url()).await
    })
    .await;
    let told = refusal(&watched.url().replace("/main", "/other")).await.to_string();
    assert!(told.contains("knows no service `other`"), "{told}");
}

/// F068: a failover forgets what the replica had not got; what had ended is deleted again, from where the watermark says.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_the_store_recovers_and_shows_what_was_lost() {
    let mut watched = Watched::start();
    let store = open(&watched.url()).await;
    let rng = Rng::seeded(1);
    let (kept, ended) = (log_in(&store, account(&rng), &rng).await, log_in(&store, account(&rng), &rng).await);
    mark(&store, at(5, 10)).await.unwrap();
    let of_the_old = store.watermark().await.unwrap();
    let before = store.primaries().await.unwrap();
    until("the replica has it all", || {
        watched.replica.send([b"EXISTS".to_vec(), key(ended)]) == Ok(Value::Int(1))
            && watched.replica.info("slave_repl_offset") == watched.primary.info("master_repl_offset")
    });

    // The replica is cut off, and the primary acknowledges an end.
    watched.replica.signal(Signal::STOP);
    watched.primary.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    assert_eq!(store.write(ended, Write::Delete).await.unwrap(), Written::Done(None));
    mark(&store, at(5, 11)).await.unwrap();
    assert_eq!(lowest(&store).await, Some(at(5, 11)));
    watched.primary.kill();
    watched.replica.signal(Signal::CONT);
    assert!(unavailable(&store, kept).await < BOUND);

    // What the sentinels would do in their time.
    watched.replica.ask(&["REPLICAOF", "NO", "ONE"]);
    for sentinel in &watched.sentinels {
        sentinel.ask(&["SENTINEL", "REMOVE", "main"]);
        sentinel.ask(&["SENTINEL", "MONITOR", "main", "127.0.0.1", &watched.replica.port.to_string(), "2"]);
    }
    recovered(&store, kept).await;
    assert!(store.read(ended).await.unwrap().is_some(), "the replica did not get the end");
    assert_eq!(lowest(&store).await, Some(at(5, 10)), "and it shows");
    // R20: deletions that were made on the old primary are none on this one, though both had the same mark.
    assert!(store.advance_watermark(&of_the_old, at(5, 11)).await.is_err());
    assert_eq!(lowest(&store).await, Some(at(5, 10)));
    assert_ne!(store.primaries().await.unwrap(), before);
    store.forget(&[ended]).await.unwrap();
    mark(&store, at(5, 11)).await.unwrap();
    assert_eq!(store.read(ended).await.unwrap(), None);
    log_in(&store, account(&rng), &rng).await;
}

/// The sentinels choose another primary, and the old one comes back as its replica: the store follows by itself.
#[tokio::test(flavor = "multi_thread")]
async fn sentinels_are_followed_to_another_primary() {
    let mut watched = Watched::start();
    let store = open(&watched.url()).await;
    let rng = Rng::seeded(1);
    let kept = log_in(&store, account(&rng), &rng).await;
    until("the replica has it", || watched.replica.send([b"EXISTS".to_vec(), key(kept)]) == Ok(Value::Int(1)));
    watched.primary.kill();
    assert!(unavailable(&store, kept).await < BOUND);
    until("the replica takes over", || watched.replica.info("role") == "master");
    recovered(&store, kept).await;
    log_in(&store, account(&rng), &rng).await;
    watched.primary.resume();
    until("the old primary follows", || watched.primary.info("role") == "slave");
    let written = log_in(&store, account(&rng), &rng).await;
    until("the old primary hears of it", || {
        watched.primary.send([b"EXISTS".to_vec(), key(written)]) == Ok(Value::Int(1))
    });
}

/// A slot moves from node to node under the store's feet: nothing fails, and no session is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_is_followed() {
    let nodes = cluster();
    let store = open(&cluster_url(&nodes)).await;
    let rng = Rng::seeded(1);
    let mut on_first = Vec::new();
    let mut slot = 0;
    while on_first.is_empty() {
        let id = log_in(&store, account(&rng), &rng).await;
        let Value::Int(number) = nodes[0].send([b"CLUSTER".to_vec(), b"KEYSLOT".to_vec(), key(id)]).unwrap() else {
            panic!("no number")
        };
        if number <= 5460 {
            slot = number;
            on_first.push(id);
        }
    }
    let id = on_first[0];
    let slot = slot.to_string();
    let names: Vec<_> = nodes.iter().map(cluster_name).collect();
    nodes[1].ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &names[0]]);
    nodes[0].ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &names[1]]);
    assert!(store.read(id).await.unwrap().is_some(), "not moved yet");
    let to = nodes[1].port.to_string();
    let mut migrate: Vec<_> =
        ["MIGRATE", "127.0.0.1", &to, "", "0", "5000", "KEYS"].map(|p| p.as_bytes().to_vec()).into();
    migrate.push(key(id));
    nodes[0].send(migrate).unwrap();
    // ASK: only this time.
    let rotate =
        |from| Write::Rotate { from: Generation(from), to: Generation(from + 1), at: Some(now()), active: Some(now()) };
    assert!(matches!(store.write(id, rotate(0)).await.unwrap(), Written::Done(Some(_))));
    assert_eq!(store.read(id).await.unwrap().unwrap().generation, Generation(1));
    for node in [&nodes[1], &nodes[0], &nodes[2]] {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &names[1]]);
    }
    // MOVED: from now on.
    assert!(matches!(store.write(id, rotate(1)).await.unwrap(), Written::Done(Some(_))));
    assert_eq!(store.read(id).await.unwrap().unwrap().generation, Generation(2));
    assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None));
    assert_eq!(store.read(id).await.unwrap(), None);
    assert_eq!(store.primaries().await.unwrap().len(), 3);
}

/// R33: a node that imports its first slot serves none yet, so it is in no map of the cluster; whoever is sent on to it uses one
/// connection all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_imports_its_first_slot_is_asked_over_one_connection() {
    let mut nodes = cluster();
    let store = open(&cluster_url(&nodes)).await;
    let rng = Rng::seeded(1);
    let (id, slot) = loop {
        let id = log_in(&store, account(&rng), &rng).await;
        let slot = nodes[0].send([b"CLUSTER".to_vec(), b"KEYSLOT".to_vec(), key(id)]).unwrap();
        if let Value::Int(slot @ ..=5460) = slot {
            break (id, slot.to_string());
        }
    };
    add_node(&mut nodes);
    let (from, to) = (&nodes[0], &nodes[3]);
    to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &cluster_name(from)]);
    from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &cluster_name(to)]);
    let port = to.port.to_string();
    let mut migrate: Vec<_> =
        ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"].map(|part| part.as_bytes().to_vec()).into();
    migrate.push(key(id));
    from.send(migrate).unwrap();
    let connections = || to.info("total_connections_received").parse::<u32>().unwrap();
    let before = connections();
    for _ in 0..4 {
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let store = store.clone();
            reads.spawn(async move { store.read(id).await.unwrap().is_some() });
        }
        assert!(reads.join_all().await.into_iter().all(|found| found));
    }
    // The one that asks for this number is another.
    assert!(connections() - before <= 2, "{} connections", connections() - before);
    // And it is the same when the node is in the map.
    for node in [to, from, &nodes[1], &nodes[2]] {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &cluster_name(to)]);
    }
    let before = connections();
    let rotate = Write::Rotate { from: Generation(0), to: Generation(1), at: Some(now()), active: Some(now()) };
    assert!(matches!(store.write(id, rotate).await.unwrap(), Written::Done(Some(_))));
    until_asked(&store, 4).await;
    assert!(store.read(id).await.unwrap().is_some());
    assert!(connections() - before <= 2, "{} connections", connections() - before);
}

/// Waits until the store knows of so many primaries.
async fn until_asked(store: &cloakroom_core::store::redis::Redis, primaries: usize) {
    let began = Instant::now();
    while store.primaries().await.unwrap().len() != primaries {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not hear of the new primary");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A replica takes a node's place, in order or after its death: the store follows by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_a_cluster_is_followed_when_it_takes_over() {
    let mut nodes = cluster();
    add_replica(&mut nodes);
    let url = cluster_url(&nodes[1..3]);
    let store = open(&url).await;
    let rng = Rng::seeded(1);
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(log_in(&store, account(&rng), &rng).await);
    }
    let before = store.primaries().await.unwrap();
    let [first, replica] = [0, 3].map(|n| format!("127.0.0.1:{}", nodes[n].port));
    assert!(before.iter().any(|primary| primary.address == first));
    until("the replica has it all", || nodes[3].info("slave_repl_offset") == nodes[0].info("master_repl_offset"));
    nodes[3].ask(&["CLUSTER", "FAILOVER"]);
    until("it takes over", || nodes[3].info("role") == "master" && nodes[0].info("role") == "slave");
    for id in &ids {
        assert!(matches!(store.write(*id, Write::Touch(now())).await.unwrap(), Written::Done(Some(_))));
    }
    let began = Instant::now();
    while !store.primaries().await.unwrap().iter().any(|primary| primary.address == replica) {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not hear of the new primary");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = store.read(ids[0]).await;
    }
    // And back again, after a death.
    until("the old one follows", || nodes[0].info("master_link_status") == "up");
    until("the old one has it all", || nodes[0].info("slave_repl_offset") == nodes[3].info("master_repl_offset"));
    nodes[3].kill();
    until("it takes over again", || {
        let _ = nodes[0].try_ask(&["CLUSTER", "FAILOVER", "TAKEOVER"]);
        nodes[0].info("role") == "master"
    });
    for id in &ids {
        recovered(&store, *id).await;
    }
    assert_ne!(store.primaries().await.unwrap(), before, "the same place, and another history");
}

/// One node down is the failure of its own sessions only, and one that comes back from old data shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_fails_alone() {
    let mut nodes = cluster();
    let store = open(&cluster_url(&nodes)).await;
    let rng = Rng::seeded(1);
    let mut ids = [None; 3];
    while ids.iter().any(Option::is_none) {
        let id = log_in(&store, account(&rng), &rng).await;
        for (place, node) in ids.iter_mut().zip(&nodes) {
            if node.send([b"GET".to_vec(), key(id)]).is_ok() {
                *place = Some(id);
            }
        }
    }
    let [first, second, third] = ids.map(Option::unwrap);
    mark(&store, at(5, 1)).await.unwrap();
    // Its data as of now.
    nodes[1].ask(&["BGREWRITEAOF"]);
    until("the file is written", || nodes[1].info("aof_rewrite_in_progress") == "0");
    nodes[1].kill();
    let copy = tempfile::TempDir::new().unwrap();
    let run = |from: &std::path::Path, to: &std::path::Path| {
        let done = std::process::Command::new("cp").arg("-rT").arg(from).arg(to).status().unwrap();
        assert!(done.success());
    };
    run(&nodes[1].file("appendonlydir"), copy.path());
    nodes[1].resume();
    for id in [first, second, third] {
        recovered(&store, id).await;
    }
    // A node that has just come back may doubt its place once more.
    let began = Instant::now();
    while let Err(error) = mark(&store, at(5, 2)).await {
        assert!(began.elapsed() < Duration::from_secs(60), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(lowest(&store).await, Some(at(5, 2)));

    nodes[1].kill();
    assert!(unavailable(&store, second).await < BOUND);
    for id in [first, third] {
        let began = Instant::now();
        assert!(store.read(id).await.unwrap().is_some());
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    assert!(store.watermark().await.is_err(), "nothing is known of the one that is away");

    let directory = nodes[1].file("appendonlydir");
    std::fs::remove_dir_all(&directory).unwrap();
    run(copy.path(), &directory);
    nodes[1].resume();
    recovered(&store, second).await;
    assert_eq!(lowest(&store).await, Some(at(5, 1)), "one shard of old data is enough");
}
