//! What durable stores promise beyond the rest, and stores that are both in one database.

use std::sync::Arc;

use super::{
    DAY, HASH, MINUTE, NOW, OTHER_HASH, account::epoch_of, account_id, app, exchange, hash, key, log::said,
    new_account, password, record, registered, session_id,
};
use crate::{
    account::AccountState,
    audit::{Event, Filter, Kind, Origin},
    ids::{Epoch, Generation},
    key::Purpose,
    method::Method,
    random::Rng,
    revocation::{Hold, Since},
    session::{Write, Written},
    store::{AccountChange, AccountStore, Acting, Basis, EndRequest, KeyChange, SessionStore, Stores},
};

/// F125: what a session store has acknowledged is there after a restart. `open` opens the same store each time, which was
/// dropped before.
///
/// # Panics
/// When it is not.
pub async fn sessions_last<S: SessionStore>(open: impl AsyncFn() -> S) {
    let rng = Rng::seeded(50);
    let account = account_id(&rng);
    let ids: Vec<_> = (0..20).map(|_| session_id(&rng)).collect();
    let store = open().await;
    for id in &ids {
        let _ = store.write(*id, Write::Create(record(account, NOW))).await.unwrap();
    }
    for id in &ids[..15] {
        let rotate = Write::Rotate {
            from: Generation(0),
            to: Generation(1),
            at: Some(NOW + MINUTE),
            active: Some(NOW + MINUTE),
        };
        assert!(matches!(store.write(*id, rotate).await.unwrap(), Written::Done(Some(_))));
    }
    for id in &ids[..10] {
        let _ = store.write(*id, Write::CarryOver { from: Epoch(0), to: Epoch(1) }).await.unwrap();
    }
    for id in &ids[..5] {
        assert_eq!(store.write(*id, Write::Delete).await.unwrap(), Written::Done(None));
    }
    drop(store);
    let store = open().await;
    for (n, id) in ids.iter().enumerate() {
        let found = store.read(*id).await.unwrap().map(|record| (record.epoch.0, record.generation.0));
        let expected = match n {
            0..5 => None,
            5..10 => Some((1, 1)),
            10..15 => Some((0, 1)),
            _ => Some((0, 0)),
        };
        assert_eq!(found, expected, "session {n}");
    }
    assert_eq!(store.list(account, None, 100).await.unwrap().len(), 15);
}

/// F125: what an account store has acknowledged is there after a restart, and its log goes on where it was.
///
/// # Panics
/// When it is not.
pub async fn accounts_last<S: AccountStore>(open: impl AsyncFn() -> S) {
    let open = async || Arc::new(open().await) as Arc<dyn AccountStore>;
    let rng = Rng::seeded(51);
    let session = session_id(&rng);
    let store = open().await;
    let installation = store.installation().await.unwrap();
    let ada = registered(&store, "ada@example.com", &rng).await;
    let gone = registered(&store, "gone@example.com", &rng).await;
    let state = AccountChange::State(AccountState::Disabled);
    for (id, change) in
        [(ada.id, password(hash(OTHER_HASH))), (ada.id, state), (gone.id, AccountChange::Delete(Basis::Operator))]
    {
        store.change(id, change, Hold::lasting(DAY), Some(NOW)).await.unwrap().expect("it is there");
    }
    let key = key::key("k1", Purpose::Mac, 1);
    let kid = key.kid;
    assert!(key::change(&store, KeyChange::Add(key)).await.is_some());
    let ends =
        [(EndRequest::Session(session), Hold::lasting(DAY)), (EndRequest::App(app("web"), None), Hold::lasting(DAY))];
    let ended = store.end(&ends, Some(NOW)).await.unwrap();
    assert_eq!(ended.len(), 2);
    let next = Some(key::key("k2", Purpose::Mac, 2));
    let kill = KeyChange::Kill { kids: vec![kid], hold: Hold::lasting(DAY), next };
    assert_eq!(key::change(&store, kill).await.map(|entries| entries.len()), Some(1));
    let disabled = store.account(ada.id).await.unwrap().expect("it is there").account.epoch;
    let event = Event {
        at: NOW,
        kind: Kind::SignedIn,
        account: Some(ada.id),
        session: Some(session),
        app: Some(app("web")),
        origin: Origin::default(),
        reason: None,
        detail: None,
    };
    store.audit(&[event]).await.unwrap();
    let before = (said(store.log_since(Since::Ever, Some(NOW)).await.unwrap()), store.keys().await.unwrap());
    let audit = store.audit_page(&Filter::default(), 10).await.unwrap();
    drop(store);

    let store = open().await;
    assert_eq!(store.installation().await.unwrap(), installation);
    assert_eq!((said(store.log_since(Since::Ever, Some(NOW)).await.unwrap()), store.keys().await.unwrap()), before);
    assert_eq!(before.0.2.len(), 6);
    assert_eq!(store.audit_page(&Filter::default(), 10).await.unwrap(), audit);
    let login = store.login("ada@example.com").await.unwrap().expect("it is there");
    assert_eq!((login.account.state, login.account.epoch), (AccountState::Disabled, disabled));
    assert_eq!(login.password, Some(hash(OTHER_HASH)));
    assert!(store.account(gone.id).await.unwrap().is_none());
    let standing = store.standing(ada.id, &app("web"), Method::Session, None).await.unwrap().expect("it is there");
    assert_eq!((standing.app_epoch, standing.app_cut), (epoch_of(&ended[1]), epoch_of(&ended[1])));
    let next = store.end(&[(EndRequest::Session(session_id(&rng)), Hold::lasting(DAY))], Some(NOW)).await.unwrap();
    assert_eq!(next[0].sequence, 7);
    assert_eq!(store.log_since(Since::Line(before.0.0), Some(NOW)).await.unwrap().entries, next, "the log goes on");
}

