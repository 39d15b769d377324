//! What the account port promises about keys, services and itself.

use std::sync::Arc;

use super::{DAY, MINUTE, NOW, at_once};
use crate::{
    ids::Kid,
    key::{KeyRow, KeyStamp, Purpose, WrappedKey},
    random::Rng,
    revocation::{End, Entry, Hold, Since},
    store::{AccountStore, KeyChange, Service},
    token::Algorithm,
};

type Store = Arc<dyn AccountStore>;

pub(super) fn key(kid: &str, purpose: Purpose, ordinal: u32) -> KeyRow {
    KeyRow {
        kid: Kid::parse(kid).expect("it is a name"),
        purpose,
        ordinal,
        wrapped: WrappedKey::from_bytes(vec![7; 60]),
        created: NOW,
        from: NOW + DAY,
        killed: None,
    }
}

/// Changes the keys from what they are now.
pub(super) async fn change(store: &Store, change: KeyChange) -> Option<Vec<Entry>> {
    let stamp = store.keys().await.unwrap().stamp;
    store.change_keys(&stamp, change, Some(NOW)).await.unwrap()
}

async fn add(store: &Store, row: &KeyRow) -> bool {
    change(store, KeyChange::Add(row.clone())).await.is_some()
}

async fn rows(store: &Store) -> Vec<KeyRow> {
    sorted(store.keys().await.unwrap().rows)
}

fn sorted(mut rows: Vec<KeyRow>) -> Vec<KeyRow> {
    rows.sort_unstable_by_key(|row| row.kid);
    rows
}

/// F044: servers that reach the rotation in one instant end with one new key.
pub(super) async fn only_one_server_makes_the_next_key(store: Store) {
    for ordinal in 1..=3 {
        let added = at_once(&store, 16, move |store, n| async move {
            let row = key(&format!("k{ordinal}x{n}"), Purpose::Mac, ordinal);
            add(&store, &row).await.then_some(row)
        })
        .await;
        let added: Vec<_> = added.into_iter().flatten().collect();
        assert_eq!(added.len(), 1);
        let stored = rows(&store).await;
        assert_eq!(stored.iter().filter(|row| row.ordinal == ordinal).collect::<Vec<_>>(), [&added[0]]);
    }
    assert!(add(&store, &key("other", Purpose::Sign(Algorithm::EdDsa), 1)).await, "each purpose has its own");
    assert!(!add(&store, &key("other", Purpose::Sign(Algorithm::EdDsa), 2)).await, "a name is used once");
    assert_eq!(rows(&store).await.len(), 4);
}

pub(super) async fn keys_are_killed_rewrapped_and_forgotten(store: Store) {
    let mut held = vec![key("a", Purpose::Mac, 1), key("b", Purpose::Mac, 2)];
    for algorithm in Algorithm::ALL {
        held.push(key(algorithm.name(), Purpose::Sign(algorithm), u32::MAX));
    }
    held[1].killed = Some(NOW);
    for row in &held {
        assert!(add(&store, row).await);
    }
    assert_eq!(rows(&store).await, sorted(held.clone()));

    for at in [NOW, NOW + DAY] {
        let stamp = store.keys().await.unwrap().stamp;
        let kill = KeyChange::Kill { kids: vec![held[0].kid], hold: Hold::lasting(MINUTE), next: None };
        let entries = store.change_keys(&stamp, kill, Some(at)).await.unwrap().expect("they are the same");
        assert_eq!(entries.iter().map(|entry| &entry.end).collect::<Vec<_>>(), [&End::Key { kid: held[0].kid }]);
        assert_eq!((entries[0].at, entries[0].until), (Some(at), at + MINUTE));
    }
    held[0].killed = Some(NOW);
    assert_eq!(rows(&store).await, sorted(held.clone()), "killed once, at the first time");

    let check = WrappedKey::from_bytes(vec![1, 2, 3]);
    let mut wrapped = vec![(Kid::parse("gone").expect("it is a name"), WrappedKey::from_bytes(vec![0]))];
    for row in held.iter_mut().filter(|row| row.killed.is_none()) {
        row.wrapped = WrappedKey::from_bytes(vec![9; 61]);
        wrapped.push((row.kid, row.wrapped.clone()));
    }
    let left_out = KeyChange::Rewrap { check: check.clone(), wrapped: wrapped[1..3].to_vec() };
    assert_eq!(change(&store, left_out).await, None, "no living key stays under the old secret");
    assert_eq!(store.installation().await.unwrap().secret_check, None);
    assert_eq!(change(&store, KeyChange::Rewrap { check: check.clone(), wrapped }).await, Some(vec![]));
    assert_eq!(store.installation().await.unwrap().secret_check, Some(check.clone()));
    assert_eq!(store.keys().await.unwrap().stamp.check, Some(check));
    assert_eq!(rows(&store).await, sorted(held.clone()));

    assert!(change(&store, KeyChange::Remove(vec![held[0].kid, held[1].kid])).await.is_some());
    assert!(change(&store, KeyChange::Remove(vec![held[0].kid])).await.is_some());
    assert_eq!(rows(&store).await, sorted(held.split_off(2)));
}

