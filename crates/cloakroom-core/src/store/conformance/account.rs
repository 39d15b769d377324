//! What the account port promises about accounts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use super::{DAY, HASH, MINUTE, NOW, OTHER_HASH, app, at_once, hash, new_account, password, registered, session_id};
use crate::{
    account::AccountState,
    ids::{AccountId, Epoch, SessionId},
    method::Method,
    random::Rng,
    revocation::{End, Entry, Hold, Since},
    store::{AccountChange, AccountStore, Acting, Basis, Changed, Creation, EndRequest, StoreError},
};

type Store = Arc<dyn AccountStore>;

async fn change(store: &Store, id: AccountId, change: AccountChange) -> Option<Changed> {
    store.change(id, change, Hold::lasting(MINUTE), Some(NOW)).await.unwrap()
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
    assert!(change(&store, nobody, AccountChange::Delete(Basis::Operator)).await.is_none());
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
        (password(hash(OTHER_HASH)), AccountState::Active, true),
        (AccountChange::Rehash { from: hash(OTHER_HASH), to: hash(HASH) }, AccountState::Active, false),
        (AccountChange::State(AccountState::Disabled), AccountState::Disabled, true),
        (AccountChange::State(AccountState::Active), AccountState::Active, false),
        (AccountChange::State(AccountState::Disabled), AccountState::Disabled, true),
    ];
    let (mut logged, mut epoch) = (Vec::new(), Epoch(0));
    for (step, state, ends) in steps {
        let changed = change(&store, account.id, step.clone()).await.expect("it is there");
        assert_eq!(changed.account.state, state, "{step:?}");
        assert_eq!((changed.entry.is_some(), changed.account.epoch > epoch), (ends, ends), "{step:?}");
        epoch = changed.account.epoch;
        if let Some(entry) = changed.entry {
            assert_eq!(entry.end, End::Account { account: account.id, epoch });
            assert_eq!(entry.until, NOW + MINUTE);
            logged.push(entry);
        }
        let standing = store.standing(account.id, &app("web"), Method::Jwt, None).await.unwrap().expect("it is there");
        assert_eq!(standing.account, changed.account);
    }
    assert_eq!(store.account(account.id).await.unwrap().expect("it is there").password, Some(hash(HASH)));
    assert_eq!(store.log_since(Since::Line(before), Some(NOW)).await.unwrap().entries, logged);
    assert_eq!(store.account(other.id).await.unwrap().expect("it is there").account, other, "others are left alone");
}

/// Whoever reads after a change was answered reads the change, whatever is kept in memory; also one that nobody waited for.
pub(super) async fn a_standing_is_never_older_than_a_change_that_was_answered(store: Store) {
    const ENDS: u32 = 15;
    let rng = Rng::seeded(8);
    let id = registered(&store, "ada@example.com", &rng).await.id;
    let (web, jwt) = (app("web"), Method::Jwt);
    let (answered, over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (store, answered, web) = (Arc::clone(&store), Arc::clone(&answered), web.clone());
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let known = answered.load(Ordering::SeqCst);
                    let read = store.standing(id, &web, jwt, None).await.unwrap().expect("it is there").account.epoch.0;
                    assert!(read >= known, "read {read} after {known} was answered");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for _ in 0..ENDS {
        let ended =
            store.end(&[(EndRequest::Account(id, Basis::Operator), Hold::lasting(MINUTE))], Some(NOW)).await.unwrap();
        answered.store(epoch_of(&ended[0]).0, Ordering::SeqCst);
    }
    over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    let ended = store.end(&[(EndRequest::App(web.clone(), None), Hold::lasting(MINUTE))], Some(NOW)).await.unwrap();
    let standing = store.standing(id, &web, jwt, None).await.unwrap().expect("it is there");
    assert_eq!((standing.app_epoch, standing.app_cut), (epoch_of(&ended[0]), epoch_of(&ended[0])));
    // Given up as soon as it was begun: it may be done or not, but not half.
    let abandoned = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { change(&store, id, AccountChange::State(AccountState::Disabled)).await })
    };
    tokio::task::yield_now().await;
    abandoned.abort();
    let _ = abandoned.await;
    // Behind it in the store's order.
    change(&store, id, password(hash(OTHER_HASH))).await.expect("it is there");
    let stored = store.account(id).await.unwrap().expect("it is there").account;
    assert_eq!(store.standing(id, &web, jwt, None).await.unwrap().expect("it is there").account, stored);
}

