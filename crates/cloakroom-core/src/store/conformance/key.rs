//! What the account port promises about keys, services and itself.

use std::sync::Arc;

use super::{DAY, MINUTE, NOW, at_once};
use crate::{
    ids::Kid,
    key::{KeyRow, Purpose, WrappedKey},
    random::Rng,
    revocation::{End, Hold},
    store::{AccountStore, EndRequest, Service},
    token::Algorithm,
};

type Store = Arc<dyn AccountStore>;

fn key(kid: &str, purpose: Purpose, ordinal: u32) -> KeyRow {
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

/// F044: servers that reach the rotation in one instant end with one new key.
pub(super) async fn only_one_server_makes_the_next_key(store: Store) {
    for ordinal in 1..=3 {
        let added = at_once(&store, 16, move |store, n| async move {
            let row = key(&format!("k{ordinal}x{n}"), Purpose::Mac, ordinal);
            store.add_key(row.clone()).await.unwrap().then_some(row)
        })
        .await;
        let added: Vec<_> = added.into_iter().flatten().collect();
        assert_eq!(added.len(), 1);
        let stored = store.keys().await.unwrap();
        assert_eq!(stored.iter().filter(|row| row.ordinal == ordinal).collect::<Vec<_>>(), [&added[0]]);
    }
    assert!(store.add_key(key("other", Purpose::Sign(Algorithm::EdDsa), 1)).await.unwrap(), "each purpose has its own");
    assert!(!store.add_key(key("other", Purpose::Sign(Algorithm::EdDsa), 2)).await.unwrap(), "a name is used once");
    assert_eq!(store.keys().await.unwrap().len(), 4);
}

pub(super) async fn keys_are_killed_rewrapped_and_forgotten(store: Store) {
    let mut rows = vec![key("a", Purpose::Mac, 1), key("b", Purpose::Mac, 2)];
    for algorithm in Algorithm::ALL {
        rows.push(key(algorithm.name(), Purpose::Sign(algorithm), u32::MAX));
    }
    rows[1].killed = Some(NOW);
    for row in &rows {
        assert!(store.add_key(row.clone()).await.unwrap());
    }
    let sorted = |mut rows: Vec<KeyRow>| {
        rows.sort_unstable_by_key(|row| row.kid);
        rows
    };
    assert_eq!(sorted(store.keys().await.unwrap()), sorted(rows.clone()));

    for at in [NOW, NOW + DAY] {
        let entries = store.end(&[(EndRequest::Key(rows[0].kid), Hold::lasting(MINUTE))], Some(at)).await.unwrap();
        assert_eq!(entries[0].end, End::Key { kid: rows[0].kid });
    }
    rows[0].killed = Some(NOW);
    assert_eq!(sorted(store.keys().await.unwrap()), sorted(rows.clone()), "killed once, at the first time");

    let check = WrappedKey::from_bytes(vec![1, 2, 3]);
    rows[2].wrapped = WrappedKey::from_bytes(vec![9; 61]);
    let unknown = (Kid::parse("gone").expect("it is a name"), WrappedKey::from_bytes(vec![0]));
    store.rewrap(check.clone(), &[(rows[2].kid, rows[2].wrapped.clone()), unknown]).await.unwrap();
    assert_eq!(store.installation().await.unwrap().secret_check, Some(check));
    assert_eq!(sorted(store.keys().await.unwrap()), sorted(rows.clone()));

    store.remove_keys(&[rows[0].kid, rows[1].kid]).await.unwrap();
    store.remove_keys(&[rows[0].kid]).await.unwrap();
    assert_eq!(sorted(store.keys().await.unwrap()), sorted(rows.split_off(2)));
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
    store.rewrap(check.clone(), &[]).await.unwrap();
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