/// R27: both stores in one database ([`Stores::end_deletes`]): an end is one transaction with what it ends, and ending all
/// others one with carrying over who asks.
///
/// # Panics
/// When it is not.
pub async fn one_database(stores: Stores) {
    assert!(stores.end_deletes);
    let rng = Rng::seeded(52);
    let (ada, eve) = (new_account("ada@example.com", &rng), new_account("eve@example.com", &rng));
    let mut ids = Vec::new();
    for new in [&ada, &eve] {
        let _ = stores.accounts.create(new.clone()).await.unwrap();
        for _ in 0..3 {
            let id = session_id(&rng);
            let _ = stores.sessions.write(id, Write::Create(record(new.account.id, NOW))).await.unwrap();
            ids.push(id);
        }
    }
    stores.accounts.end(&[(EndRequest::Session(ids[0]), Hold::lasting(DAY))], Some(NOW)).await.unwrap();
    assert_eq!(stores.sessions.read(ids[0]).await.unwrap(), None);
    assert!(stores.sessions.read(ids[1]).await.unwrap().is_some());

    // 'All others': the account's records stay, and the one that asked goes on in the new epoch, in the same transaction.
    let acting =
        |epoch| Acting { session: ids[1], epoch, app: app("web"), method: Method::Session, app_epoch: Epoch(0) };
    let others = |epoch| EndRequest::Others(ada.account.id, acting(epoch));
    let ended = stores.accounts.end(&[(others(Epoch(0)), Hold::lasting(DAY))], Some(NOW)).await.unwrap();
    let raised = epoch_of(&ended[0]);
    let of = async |id| stores.sessions.read(id).await.unwrap().expect("it is there").epoch;
    assert_eq!((of(ids[1]).await, of(ids[2]).await), (raised, Epoch(0)));
    // Two in one batch, of which the second went by what the first has changed.
    let both = [(others(raised), Hold::lasting(DAY)), (others(raised), Hold::lasting(DAY))];
    let ended = stores.accounts.end(&both, Some(NOW)).await.unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!(of(ids[1]).await, epoch_of(&ended[0]));

    let change = password(hash(HASH));
    stores.accounts.change(ada.account.id, change, Hold::lasting(DAY), Some(NOW)).await.unwrap().expect("it is there");
    assert!(stores.sessions.read(ids[1]).await.unwrap().is_some());

    let deleted = stores
        .accounts
        .change(ada.account.id, AccountChange::Delete(Basis::Operator), Hold::lasting(DAY), Some(NOW))
        .await
        .unwrap();
    deleted.expect("it is there");
    assert_eq!(stores.sessions.list(ada.account.id, None, 10).await.unwrap(), []);
    assert_eq!(stores.sessions.list(eve.account.id, None, 10).await.unwrap().len(), 3);
    exchange::records_go_and_come_with_the_line(&stores).await;
}
