//! What the account port promises about accounts.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{DAY, HASH, MINUTE, NOW, OTHER_HASH, app, at_once, hash, new_account, registered};
use crate::{
    account::AccountState,
    ids::{AccountId, Epoch},
    method::Method,
    random::Rng,
    revocation::End,
    store::{AccountChange, AccountStore, Changed, Creation, EndRequest, StoreError},
};

type Store = Arc<dyn AccountStore>;

async fn change(store: &Store, id: AccountId, change: AccountChange) -> Option<Changed> {
    store.change(id, change, NOW, NOW + MINUTE).await.unwrap()
}

pub(super) async fn an_account_is_found_by_address_and_by_id(store: Store) {
    let rng = Rng::seeded(1);
    let ada = new_account("Ada.Lovelace@Example.com", &rng);
    let mut bare = new_account("bare@example.com", &rng);
    (bare.account.name, bare.password) = (None, None);
    bare.account.state = AccountState::Disabled;
    for new in [&ada, &bare] {
        assert_eq!(store.create(new.clone()).await.unwrap(), Creation::Made);
        let canonical = new.account.email.canonical();
        let by_address = store.login(canonical).await.unwrap().expect("it is there");
        let by_id = store.account(new.account.id).await.unwrap().expect("it is there");
        for login in [by_address, by_id] {
            assert_eq!(login.account, new.account);
            assert_eq!(login.account.email.as_typed(), new.account.email.as_typed());
            assert_eq!(login.password, new.password);
        }
        let standing = store.standing(new.account.id, &app("web"), Method::Session, None).await.unwrap();
        let standing = standing.expect("it is there");
        assert_eq!(standing.account, new.account);
        assert_eq!((standing.app_epoch, standing.app_cut), (Epoch(0), Epoch(0)));
    }
    assert!(store.login("nobody@example.com").await.unwrap().is_none());
    assert!(store.login("Ada.Lovelace@Example.com").await.unwrap().is_none(), "only the canonical form is looked up");
    let nobody = AccountId::generate(NOW, &rng);
    assert!(store.account(nobody).await.unwrap().is_none());
    assert!(store.standing(nobody, &app("web"), Method::Session, None).await.unwrap().is_none());
    assert!(change(&store, nobody, AccountChange::State(AccountState::Disabled)).await.is_none());
    assert!(change(&store, nobody, AccountChange::Delete).await.is_none());
}

pub(super) async fn one_of_many_registrations_of_an_address_wins(store: Store) {
    let rng = Rng::seeded(2);
    let made = at_once(&store, 64, |store, n| {
        // One address, however it is typed.
        let new = new_account(if n % 2 == 0 { "ada@example.com" } else { "ADA@EXAMPLE.com" }, &rng);
        async move { (store.create(new.clone()).await.unwrap(), new) }
    })
    .await;
    let winners: Vec<_> = made.iter().filter(|(creation, _)| *creation == Creation::Made).collect();
    assert_eq!(winners.len(), 1);
    let login = store.login("ada@example.com").await.unwrap().expect("it is there");
    assert_eq!(login.account, winners[0].1.account);
    assert_eq!(store.accounts(None, 100).await.unwrap(), [login.account]);
}

pub(super) async fn accounts_are_paged_in_the_order_of_their_ids(store: Store) {
    let rng = Rng::seeded(3);
    let mut ids = BTreeSet::new();
    for n in 0..11 {
        ids.insert(registered(&store, &format!("person{n}@example.com"), &rng).await.id);
    }
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = store.accounts(after, 4).await.unwrap();
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        paged.extend(page.into_iter().map(|account| account.id));
    }
    assert_eq!(paged, ids.into_iter().collect::<Vec<_>>());
}

/// F055, the store's part: what changes an account ends its sessions in the same moment.
pub(super) async fn changes_that_end_sessions_raise_the_epoch(store: Store) {
    let rng = Rng::seeded(4);
    let account = registered(&store, "ada@example.com", &rng).await;
    let other = registered(&store, "eve@example.com", &rng).await;
    let before = store.log_head().await.unwrap();
    let steps = [
        (AccountChange::Password(hash(OTHER_HASH)), AccountState::Active, 1, true),
        (AccountChange::Rehash { from: hash(OTHER_HASH), to: hash(HASH) }, AccountState::Active, 1, false),
        (AccountChange::State(AccountState::Disabled), AccountState::Disabled, 2, true),
        (AccountChange::State(AccountState::Active), AccountState::Active, 2, false),
        (AccountChange::State(AccountState::Disabled), AccountState::Disabled, 3, true),
    ];
    let mut logged = Vec::new();
    for (step, state, epoch, ends) in steps {
        let changed = change(&store, account.id, step.clone()).await.expect("it is there");
        assert_eq!((changed.account.state, changed.account.epoch), (state, Epoch(epoch)), "{step:?}");
        assert_eq!(changed.entry.is_some(), ends, "{step:?}");
        if let Some(entry) = changed.entry {
            assert_eq!(entry.end, End::Account { account: account.id, epoch: Epoch(epoch) });
            assert_eq!(entry.until, NOW + MINUTE);
            logged.push(entry);
        }
        let standing = store.standing(account.id, &app("web"), Method::Jwt, None).await.unwrap().expect("it is there");
        assert_eq!(standing.account, changed.account);
    }
    assert_eq!(store.account(account.id).await.unwrap().expect("it is there").password, Some(hash(HASH)));
    assert_eq!(store.log_since(Some(before), NOW).await.unwrap().entries, logged);
    assert_eq!(store.account(other.id).await.unwrap().expect("it is there").account, other, "others are left alone");
}

