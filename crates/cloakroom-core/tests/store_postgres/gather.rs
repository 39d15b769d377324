//! What many ask at a time is asked together, and each is given his own answer.

use std::collections::HashSet;

use cloakroom_core::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    revocation::Hold,
    session::{Write, Written},
    store::{AccountStore, Basis, EndRequest, SessionStore, postgres::Postgres},
};
use futures_util::future::join_all;

use crate::{DAY, NOW, database::Database, log_in, register};

const CROWD: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_answered_by_few_statements() {
    let (database, rng) = (Database::create().await, Rng::system());
    let store = database.open().await;
    let ids = join_all((0..CROWD).map(|_| log_in(&store, &rng))).await;
    let before = gathered(&store);
    let records = join_all(ids.iter().map(|id| store.read(*id))).await;
    let accounts: Vec<_> = records.into_iter().map(|record| record.unwrap().unwrap().account).collect();
    let swap = |n| store.write(ids[n], rotate(0, 1, moment(n), n % 2 == 0));
    let swapped = join_all((0..CROWD).map(swap)).await;
    let after = gathered(&store);
    for (n, written) in swapped.into_iter().enumerate() {
        let Ok(Written::Done(Some(record))) = written else { panic!("{n}: {written:?}") };
        let active = if n % 2 == 0 { moment(n) } else { NOW };
        assert_eq!((record.account, record.rotated, record.last_active), (accounts[n], moment(n), active));
        assert_eq!(store.read(ids[n]).await.unwrap(), Some(record), "what it says is what it wrote");
    }
    assert_eq!(HashSet::<_>::from_iter(accounts).len(), CROWD, "each is another's");
    for (before, after) in before.into_iter().zip(after) {
        assert_eq!(after.1 - before.1, CROWD as u64);
        assert!(after.0 - before.0 < CROWD as u64 / 10, "{before:?} {after:?}");
    }
}

/// Of accounts, apps, methods and sessions of which each differs in something.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_a_crowd_is_told_the_standing_that_it_asked_for() {
    let (database, rng) = (Database::create().await, Rng::system());
    let store = database.open().await;
    let emails: Vec<_> = (0..20).map(|n| format!("person{n}@example.com")).collect();
    let accounts = join_all(emails.iter().map(|email| register(&store, email, &rng))).await;
    let apps = ["web", "shop", "none"].map(|app| AppId::parse(app).unwrap());
    let sessions = [SessionId::from_bytes(rng.bytes()), SessionId::from_bytes(rng.bytes())];
    let ends = [
        EndRequest::App(apps[0].clone(), None),
        EndRequest::App(apps[1].clone(), Some(Method::Jwt)),
        EndRequest::App(apps[1].clone(), None),
        EndRequest::App(apps[1].clone(), Some(Method::Phantom)),
        EndRequest::Account(accounts[3], Basis::Operator),
        EndRequest::Session(sessions[0]),
    ];
    store.end(&ends.map(|end| (end, Hold::lasting(DAY))), Some(NOW)).await.unwrap();
    let stranger = AccountId::generate(NOW, &rng);
    let asked: Vec<_> = (0..CROWD)
        .map(|n| {
            let account = if n % 7 == 6 { stranger } else { accounts[n % 20] };
            let session = [None, Some(sessions[0]), Some(sessions[1])][n % 3];
            (account, &apps[n / 3 % 3], [Method::Session, Method::Jwt, Method::Phantom][n / 9 % 3], session)
        })
        .collect();
    let told =
        join_all(asked.iter().map(|(account, app, method, session)| store.standing(*account, app, *method, *session)));
    for ((account, app, method, session), told) in asked.iter().zip(told.await) {
        let told = told.unwrap();
        if *account == stranger {
            assert_eq!(told, None);
            continue;
        }
        let told = told.unwrap();
        let (epoch, cut) = match (app.as_str(), method) {
            ("web", _) => (1, 1),
            ("shop", Method::Phantom) => (3, 3),
            ("shop", _) => (3, 2),
            _ => (0, 0),
        };
        let place = accounts.iter().position(|one| one == account).unwrap();
        assert_eq!((told.account.id, told.account.email.canonical()), (*account, &*emails[place]));
        // The first raise goes to the time, and each other one of the same app to the next number.
        let raised = |times: u32| if times == 0 { Epoch(0) } else { Epoch(NOW.secs() as u32 + times - 1) };
        assert_eq!(told.account.epoch, raised(u32::from(place == 3)));
        assert_eq!(
            (told.app_epoch, told.app_cut, told.ended),
            (raised(epoch), raised(cut), *session == Some(sessions[0]))
        );
    }
}

/// Somebody holds the row of one session: whoever renews it waits, and nobody else does.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_held_up_holds_up_no_other() {
    let (database, rng) = (Database::create().await, Rng::system());
    let store = database.open().await;
    let ids = join_all((0..64).map(|_| log_in(&store, &rng))).await;
    let mut tool = database.tool().await;
    let holding = tool.transaction().await.unwrap();
    let hold = "SELECT 1 FROM cloakroom_sessions WHERE sid = $1 FOR UPDATE";
    assert_eq!(holding.execute(hold, &[&&ids[32].bytes()[..]]).await.unwrap(), 1);
    let mut swaps: Vec<_> = ids
        .iter()
        .map(|id| {
            let (store, id) = (store.clone(), *id);
            tokio::spawn(async move { store.write(id, rotate(0, 1, NOW, true)).await })
        })
        .collect();
    let held_up = swaps.remove(32);
    for swap in swaps {
        assert!(matches!(swap.await.unwrap(), Ok(Written::Done(_))));
    }
    assert!(!held_up.is_finished());
    holding.rollback().await.unwrap();
    assert!(matches!(held_up.await.unwrap(), Ok(Written::Done(_))));
}

/// Two servers swap the same sessions at a time, in opposite orders: each swap is won by one of them, and none waits in a
/// circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn crowds_at_two_servers_do_not_lock_each_other_out() {
    let (database, rng) = (Database::create().await, Rng::system());
    let servers = [database.open().await, database.open().await];
    let ids = join_all((0..64).map(|_| log_in(&servers[0], &rng))).await;
    let backwards: Vec<_> = ids.iter().rev().copied().collect();
    for round in 0..20 {
        let [one, other] = [(&servers[0], &ids), (&servers[1], &backwards)].map(|(server, ids)| {
            join_all(ids.iter().map(move |id| server.write(*id, rotate(round, round + 1, NOW, true))))
        });
        let (one, other) = tokio::join!(one, other);
        for (a, b) in one.into_iter().zip(other.into_iter().rev()) {
            let won = [a, b].map(|written| matches!(written.unwrap(), Written::Done(_)));
            assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}");
        }
    }
    let tool = database.tool().await;
    // The server tells its counts a moment later.
    tool.batch_execute("SELECT pg_sleep(1.1)").await.unwrap();
    let query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: i64 = tool.query_one(query, &[]).await.unwrap().get(0);
    assert_eq!(deadlocks, 0);
}

fn rotate(from: u32, to: u32, at: Timestamp, active: bool) -> Write {
    Write::Rotate { from: Generation(from), to: Generation(to), at: Some(at), active: active.then_some(at) }
}

/// Moments that differ.
fn moment(n: usize) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + 1 + n as u64)
}

/// Of reads and of writes, how many statements and how many questions.
fn gathered(store: &Postgres) -> [(u64, u64); 2] {
    let vitals = &SessionStore::vitals(store)[0];
    [vitals.reads, vitals.writes].map(|gathered| gathered.map(|all| (all.batches, all.operations)).unwrap())
}
