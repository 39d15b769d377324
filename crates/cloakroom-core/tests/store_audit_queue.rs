//! The audit queue: nothing waits for it, and nothing is lost but what does not fit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cloakroom_core::{
    audit::{AuditQueue, Event, Filter, Kind, Origin},
    clock::Timestamp,
    store::{
        AccountStore,
        sqlite::{Options, Sqlite},
    },
};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::time::sleep;

fn event(n: u32) -> Event {
    Event {
        at: Timestamp::from_secs(1_800_000_000),
        kind: Kind::SignedIn,
        account: None,
        session: None,
        app: None,
        origin: Origin::default(),
        reason: None,
        detail: Some(n.to_string()),
    }
}

fn queue(directory: &TempDir) -> (Sqlite, AuditQueue) {
    let store = Sqlite::open(directory.path(), &Options::default()).unwrap();
    (store.clone(), AuditQueue::new(Arc::new(store)))
}

async fn details(store: &Sqlite) -> Vec<String> {
    let mut lines = store.audit_page(&Filter::default(), 100_000).await.unwrap();
    lines.reverse();
    lines.into_iter().filter_map(|line| line.detail).collect()
}

/// On one thread the queue's task does not run while lines are pushed, so the queue fills up.
#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted_and_the_rest_is_written_in_order() {
    let directory = TempDir::new().unwrap();
    let (store, queue) = queue(&directory);
    for n in 0..8200 {
        queue.push(event(n));
    }
    assert_eq!((queue.dropped(), queue.waiting()), (8, 8192));
    queue.flush().await;
    assert_eq!(queue.waiting(), 0);
    queue.push(event(8200));
    queue.flush().await;
    let expected: Vec<_> = (0..8192).chain([8200]).map(|n| n.to_string()).collect();
    assert_eq!(details(&store).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_wait_for_a_store_that_fails() {
    let directory = TempDir::new().unwrap();
    let (store, queue) = queue(&directory);
    let tool = Connection::open(directory.path().join(Sqlite::FILE)).unwrap();
    tool.execute_batch("ALTER TABLE audit RENAME TO elsewhere").unwrap();
    for n in 0..10 {
        queue.push(event(n));
    }
    store.audit(&[event(99)]).await.expect_err("the table is away");
    assert_eq!(queue.waiting(), 10);
    tool.execute_batch("ALTER TABLE elsewhere RENAME TO audit").unwrap();
    queue.flush().await;
    assert_eq!(details(&store).await, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// R37: a line that the store never takes is dropped and counted, alone; neither those beside it nor those behind it wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_refused_for_good_is_dropped_alone() {
    let directory = TempDir::new().unwrap();
    let (store, queue) = queue(&directory);
    let tool = Connection::open(directory.path().join(Sqlite::FILE)).unwrap();
    let refuse = "CREATE TRIGGER picky BEFORE INSERT ON audit WHEN NEW.detail IN ('0', '137', '138', '299')
                  BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    tool.execute_batch(refuse).unwrap();
    for n in 0..300 {
        queue.push(event(n));
    }
    queue.flush().await;
    let taken: Vec<_> = (0..300).filter(|n| ![0, 137, 138, 299].contains(n)).map(|n: u32| n.to_string()).collect();
    assert_eq!(details(&store).await, taken, "in order, each once");
    assert_eq!((queue.waiting(), queue.refused(), queue.dropped()), (0, 4, 0));
}

/// By the writer's own count of its transactions.
fn batches(store: &Sqlite) -> u64 {
    AccountStore::vitals(store)[0].writes.unwrap().batches
}

async fn nothing_waits(queue: &AuditQueue) {
    while queue.waiting() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_follow_each_other_closely_share_a_write() {
    let directory = TempDir::new().unwrap();
    let (store, queue) = queue(&directory);
    let (before, begin) = (batches(&store), Instant::now());
    for n in 0..20 {
        queue.push(event(n));
        sleep(Duration::from_millis(2)).await;
    }
    nothing_waits(&queue).await;
    // A slow machine needs longer, and then there may be more of them.
    let most = 2 + begin.elapsed().as_millis() / 50;
    let written = batches(&store) - before;
    assert!(u128::from(written) <= most, "{written} writes, at most {most}");
    assert_eq!(details(&store).await, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_flush_takes_as_many_writes_as_it_needs_and_no_more() {
    let directory = TempDir::new().unwrap();
    let (store, queue) = queue(&directory);
    queue.push(event(0));
    nothing_waits(&queue).await;
    let before = batches(&store);
    for n in 1..600 {
        queue.push(event(n));
    }
    queue.flush().await;
    assert_eq!((queue.waiting(), batches(&store) - before), (0, 3));
}

#[tokio::test]
async fn a_dropped_queue_lets_go_of_its_store() {
    let directory = TempDir::new().unwrap();
    let (store, queue) = queue(&directory);
    queue.push(event(1));
    queue.flush().await;
    drop((store, queue));
    Sqlite::open(directory.path(), &Options::default()).expect("nobody holds it");
}
