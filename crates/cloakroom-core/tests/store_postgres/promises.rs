//! The conformance suite, by every way to a database that there is.

use std::time::Duration;

use cloakroom_core::{
    random::Rng,
    revocation::{Hold, Incarnation, Position, Since},
    session::{Write, Written},
    store::{AccountStore, Basis, EndRequest, SessionStore, conformance, postgres::Postgres},
};
use tokio::task::JoinSet;

use crate::{
    DAY, NOW,
    database::{Database, Databases},
    fresh, log_in, register,
};

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_the_session_port() {
    let databases = Databases::default();
    conformance::sessions(async || databases.store(|d| d.url("pool_size=8")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_the_account_port() {
    let databases = Databases::default();
    conformance::accounts(async || databases.store(|d| d.url("pool_size=8")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_the_session_port_through_pgbouncer() {
    let databases = Databases::default();
    conformance::sessions(async || databases.store(|d| d.pooled("pool_size=16")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_the_account_port_through_pgbouncer() {
    let databases = Databases::default();
    conformance::accounts(async || databases.store(|d| d.pooled("pool_size=16")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_its_promises_with_one_connection_and_unnamed_statements() {
    let databases = Databases::default();
    conformance::sessions(async || databases.store(|d| d.url("pool_size=1&statements=unnamed&listen=off")).await).await;
    conformance::accounts(async || databases.store(|d| d.url("pool_size=1&statements=unnamed&listen=off")).await).await;
}

/// F125: a killed server is another test's.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_acknowledged_lasts() {
    let database = Database::create().await;
    conformance::sessions_last(async || database.open().await).await;
    let database = Database::create().await;
    conformance::accounts_last(async || database.open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_takes_the_record_with_it() {
    let database = Database::create().await;
    conformance::one_database(database.open().await.stores()).await;
    let database = Database::create().await;
    conformance::one_database(Postgres::open(&database.pooled("")).await.unwrap().stores()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_knows_what_it_was_called_before() {
    let database = Database::create().await;
    let store = database.open().await;
    conformance::former_incarnations(store.clone(), async || store.new_incarnation().await.unwrap()).await;
}

/// Whatever isolation the database's owner prefers.
#[tokio::test(flavor = "multi_thread")]
async fn a_stricter_default_isolation_changes_nothing() {
    let database = Database::create().await;
    let name = database.text().rsplit_once('/').unwrap().1.to_owned();
    let alter = format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    database.tool().await.batch_execute(&alter).await.unwrap();
    let store = Postgres::open(&database.pooled("pool_size=8")).await.unwrap();
    sixteen_at_once(&store).await;
}

/// Logins, rotations, sweeps, ends, reads by two servers at once: nothing fails, and nothing is half seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_at_once_are_in_each_others_way_no_more_than_one() {
    let database = Database::create().await;
    let (first, second) = (database.open().await, Postgres::open(&database.pooled("pool_size=8")).await.unwrap());
    let (a, b) = tokio::join!(sixteen_at_once(&first), sixteen_at_once(&second));
    assert_eq!(a + b, first.log_head().await.unwrap().sequence);
}

/// How many ends there were.
async fn sixteen_at_once(store: &Postgres) -> u64 {
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            let rng = Rng::system();
            for step in 0..10 {
                let email = format!("p{:016x}@example.com", u64::from_be_bytes(rng.bytes()));
                let account = register(&store, &email, &rng).await;
                let session = log_in(&store, &rng).await;
                let from = cloakroom_core::ids::Generation(0);
                let rotate = Write::Rotate { from, to: from.next(), at: Some(NOW), active: Some(NOW) };
                assert!(matches!(store.write(session, rotate).await.unwrap(), Written::Done(Some(_))));
                assert!(store.read(session).await.unwrap().is_some(), "an acknowledged login is seen at once");
                store.sweep(conformance::deletion_at(NOW), 10).await.unwrap();
                store.touch(&[(session, NOW + DAY)]).await.unwrap();
                let mut ends = vec![(EndRequest::Session(session), Hold::lasting(DAY))];
                if step == 9 {
                    ends.push((EndRequest::Account(account, Basis::Operator), Hold::lasting(DAY)));
                }
                assert_eq!(store.end(&ends, Some(NOW)).await.unwrap().len(), ends.len());
                assert_eq!(store.read(session).await.unwrap(), None, "and so is an end");
            }
        });
    }
    tasks.join_all().await;
    16 * 11
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_ended_sessions_is_forgotten_at_once_and_how_far_that_went_is_noted() {
    let database = Database::create().await;
    let store = database.open().await;
    let rng = Rng::seeded(1);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(log_in(&store, &rng).await);
    }
    store.forget(&[ids[0], ids[3], fresh(&rng).0]).await.unwrap();
    store.forget(&[]).await.unwrap();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(store.read(*id).await.unwrap().is_some(), ![0, 3].contains(&n));
    }
    for sequence in [7, 9] {
        let position = Position { incarnation: Incarnation(u64::MAX - sequence), sequence };
        let from = store.watermark().await.unwrap();
        assert!(!from.parts().any(|marks| marks.contains(&position)));
        store.advance_watermark(&from, position).await.unwrap();
        assert!(store.watermark().await.unwrap().parts().all(|marks| marks.contains(&position)));
    }
}

/// A request that is given up in the middle leaves nothing behind on its connection.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_in_the_middle_harms_nobody() {
    let database = Database::create().await;
    let store = Postgres::open(&database.url("pool_size=2")).await.unwrap();
    let rng = Rng::seeded(1);
    let account = register(&store, "ada@example.com", &rng).await;
    for n in 0..200u64 {
        let change = cloakroom_core::store::AccountChange::State(cloakroom_core::account::AccountState::Disabled);
        let patience = Duration::from_micros(n * 20);
        let _ = tokio::time::timeout(patience, store.change(account, change, Hold::lasting(DAY), Some(NOW))).await;
        let _ = tokio::time::timeout(patience, store.log_since(Since::Ever, Some(NOW))).await;
    }
    let head = store.log_head().await.unwrap();
    let epoch = store.account(account).await.unwrap().unwrap().account.epoch;
    // The first raise goes to the time, and each other one to the next number.
    let raises = u64::from(epoch.0).saturating_sub(NOW.secs() - 1);
    assert_eq!(raises, head.sequence, "each change stands with its line, or not at all");
    assert_eq!(store.log_since(Since::Ever, Some(NOW)).await.unwrap().entries.len() as u64, head.sequence);
}