/// R9, R18, R23: every change of the keys makes another set of them, which each answer of the log tells; and a change that was
/// made from another set, or under another secret, is not done.
pub(super) async fn a_change_of_the_keys_is_told_and_loses_against_another(store: Store) {
    let (first, second) = (key("a", Purpose::Mac, 1), key("b", Purpose::Mac, 2));
    let check = WrappedKey::from_bytes(vec![4; 40]);
    let rewrapped = vec![(second.kid, WrappedKey::from_bytes(vec![8; 60]))];
    let changes = [
        KeyChange::Add(first.clone()),
        KeyChange::Kill { kids: vec![first.kid], hold: Hold::lasting(DAY), next: Some(second.clone()) },
        KeyChange::Rewrap { check: check.clone(), wrapped: rewrapped },
        KeyChange::Remove(vec![first.kid]),
    ];
    let mut stale = vec![];
    for one in changes {
        let before = store.keys().await.unwrap();
        for stamp in &stale {
            assert_eq!(store.change_keys(stamp, one.clone(), Some(NOW)).await.unwrap(), None);
        }
        let otherwise = KeyStamp { check: Some(WrappedKey::from_bytes(vec![6])), ..before.stamp.clone() };
        assert_eq!(
            store.change_keys(&otherwise, one.clone(), Some(NOW)).await.unwrap(),
            None,
            "it is under another secret"
        );
        assert_eq!(store.keys().await.unwrap(), before, "nothing was done");
        assert!(store.change_keys(&before.stamp, one, Some(NOW)).await.unwrap().is_some());
        let after = store.keys().await.unwrap().stamp;
        assert_ne!(after.set, before.stamp.set);
        assert_eq!(store.log_since(Since::Ever, Some(NOW)).await.unwrap().keys, after.set, "the log tells of it");
        stale.push(before.stamp);
    }
    assert_eq!(rows(&store).await, [KeyRow { wrapped: WrappedKey::from_bytes(vec![8; 60]), ..second }]);
}

/// R18: no reader meets a store between a kill and the key that takes the killed one's place; and where that key's place is
/// taken, nothing is killed.
pub(super) async fn a_killed_key_and_its_replacement_change_in_one(store: Store) {
    let first = key("a", Purpose::Mac, 1);
    assert!(add(&store, &first).await);
    let taken =
        KeyChange::Kill { kids: vec![first.kid], hold: Hold::lasting(DAY), next: Some(key("b", Purpose::Mac, 1)) };
    assert_eq!(change(&store, taken).await, None);
    assert_eq!(rows(&store).await, std::slice::from_ref(&first));
    assert_eq!(store.log_head().await.unwrap().sequence, 0);

    let watch = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            loop {
                let keys = store.keys().await.unwrap().rows;
                assert_eq!(keys.iter().filter(|row| row.killed.is_none()).count(), 1, "{keys:?}");
                if keys.len() > 20 {
                    return;
                }
            }
        }
    });
    let mut last = first.kid;
    for ordinal in 2..=21 {
        let next = key(&format!("k{ordinal}"), Purpose::Mac, ordinal);
        let (kids, kid) = (vec![last], next.kid);
        let entries = change(&store, KeyChange::Kill { kids, hold: Hold::lasting(DAY), next: Some(next) }).await;
        assert_eq!(entries.expect("nobody else changes the keys")[0].end, End::Key { kid: last });
        last = kid;
    }
    watch.await.unwrap();
}

/// F138, the store's part: an installation can tell its store from another.
pub(super) async fn a_store_knows_itself(store: Store) {
    let first = store.installation().await.unwrap();
    assert_ne!(first.id, uuid::Uuid::nil());
    assert_eq!(first.secret_check, None);
    assert_eq!(store.installation().await.unwrap(), first);
    // F047: of servers that start at once with different secrets one wins.
    let set = at_once(&store, 8, |store, n| async move {
        let check = WrappedKey::from_bytes(vec![n as u8; 40]);
        store.first_check(check.clone()).await.unwrap().then_some(check)
    })
    .await;
    let set: Vec<_> = set.into_iter().flatten().collect();
    assert_eq!(set.len(), 1);
    assert_eq!(store.installation().await.unwrap().secret_check.as_ref(), Some(&set[0]));
    let check = WrappedKey::from_bytes(vec![50; 40]);
    assert!(change(&store, KeyChange::Rewrap { check: check.clone(), wrapped: vec![] }).await.is_some());
    let second = store.installation().await.unwrap();
    assert_eq!((second.id, second.secret_check), (first.id, Some(check)));
}

pub(super) async fn services_come_and_go(store: Store) {
    let rng = Rng::seeded(30);
    let service = |id: &str, minutes| Service {
        id: id.to_owned(),
        name: format!("The \"{id}\" service; 'quoted'"),
        secret_hash: rng.bytes(),
        created: NOW + MINUTE * minutes,
    };
    let (orders, stock) = (service("orders", 1), service("stock", 0));
    for service in [&orders, &stock] {
        store.add_service(service.clone()).await.unwrap();
    }
    store.add_service(service("orders", 2)).await.expect_err("an id is used once");
    assert_eq!(store.services().await.unwrap(), [stock.clone(), orders], "the oldest first");
    assert!(store.remove_service("orders").await.unwrap());
    assert!(!store.remove_service("orders").await.unwrap());
    assert_eq!(store.services().await.unwrap(), [stock]);
}