pub(super) async fn a_rehash_never_undoes_a_change_of_password(store: Store) {
    let rng = Rng::seeded(5);
    let account = registered(&store, "ada@example.com", &rng).await;
    change(&store, account.id, password(hash(OTHER_HASH))).await.expect("it is there");
    let stale = AccountChange::Rehash { from: hash(HASH), to: hash(HASH) };
    assert_eq!(change(&store, account.id, stale).await, None);
    assert_eq!(store.account(account.id).await.unwrap().expect("it is there").password, Some(hash(OTHER_HASH)));
}

/// F065: what was a deleted account's stays refused, whoever has the address now.
pub(super) async fn a_deleted_account_never_comes_back(store: Store) {
    let rng = Rng::seeded(6);
    let old = registered(&store, "ada@example.com", &rng).await;
    let deleted = change(&store, old.id, AccountChange::Delete(Basis::Operator)).await.expect("it is there");
    assert_eq!(deleted.account, old);
    let entry = deleted.entry.expect("it ended something");
    assert_eq!(entry.end, End::Account { account: old.id, epoch: Epoch::DELETED });
    let new = registered(&store, "ada@example.com", &rng).await;
    assert_ne!(new.id, old.id);
    assert_eq!(new.epoch, Epoch(0));
    assert!(store.account(old.id).await.unwrap().is_none());
    assert!(store.standing(old.id, &app("web"), Method::Session, None).await.unwrap().is_none());
    assert_eq!(
        store.end(&[(EndRequest::Account(old.id, Basis::Operator), Hold::lasting(MINUTE))], Some(NOW)).await.unwrap(),
        []
    );
    assert!(change(&store, old.id, AccountChange::Delete(Basis::Operator)).await.is_none());
    assert_eq!(store.log_since(Since::Ever, Some(NOW)).await.unwrap().entries, [entry]);
    assert_eq!(store.login("ada@example.com").await.unwrap().expect("it is there").account, new);
}

pub(super) async fn parallel_changes_each_raise_the_epoch(store: Store) {
    let rng = Rng::seeded(7);
    let id = registered(&store, "ada@example.com", &rng).await.id;
    let epochs = at_once(&store, 60, |store, n| async move {
        let entry = match n % 3 {
            0 => store
                .end(&[(EndRequest::Account(id, Basis::Operator), Hold::lasting(DAY))], Some(NOW))
                .await
                .map(|mut entries| entries.pop()),
            1 => store.change(id, password(hash(HASH)), Hold::lasting(DAY), Some(NOW)).await.map(entry_of),
            _ => store
                .change(id, AccountChange::State(AccountState::Disabled), Hold::lasting(DAY), Some(NOW))
                .await
                .map(entry_of),
        };
        let entry: Result<_, StoreError> = entry;
        let entry = entry.unwrap().expect("it ended something");
        (entry.sequence, epoch_of(&entry))
    })
    .await;
    let by_line: BTreeMap<_, _> = epochs.into_iter().collect();
    let in_order: Vec<_> = by_line.into_values().collect();
    assert!(in_order.len() == 60 && in_order.is_sorted_by(|a, b| a < b), "each had its own: {in_order:?}");
    assert_eq!(store.account(id).await.unwrap().expect("it is there").account.epoch, in_order[59]);
}

