//! The memory store: it keeps the port's promises, in few bytes.

use std::{sync::Arc, time::Duration};

use cloakroom_core::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    session::{AuthMethods, ClientKind, Record, Write, Written},
    store::{SessionStore, StoreError, conformance, memory::MemorySessions},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const LIFE: Duration = Duration::from_hours(30 * 24);

fn record(account: AccountId, expires: Timestamp) -> Record {
    Record {
        account,
        epoch: Epoch(0),
        app: AppId::parse("web").unwrap().tag(),
        app_epoch: Epoch(0),
        method: Method::Session,
        created: NOW,
        last_active: NOW,
        expires,
        generation: Generation(0),
        rotated: NOW,
        auth_time: NOW,
        amr: AuthMethods::PASSWORD,
        client: ClientKind::default(),
    }
}

async fn fill(store: &MemorySessions, count: usize, sessions_per_account: usize, rng: &Rng) -> Vec<SessionId> {
    let mut ids = Vec::with_capacity(count);
    let mut account = AccountId::generate(NOW, rng);
    for n in 0..count {
        if n % sessions_per_account == 0 {
            account = AccountId::generate(NOW + Duration::from_millis(n as u64), rng);
        }
        let id = SessionId::from_bytes(rng.bytes());
        let record = record(account, NOW + LIFE);
        assert!(matches!(store.write(id, Write::Create(record)).await.unwrap(), Written::Done(_)));
        ids.push(id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_the_session_port() {
    conformance::sessions(async || MemorySessions::new()).await;
}

/// With one session per account, the dearest case, and many of all sizes of the tables.
#[tokio::test]
async fn a_session_takes_at_most_150_bytes_and_1000_rotations_none() {
    let store = MemorySessions::new();
    let rng = Rng::seeded(1);
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.extend(fill(&store, 10_000, 1, &rng).await);
        let each = store.bytes() / store.len();
        println!("{each} bytes each at {}", store.len());
        assert!(each <= 150, "{each} bytes each at {}", store.len());
    }
    let before = store.bytes();
    for id in ids.iter().step_by(1000) {
        for n in 0..1000 {
            let rotate = Write::Rotate { from: Generation(n), to: Generation(n + 1), at: Some(NOW), active: Some(NOW) };
            assert!(matches!(store.write(*id, rotate).await.unwrap(), Written::Done(_)));
        }
    }
    assert_eq!(store.bytes(), before);
}

#[tokio::test]
async fn places_of_ended_sessions_are_used_again() {
    let store = MemorySessions::new();
    let rng = Rng::seeded(2);
    let mut ids = fill(&store, 20_000, 3, &rng).await;
    let before = store.bytes();
    for round in 0..20 {
        for id in ids.split_off(10_000) {
            assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None));
        }
        ids.extend(fill(&store, 10_000, 3, &rng).await);
        ids.rotate_left(7_000 + round);
    }
    assert_eq!(store.len(), 20_000);
    // Chance spreads them over the slabs anew, and each keeps its most.
    assert!(store.bytes() <= before * 5 / 4, "{} after {before}", store.bytes());
    for id in ids {
        assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None));
    }
    assert!(store.is_empty());
}

#[tokio::test]
async fn a_full_store_refuses_a_login_and_drops_nobody() {
    let store = MemorySessions::with_limit(100);
    let rng = Rng::seeded(3);
    let ids = fill(&store, 100, 1, &rng).await;
    let next = SessionId::from_bytes(rng.bytes());
    let login = Write::Create(record(AccountId::generate(NOW, &rng), NOW));
    assert!(matches!(store.write(next, login.clone()).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.read(next).await.unwrap(), None);
    for id in &ids {
        assert!(store.read(*id).await.unwrap().is_some());
    }
    assert_eq!(store.write(ids[0], Write::Delete).await.unwrap(), Written::Done(None));
    assert!(matches!(store.write(next, login).await.unwrap(), Written::Done(_)));
}

/// Everything at once on few accounts, so that lists are linked and unlinked from all sides: nothing is lost or left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_logins_ends_lists_and_sweeps_leave_the_lists_whole() {
    let store = Arc::new(MemorySessions::new());
    let accounts: Vec<_> = (0..3).map(|n| AccountId::generate(NOW, &Rng::seeded(n))).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8u64 {
        let (store, accounts) = (Arc::clone(&store), accounts.clone());
        tasks.spawn(async move {
            let rng = Rng::seeded(100 + task);
            let mut mine = Vec::new();
            for step in 0..3000 {
                let account = accounts[rng.below(3) as usize];
                match rng.below(8) {
                    0..4 => {
                        let id = SessionId::from_bytes(rng.bytes());
                        let expires = if rng.below(4) == 0 { NOW } else { NOW + LIFE };
                        let _ = store.write(id, Write::Create(record(account, expires))).await.unwrap();
                        if expires > NOW {
                            mine.push(id);
                        }
                    }
                    4..7 if !mine.is_empty() => {
                        let id = mine.swap_remove(rng.below(mine.len() as u64) as usize);
                        assert!(store.read(id).await.unwrap().is_some());
                        let _ = store.write(id, Write::Delete).await.unwrap();
                    }
                    _ if step % 50 == 0 => drop(store.list(account, None, 20).await.unwrap()),
                    _ if step % 50 == 1 => drop(store.sweep(conformance::deletion_at(NOW), 10).await.unwrap()),
                    _ => tokio::task::yield_now().await,
                }
            }
            mine
        });
    }
    let mut alive: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    store.sweep(conformance::deletion_at(NOW), usize::MAX).await.unwrap();
    let mut listed = Vec::new();
    for account in accounts {
        listed.extend(store.list(account, None, usize::MAX).await.unwrap().into_iter().map(|(id, _)| id));
    }
    alive.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, alive);
    assert_eq!(store.len(), alive.len());
}
