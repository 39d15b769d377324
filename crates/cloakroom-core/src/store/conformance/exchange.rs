//! What the account port promises about exchanges.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    DAY, MINUTE, NOW, account::epoch_of, app, at_once, deletion_at, new_account, record, registered, session_id,
};
use crate::{
    account::{Account, AccountState},
    ids::{AccountId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    revocation::{End, Entry, Hold, LOG_LIFE, Since},
    session::{Record, Succession, Write},
    store::{
        AccountChange, AccountStore, Acting, Basis, EndRequest, Exchange, Exchanged, PastExchange, Records, Stores,
    },
};

type Store = Arc<dyn AccountStore>;

/// How long the lines of these exchanges are kept.
const LIFE: Duration = Duration::from_hours(24 * 30);

/// An exchange at the app `web`, which has never ended, of an account in its first epoch.
fn exchange(account: &Account, old: SessionId, successor: SessionId) -> Exchange {
    let record = Record { method: Method::Session, ..record(account.id, NOW) };
    Exchange {
        old: Acting { session: old, epoch: Epoch(0), app: app("web"), method: Method::Jwt, app_epoch: Epoch(0) },
        succession: Succession { session: successor, spent: Generation(3), record },
        hold: Hold::lasting(LIFE),
        records: Records::Elsewhere,
    }
}

async fn done(store: &Store, exchange: Exchange) -> Exchanged {
    store.exchange(exchange, Some(NOW)).await.unwrap()
}

async fn end(store: &Store, request: EndRequest) -> Vec<Entry> {
    store.end(&[(request, Hold::lasting(MINUTE))], Some(NOW)).await.unwrap()
}

async fn past(store: &Store, successor: SessionId) -> Option<PastExchange> {
    store.past_exchange(successor, Some(NOW)).await.unwrap()
}

async fn change(store: &Store, account: AccountId, change: AccountChange) {
    store.change(account, change, Hold::lasting(DAY), Some(NOW)).await.unwrap().expect("it is there");
}

pub(super) async fn an_exchange_is_one_line_that_remembers_the_successor(store: Store) {
    let rng = Rng::seeded(60);
    let ada = registered(&store, "ada@example.com", &rng).await;
    let (old, new) = (session_id(&rng), session_id(&rng));
    assert_eq!(past(&store, new).await, None);
    let asked = exchange(&ada, old, new);
    let Exchanged::Done(line) = done(&store, asked.clone()).await else { panic!("it is the first") };
    assert_eq!((line.sequence, &line.end, line.until), (1, &End::Session { session: old }, NOW + LIFE));
    let answer = store.log_since(Since::Ever, Some(NOW)).await.unwrap();
    assert_eq!(
        (answer.head.sequence, answer.entries),
        (1, vec![line]),
        "verifiers are told that the old one has ended"
    );
    let known = past(&store, new).await.expect("the log remembers it");
    assert_eq!((&known.succession, known.ended), (&asked.succession, false));
    assert!(known.age < MINUTE);
    assert_eq!(past(&store, old).await, None, "the old one came from nowhere");
    let standing = async |session| {
        let standing = store.standing(ada.id, &app("web"), Method::Session, Some(session)).await.unwrap();
        standing.expect("it is there").ended
    };
    assert!(standing(old).await && !standing(new).await);
    // Asked again it is the same, whatever became of account and app.
    change(&store, ada.id, AccountChange::State(AccountState::Disabled)).await;
    let Exchanged::Before(again) = done(&store, asked.clone()).await else { panic!("it was done") };
    assert_eq!((again.succession, again.ended), (asked.succession, false));
    assert_eq!(store.log_head().await.unwrap().sequence, 2);
}

pub(super) async fn an_exchange_loses_against_what_was_not_read(store: Store) {
    let rng = Rng::seeded(61);
    let ended = session_id(&rng);
    let ada = registered(&store, "ada@example.com", &rng).await;
    for hold in [Duration::ZERO, DAY * 400] {
        let _ = store.end(&[(EndRequest::Session(ended), Hold::lasting(hold))], Some(NOW)).await.unwrap();
        let refused = done(&store, exchange(&ada, ended, session_id(&rng))).await;
        assert_eq!(refused, Exchanged::Ended, "however long its end is held");
    }
    for lost in [AccountChange::State(AccountState::Disabled), AccountChange::Delete(Basis::Operator)] {
        let eve = registered(&store, "eve@example.com", &rng).await;
        change(&store, eve.id, lost).await;
        let raised = store.account(eve.id).await.unwrap().map_or(Epoch(0), |login| login.account.epoch);
        for epoch in [Epoch(0), raised] {
            let mut asked = exchange(&eve, session_id(&rng), session_id(&rng));
            asked.old.epoch = epoch;
            assert_eq!(done(&store, asked).await, Exchanged::Changed);
        }
        let gone = AccountChange::Delete(Basis::Operator);
        let _ = store.change(eve.id, gone, Hold::lasting(DAY), Some(NOW)).await.unwrap();
    }
    let mut asked = exchange(&ada, session_id(&rng), session_id(&rng));
    // R7: an end of the old method, and of all.
    for method in [Some(Method::Jwt), None] {
        let entries = end(&store, EndRequest::App(app("web"), method)).await;
        assert_eq!(done(&store, asked.clone()).await, Exchanged::Changed, "{method:?}");
        asked.old.app_epoch = epoch_of(&entries[0]);
    }
    let entries = end(&store, EndRequest::Account(ada.id, Basis::Operator)).await;
    assert_eq!(done(&store, asked.clone()).await, Exchanged::Changed);
    let before = store.log_head().await.unwrap().sequence;
    asked.old.epoch = epoch_of(&entries[0]);
    assert!(matches!(done(&store, asked).await, Exchanged::Done(_)));
    assert_eq!(store.log_head().await.unwrap().sequence, before + 1, "what is refused writes nothing");
}

/// R16: whoever ends a session ends what took its place, and the place of that.
pub(super) async fn an_end_follows_what_took_a_sessions_place(store: Store) {
    let rng = Rng::seeded(62);
    let ada = registered(&store, "ada@example.com", &rng).await;
    let chain: Vec<_> = (0..4).map(|_| session_id(&rng)).collect();
    for link in chain.windows(2) {
        assert!(matches!(done(&store, exchange(&ada, link[0], link[1])).await, Exchanged::Done(_)));
    }
    assert!(past(&store, chain[1]).await.expect("it was exchanged").ended, "an exchange ends a session too");
    assert!(!past(&store, chain[3]).await.expect("it lives").ended);
    let other = session_id(&rng);
    let requests = [chain[1], other, chain[0]].map(|id| (EndRequest::Session(id), Hold::lasting(MINUTE)));
    let entries = store.end(&requests, Some(NOW)).await.unwrap();
    let named: Vec<_> = entries.iter().map(|entry| entry.end.clone()).collect();
    let expected = [chain[1], chain[2], chain[3], other, chain[0], chain[1], chain[2], chain[3]];
    assert_eq!(named, expected.map(|session| End::Session { session }));
    assert_eq!(entries[2].until, NOW + LIFE, "what has no record can live as long as the line that names it is kept");
    assert_eq!(store.log_head().await.unwrap().sequence, 3 + 2, "what has ended is not written again");
    assert!(past(&store, chain[3]).await.expect("the log remembers it").ended);
    // There is no way back.
    let Exchanged::Before(before) = done(&store, exchange(&ada, chain[2], chain[3])).await else {
        panic!("it was done")
    };
    assert!(before.ended);
    assert_eq!(done(&store, exchange(&ada, chain[3], session_id(&rng))).await, Exchanged::Ended);
}

pub(super) async fn an_exchange_is_remembered_for_as_long_as_its_successor_can_live(store: Store) {
    let rng = Rng::seeded(63);
    let ada = registered(&store, "ada@example.com", &rng).await;
    let (old, new) = (session_id(&rng), session_id(&rng));
    assert!(matches!(done(&store, exchange(&ada, old, new)).await, Exchanged::Done(_)));
    assert_eq!(store.prune_log(deletion_at(NOW + LIFE), 10).await.unwrap(), 0);
    assert_eq!(end(&store, EndRequest::Session(old)).await.len(), 2);
    assert_eq!(store.prune_log(deletion_at(NOW + LIFE + LOG_LIFE), 10).await.unwrap(), 2);
    assert_eq!(past(&store, new).await, None);
}

/// R16: of all that ask at once one is done, and an end beside them leaves nothing alive.
pub(super) async fn an_exchange_beside_others_and_an_end_is_done_once_or_not_at_all(store: Store) {
    let rng = Rng::seeded(64);
    let ada = registered(&store, "ada@example.com", &rng).await;
    for round in 0..12 {
        let (old, new) = (session_id(&rng), session_id(&rng));
        let asked = exchange(&ada, old, new);
        // In every third round nothing ends, and else it does in the midst.
        let ender = (round % 3 > 0).then_some(round % 8);
        let answers = at_once(&store, 8, move |store, n| {
            let asked = asked.clone();
            async move {
                if Some(n) == ender {
                    assert!(!end(&store, EndRequest::Session(old)).await.is_empty());
                    return None;
                }
                Some(done(&store, asked).await)
            }
        })
        .await;
        let count = |is: fn(&Exchanged) -> bool| answers.iter().flatten().filter(|done| is(done)).count();
        let firsts = count(|done| matches!(done, Exchanged::Done(_)));
        assert_eq!(count(|done| *done == Exchanged::Changed), 0);
        assert!(
            firsts == 1 && count(|done| *done == Exchanged::Ended) == 0 || firsts == 0 && ender.is_some(),
            "{answers:?}"
        );
        let known = past(&store, new).await;
        assert_eq!(known.is_some(), firsts == 1);
        assert!(
            ender.is_none() || known.is_none_or(|known| known.ended),
            "an end was acknowledged, and its successor lives"
        );
    }
}

/// Any exchanges and ends, in any order, do what the promise says: a session is exchanged once and only while it lives, and
/// lives until it, or anything that it came from, is ended.
pub(super) async fn any_exchanges_and_ends_leave_alive_what_should_be(store: Store) {
    let rng = Rng::seeded(65);
    let ada = registered(&store, "ada@example.com", &rng).await;
    let mut ids: Vec<_> = (0..20).map(|_| session_id(&rng)).collect();
    // What each was exchanged for, and which have ended.
    let (mut next, mut ended) = (HashMap::new(), HashSet::new());
    for _ in 0..120 {
        let picked = ids[rng.below(ids.len() as u64) as usize];
        if rng.below(4) == 0 {
            assert!(!end(&store, EndRequest::Session(picked)).await.is_empty());
            let mut session = Some(picked);
            while let Some(id) = session {
                ended.insert(id);
                session = next.get(&id).copied();
            }
            continue;
        }
        let (new, lives) = (session_id(&rng), !ended.contains(&picked));
        let exchanged = done(&store, exchange(&ada, picked, new)).await;
        assert_eq!(matches!(exchanged, Exchanged::Done(_)), lives);
        assert!(lives || exchanged == Exchanged::Ended);
        if lives {
            ended.insert(picked);
            next.insert(picked, new);
            ids.push(new);
        }
    }
    for successor in next.values() {
        let known = past(&store, *successor).await.expect("the log remembers it");
        assert_eq!(known.ended, ended.contains(successor));
    }
}

/// In one database the old record goes and the new one comes with the line, and both go with an end.
pub(super) async fn records_go_and_come_with_the_line(stores: &Stores) {
    let rng = Rng::seeded(66);
    let new = new_account("exchange@example.com", &rng);
    let account = new.account.clone();
    let _ = stores.accounts.create(new).await.unwrap();
    for method in Method::ALL {
        let (old, new) = (session_id(&rng), session_id(&rng));
        let _ = stores.sessions.write(old, Write::Create(record(account.id, NOW))).await.unwrap();
        let mut asked = Exchange { records: Records::Here, ..exchange(&account, old, new) };
        asked.succession.record.method = method;
        let mut refused = asked.clone();
        refused.old.epoch = Epoch(7);
        assert_eq!(stores.accounts.exchange(refused, Some(NOW)).await.unwrap(), Exchanged::Changed);
        assert!(stores.sessions.read(old).await.unwrap().is_some());
        let expected = method.keeps_record().then(|| asked.succession.record.clone());
        assert!(matches!(stores.accounts.exchange(asked.clone(), Some(NOW)).await.unwrap(), Exchanged::Done(_)));
        assert_eq!(
            (stores.sessions.read(old).await.unwrap(), stores.sessions.read(new).await.unwrap()),
            (None, expected)
        );
        assert_eq!(
            stores.accounts.end(&[(EndRequest::Session(old), Hold::lasting(DAY))], Some(NOW)).await.unwrap().len(),
            2
        );
        assert_eq!(stores.sessions.read(new).await.unwrap(), None);
        assert!(
            matches!(stores.accounts.exchange(asked, Some(NOW)).await.unwrap(), Exchanged::Before(past) if past.ended)
        );
        assert_eq!(stores.sessions.read(new).await.unwrap(), None, "a repeat makes nothing");
    }
}