/// R2, R3, R17: a change is done only while what it goes by stands, and one that lost leaves no trace.
pub(super) async fn a_change_goes_by_what_was_read(store: Store) {
    let rng = Rng::seeded(9);
    let web = app("web");
    let acting =
        |epoch, app_epoch, session| Acting { session, epoch, app: web.clone(), method: Method::Session, app_epoch };
    // Each makes something else of what was read; the last nothing.
    for read_is in ["raised", "disabled", "enabled again", "ended", "ended with its app", "as it was"] {
        for act in ["end another", "end everything", "end the others", "change the password", "delete"] {
            let account = registered(&store, &format!("{}@example.com", session_id(&rng)), &rng).await;
            let session = session_id(&rng);
            let standing = store.standing(account.id, &web, Method::Session, None).await.unwrap().expect("it is there");
            let acting = acting(account.epoch, standing.app_epoch, session);
            let operator = async |end| store.end(&[(end, Hold::lasting(MINUTE))], Some(NOW)).await;
            match read_is {
                "raised" => drop(operator(EndRequest::Account(account.id, Basis::Operator)).await.unwrap()),
                "ended" => drop(operator(EndRequest::Session(session)).await.unwrap()),
                "ended with its app" => drop(operator(EndRequest::App(web.clone(), None)).await.unwrap()),
                "as it was" => {}
                state => {
                    change(&store, account.id, AccountChange::State(AccountState::Disabled))
                        .await
                        .expect("it is there");
                    if state == "enabled again" {
                        let enable = AccountChange::State(AccountState::Active);
                        change(&store, account.id, enable).await.expect("it is there");
                    }
                }
            }
            let (head, before) = (store.log_head().await.unwrap(), store.account(account.id).await.unwrap());
            let basis = Basis::Session(acting.clone());
            let done = match act {
                "end another" => {
                    !operator(EndRequest::Another(session_id(&rng), account.id, acting)).await.unwrap().is_empty()
                }
                "end everything" => !operator(EndRequest::Account(account.id, basis)).await.unwrap().is_empty(),
                "end the others" => !operator(EndRequest::Others(account.id, acting)).await.unwrap().is_empty(),
                "change the password" => {
                    let password = AccountChange::Password { basis, to: hash(OTHER_HASH) };
                    change(&store, account.id, password).await.is_some()
                }
                _ => change(&store, account.id, AccountChange::Delete(basis)).await.is_some(),
            };
            assert_eq!(done, read_is == "as it was", "{act} by a session whose account or end is {read_is}");
            let after = store.account(account.id).await.unwrap();
            if done {
                assert_eq!(store.log_head().await.unwrap().sequence, head.sequence + 1);
            } else {
                assert_eq!(store.log_head().await.unwrap(), head, "{act}, {read_is}");
                let said = |login: Option<crate::store::Login>| login.map(|login| (login.account, login.password));
                assert_eq!(said(after), said(before), "{act}, {read_is}");
            }
        }
    }
}

/// R3, R17: of two who act at once by the same reading, one wins.
pub(super) async fn one_of_many_who_read_the_same_wins(store: Store) {
    let rng = Rng::seeded(10);
    let account = registered(&store, "ada@example.com", &rng).await;
    let id = account.id;
    let done = at_once(&store, 40, move |store, n| async move {
        let proof = Basis::Proof(Epoch(0));
        match n % 4 {
            0 => store.end(&[(EndRequest::Account(id, proof), Hold::lasting(DAY))], Some(NOW)).await.unwrap().len(),
            1 => {
                let session = SessionId::from_bytes([n as u8; 16]);
                let (app, method) = (app("web"), Method::Session);
                let acting = Acting { session, epoch: Epoch(0), app, method, app_epoch: Epoch(0) };
                store.end(&[(EndRequest::Others(id, acting), Hold::lasting(DAY))], Some(NOW)).await.unwrap().len()
            }
            _ => {
                let change = AccountChange::Password { basis: proof, to: hash(OTHER_HASH) };
                usize::from(store.change(id, change, Hold::lasting(DAY), Some(NOW)).await.unwrap().is_some())
            }
        }
    })
    .await;
    assert_eq!(done.into_iter().sum::<usize>(), 1);
    assert_eq!(store.log_head().await.unwrap().sequence, 1);
}

/// R14: an epoch is at least the store's time in seconds, so that a store which lost a raise does not give its number again.
pub(super) async fn an_epoch_is_no_less_than_the_store_s_time(store: Store) {
    let rng = Rng::seeded(11);
    let account = registered(&store, "ada@example.com", &rng).await;
    let ends = [
        (EndRequest::Account(account.id, Basis::Operator), Hold::lasting(DAY)),
        (EndRequest::App(app("web"), None), Hold::lasting(DAY)),
        (EndRequest::Account(account.id, Basis::Operator), Hold::lasting(DAY)),
    ];
    let epochs: Vec<_> = store.end(&ends, Some(NOW)).await.unwrap().iter().map(epoch_of).collect();
    for epoch in &epochs {
        assert!((NOW.secs()..NOW.secs() + 10).contains(&u64::from(epoch.0)), "{epoch:?} at {NOW:?}");
    }
    assert!(epochs[2] > epochs[0]);
    let password = change(&store, account.id, password(hash(OTHER_HASH))).await.expect("it is there");
    assert!(password.account.epoch > epochs[2]);
}

/// The epoch that a line tells of an account or an app.
pub(super) fn epoch_of(entry: &Entry) -> Epoch {
    match &entry.end {
        End::Account { epoch, .. } | End::App { epoch, .. } => *epoch,
        other => panic!("an account or an app was ended, not {other:?}"),
    }
}

fn entry_of(changed: Option<Changed>) -> Option<crate::revocation::Entry> {
    changed.and_then(|changed| changed.entry)
}