/// Whoever reads after a change was answered reads the change, whatever is kept in memory; also one that nobody waited for.
pub(super) async fn a_standing_is_never_older_than_a_change_that_was_answered(store: Store) {
    const ENDS: u32 = 15;
    let rng = Rng::seeded(8);
    let id = registered(&store, "ada@example.com", &rng).await.id;
    let (web, jwt) = (app("web"), Method::Jwt);
    let answered = Arc::new(AtomicU32::new(0));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (store, answered, web) = (Arc::clone(&store), Arc::clone(&answered), web.clone());
            tokio::spawn(async move {
                while answered.load(Ordering::SeqCst) < ENDS {
                    let known = answered.load(Ordering::SeqCst);
                    let read = store.standing(id, &web, jwt, None).await.unwrap().expect("it is there").account.epoch.0;
                    assert!(read >= known, "read {read} after {known} was answered");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for epoch in 1..=ENDS {
        let _ = store.end(&[(EndRequest::Account(id), NOW + MINUTE)], NOW).await.unwrap();
        answered.store(epoch, Ordering::SeqCst);
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let _ = store.end(&[(EndRequest::App(web.clone(), None), NOW + MINUTE)], NOW).await.unwrap();
    let standing = store.standing(id, &web, jwt, None).await.unwrap().expect("it is there");
    assert_eq!((standing.app_epoch, standing.app_cut), (Epoch(1), Epoch(1)));
    // Given up as soon as it was begun: it may be done or not, but not half.
    let abandoned = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { change(&store, id, AccountChange::State(AccountState::Disabled)).await })
    };
    tokio::task::yield_now().await;
    abandoned.abort();
    let _ = abandoned.await;
    // Behind it in the store's order.
    change(&store, id, AccountChange::Password(hash(OTHER_HASH))).await.expect("it is there");
    let stored = store.account(id).await.unwrap().expect("it is there").account;
    assert_eq!(store.standing(id, &web, jwt, None).await.unwrap().expect("it is there").account, stored);
}

pub(super) async fn a_rehash_never_undoes_a_change_of_password(store: Store) {
    let rng = Rng::seeded(5);
    let account = registered(&store, "ada@example.com", &rng).await;
    change(&store, account.id, AccountChange::Password(hash(OTHER_HASH))).await.expect("it is there");
    let stale = AccountChange::Rehash { from: hash(HASH), to: hash(HASH) };
    assert_eq!(change(&store, account.id, stale).await, None);
    assert_eq!(store.account(account.id).await.unwrap().expect("it is there").password, Some(hash(OTHER_HASH)));
}

/// F065: what was a deleted account's stays refused, whoever has the address now.
pub(super) async fn a_deleted_account_never_comes_back(store: Store) {
    let rng = Rng::seeded(6);
    let old = registered(&store, "ada@example.com", &rng).await;
    let deleted = change(&store, old.id, AccountChange::Delete).await.expect("it is there");
    assert_eq!(deleted.account, old);
    let entry = deleted.entry.expect("it ended something");
    assert_eq!(entry.end, End::Account { account: old.id, epoch: Epoch(u32::MAX) });
    let new = registered(&store, "ada@example.com", &rng).await;
    assert_ne!(new.id, old.id);
    assert_eq!(new.epoch, Epoch(0));
    assert!(store.account(old.id).await.unwrap().is_none());
    assert!(store.standing(old.id, &app("web"), Method::Session, None).await.unwrap().is_none());
    assert_eq!(store.end(&[(EndRequest::Account(old.id), NOW + MINUTE)], NOW).await.unwrap(), []);
    assert!(change(&store, old.id, AccountChange::Delete).await.is_none());
    assert_eq!(store.log_since(None, NOW).await.unwrap().entries, [entry]);
    assert_eq!(store.login("ada@example.com").await.unwrap().expect("it is there").account, new);
}

pub(super) async fn parallel_changes_each_raise_the_epoch(store: Store) {
    let rng = Rng::seeded(7);
    let id = registered(&store, "ada@example.com", &rng).await.id;
    let epochs = at_once(&store, 60, |store, n| async move {
        let entry = match n % 3 {
            0 => store.end(&[(EndRequest::Account(id), NOW + DAY)], NOW).await.map(|mut entries| entries.pop()),
            1 => store.change(id, AccountChange::Password(hash(HASH)), NOW, NOW + DAY).await.map(entry_of),
            _ => store.change(id, AccountChange::State(AccountState::Disabled), NOW, NOW + DAY).await.map(entry_of),
        };
        let entry: Result<_, StoreError> = entry;
        match entry.unwrap().expect("it ended something").end {
            End::Account { account, epoch } => (account, epoch.0),
            other => panic!("an account was ended, not {other:?}"),
        }
    })
    .await;
    let epochs: BTreeSet<_> = epochs.into_iter().collect();
    assert_eq!(epochs, (1..=60).map(|epoch| (id, epoch)).collect(), "each had its own");
    assert_eq!(store.account(id).await.unwrap().expect("it is there").account.epoch, Epoch(60));
}

fn entry_of(changed: Option<Changed>) -> Option<crate::revocation::Entry> {
    changed.and_then(|changed| changed.entry)
}
