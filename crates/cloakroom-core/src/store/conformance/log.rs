//! What the account port promises about the revocation log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    DAY, MINUTE, NOW, account::epoch_of, account_id, app, at_once, deletion_at, hash, key, password, registered,
    session_id,
};
use crate::{
    clock::{Boot, Timestamp},
    ids::{AccountId, Epoch, Kid, SessionId},
    key::Purpose,
    method::Method,
    random::Rng,
    revocation::{
        Answer, End, Entry, Heard, Hold, Incarnation, LOG_LIFE, PAGE, Position, Since, VERIFIERS_HOLD, Vigil,
    },
    store::{AccountStore, Basis, EndRequest, KeyChange},
};

type Store = Arc<dyn AccountStore>;

async fn end(store: &Store, request: EndRequest, hold: Duration) -> Option<Entry> {
    let mut entries = store.end(&[(request, Hold::lasting(hold))], Some(NOW)).await.unwrap();
    assert!(entries.len() <= 1);
    entries.pop()
}

async fn end_session(store: &Store, id: SessionId, hold: Duration) -> Entry {
    end(store, EndRequest::Session(id), hold).await.expect("any session can be ended")
}

async fn end_session_at(store: &Store, id: SessionId, at: Timestamp) -> Entry {
    let mut entries = store.end(&[(EndRequest::Session(id), Hold::NOTED)], Some(at)).await.unwrap();
    entries.pop().expect("any session can be ended")
}

/// What an answer says of the log, without the moment at which it was given.
pub(super) fn said(answer: Answer) -> (Position, bool, Vec<Entry>) {
    (answer.head, answer.snapshot, answer.entries)
}

async fn since(store: &Store, after: Option<Position>, now: Timestamp) -> Answer {
    store.log_since(after.into(), Some(now)).await.unwrap()
}

pub(super) async fn what_ends_stands_in_the_log(store: Store) {
    let rng = Rng::seeded(20);
    let account = registered(&store, "ada@example.com", &rng).await.id;
    let session = session_id(&rng);
    let key = key::key("k1", Purpose::Mac, 1);
    let kid = key.kid;
    assert!(key::change(&store, KeyChange::Add(key)).await.is_some());
    let requests = [
        (EndRequest::Session(session), Hold::lasting(MINUTE)),
        (EndRequest::Account(account_id(&rng), Basis::Operator), Hold::lasting(MINUTE)),
        (EndRequest::Account(account, Basis::Operator), Hold::lasting(MINUTE * 2)),
        (EndRequest::App(app("web"), Some(Method::Jwt)), Hold::lasting(MINUTE)),
    ];
    let mut entries = store.end(&requests, Some(NOW)).await.unwrap();
    let kids = vec![Kid::parse("none").expect("it is a name"), kid];
    let kill = KeyChange::Kill { kids, hold: Hold::lasting(MINUTE + DAY), next: None };
    entries.extend(key::change(&store, kill).await.expect("nobody else changes the keys"));
    let until = NOW + MINUTE;
    let expected = [
        (End::Session { session }, until),
        (End::Account { account, epoch: epoch_of(&entries[1]) }, until + MINUTE),
        (End::App { app: app("web"), method: Some(Method::Jwt), epoch: epoch_of(&entries[2]) }, until),
        (End::Key { kid }, until + DAY),
    ];
    let line = |((end, until), sequence)| Entry { sequence, end, at: Some(NOW), until };
    let expected: Vec<_> = expected.into_iter().zip(1..).map(line).collect();
    assert_eq!(entries, expected, "unknown accounts and keys are left out, and leave no gap");
    assert_eq!(store.log_head().await.unwrap().sequence, 4);
    let answer = since(&store, None, NOW).await;
    assert_eq!((answer.snapshot, answer.entries), (true, expected));
    let epoch = store.account(account).await.unwrap().expect("it is there").account.epoch;
    assert!(epoch > Epoch(0) && epoch == epoch_of(&entries[1]));
    assert_eq!(store.keys().await.unwrap().rows[0].killed, Some(NOW));
    assert_eq!(store.end(&[], Some(NOW)).await.unwrap(), []);
}

/// R19, R22: a line says when it was written by the store's clock and is held from then on; no server's clock has a say.
pub(super) async fn a_line_goes_by_the_stores_time(store: Store) {
    let rng = Rng::seeded(27);
    let account = registered(&store, "ada@example.com", &rng).await.id;
    let requests = [EndRequest::Session(session_id(&rng)), EndRequest::Account(account, Basis::Operator)];
    let before = store.log_since(Since::Ever, None).await.unwrap().time;
    let mut entries = store.end(&requests.map(|request| (request, Hold::lasting(MINUTE))), None).await.unwrap();
    let change = password(hash(super::HASH));
    let changed = store.change(account, change, Hold::lasting(MINUTE), None).await.unwrap();
    entries.extend(changed.and_then(|changed| changed.entry));
    let (keys, key) = (store.keys().await.unwrap(), key::key("k1", Purpose::Mac, 1));
    let kill = KeyChange::Kill { kids: vec![key.kid], hold: Hold::lasting(MINUTE), next: Some(key) };
    entries.extend(store.change_keys(&keys.stamp, kill, None).await.unwrap().expect("they are the same"));
    assert_eq!(entries.len(), 4);
    let mut last = before;
    for entry in &entries {
        let at = entry.at.expect("its store wrote it");
        assert!(last <= at && entry.until == at + MINUTE, "{entry:?} after {last:?}");
        last = at;
    }
    let answer = store.log_since(Since::Ever, None).await.unwrap();
    assert!(last <= answer.time && answer.time.since(before) < MINUTE, "{answer:?}");
    assert_eq!(answer.entries, entries);
}

pub(super) async fn a_session_that_has_ended_is_not_written_twice(store: Store) {
    let id = session_id(&Rng::seeded(21));
    let first = end_session(&store, id, DAY).await;
    assert_eq!(end_session(&store, id, DAY).await, first);
    assert_eq!(end_session(&store, id, MINUTE).await, first);
    let later = end_session(&store, id, DAY * 2).await;
    assert_eq!((later.sequence, later.until), (2, NOW + DAY * 2), "one that must be held longer is written");
    assert_eq!(store.log_head().await.unwrap().sequence, 2);
}

/// R13: a log that may have lost a line has it again; and whoever repeats an old sign-out does not fill it.
pub(super) async fn an_end_is_written_again_when_its_line_is_old_and_only_once(store: Store) {
    let rng = Rng::seeded(26);
    // Held for as long from when it is asked; or until a refresh token expires, which is one moment.
    for hold in [Hold::lasting(MINUTE * 5), Hold::stateless(Some(NOW + DAY * 30)), Hold::stateless(None)] {
        let id = session_id(&rng);
        let mut lines = Vec::new();
        for age in [0, 30, 59, 61, 90, 200, 3600].map(Duration::from_secs) {
            let entries = store.end(&[(EndRequest::Session(id), hold)], Some(NOW + age)).await.unwrap();
            lines.push(entries[0].sequence);
        }
        let first = lines[0];
        assert_eq!(lines, [0, 0, 0, 1, 1, 1, 1].map(|line| first + line), "{hold:?}");
        store.settled().await.unwrap();
        assert_eq!(store.log_head().await.unwrap().sequence, first + 1, "waiting writes no line");
    }
}

/// What a new session is born with is above every end of its app, and what was born before an end of its method is not.
pub(super) async fn an_app_ends_by_method_or_whole(store: Store) {
    let rng = Rng::seeded(22);
    let account = registered(&store, "ada@example.com", &rng).await.id;
    let web = app("web");
    let (mut last, mut cuts) = (Epoch(0), [Epoch(0); 2]);
    for method in [None, Some(Method::Jwt), Some(Method::Session), Some(Method::Jwt), None] {
        let entry = end(&store, EndRequest::App(web.clone(), method), MINUTE).await.expect("any app can be ended");
        let epoch = epoch_of(&entry);
        assert_eq!(entry.end, End::App { app: web.clone(), method, epoch });
        assert!(epoch > last, "each is above those before, whatever they ended");
        last = epoch;
        for (asked, cut) in [Method::Session, Method::Jwt].into_iter().zip(&mut cuts) {
            if method.is_none_or(|method| method == asked) {
                *cut = epoch;
            }
            let standing = store.standing(account, &web, asked, None).await.unwrap().expect("it is there");
            assert_eq!((standing.app_epoch, standing.app_cut), (epoch, *cut), "{asked} after an end of {method:?}");
        }
    }
    let standing = store.standing(account, &app("api"), Method::Jwt, None).await.unwrap().expect("it is there");
    assert_eq!(standing.app_epoch, Epoch(0), "other apps are left alone");
}

/// A watch that asks while many end hears of every one, in order, without a gap.
pub(super) async fn the_log_has_no_gaps_under_parallel_ends(store: Store) {
    let rng = Rng::seeded(23);
    let account = registered(&store, "ada@example.com", &rng).await.id;
    let mut vigil = Vigil::new(10_000, VERIFIERS_HOLD);
    let hear = |vigil: &mut Vigil, asked: u64, answer: &Answer| {
        let now = Boot::from_millis(asked);
        assert_eq!(vigil.hear(now, now, answer), Ok(Heard::All), "nothing is missing");
    };
    hear(&mut vigil, 0, &since(&store, None, NOW).await);
    let ends = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            at_once(&store, 64, move |store, n| {
                let rng = Rng::seeded(1000 + u64::from(n));
                async move {
                    let session = session_id(&rng);
                    let mut sequences = vec![end_session(&store, session, DAY).await.sequence];
                    let request = [
                        (EndRequest::Session(session_id(&rng)), Hold::lasting(DAY)),
                        (EndRequest::App(app("web"), None), Hold::lasting(DAY)),
                    ];
                    sequences.extend(store.end(&request, Some(NOW)).await.unwrap().iter().map(|entry| entry.sequence));
                    if n % 8 == 0 {
                        let change = password(hash(super::HASH));
                        let changed = store.change(account, change, Hold::lasting(DAY), Some(NOW)).await.unwrap();
                        sequences.extend(changed.and_then(|changed| changed.entry).map(|entry| entry.sequence));
                    }
                    (session, sequences)
                }
            })
            .await
        }
    });
    let mut asked = 0;
    while !ends.is_finished() {
        asked += 1;
        let answer = since(&store, vigil.position(), NOW).await;
        assert!(!answer.snapshot, "a delta can follow");
        hear(&mut vigil, asked, &answer);
        tokio::task::yield_now().await;
    }
    let ended = ends.await.expect("they all end");
    let answer = since(&store, vigil.position(), NOW).await;
    hear(&mut vigil, asked + 1, &answer);
    for (session, _) in &ended {
        assert!(vigil.ended().has_session(*session));
    }
    let sequences: BTreeSet<_> = ended.iter().flat_map(|(_, sequences)| sequences.iter().copied()).collect();
    let all = 64 * 3 + 8;
    assert_eq!(sequences, (1..=all).collect(), "every number was given once");
    assert_eq!(store.log_head().await.unwrap(), answer.head);
    assert_eq!(answer.head.sequence, all);
}

pub(super) async fn the_log_answers_what_follows_or_a_snapshot(store: Store) {
    let rng = Rng::seeded(24);
    let empty = since(&store, None, NOW).await;
    assert_eq!((empty.snapshot, empty.head.sequence, empty.entries.len()), (true, 0, 0));
    let mut all = Vec::new();
    for minutes in [0, 10, 10, 20] {
        all.push(end_session_at(&store, session_id(&rng), NOW + MINUTE * minutes).await);
    }
    let head = store.log_head().await.unwrap();
    assert_eq!(head, Position { incarnation: empty.head.incarnation, sequence: 4 });
    let at = |sequence| Some(Position { sequence, ..head });
    for known in 0..=4 {
        let answer = since(&store, at(known), NOW + DAY * 3).await;
        assert_eq!(said(answer), (head, false, all[known as usize..].to_vec()));
    }
    let foreign = Some(Position { incarnation: Incarnation(head.incarnation.0 ^ 1), sequence: 2 });
    let unknown = [None, foreign, at(5), at(u64::MAX)];
    for unknown in unknown {
        let answer = since(&store, unknown, NOW + DAY).await;
        assert_eq!(said(answer), (head, true, all.clone()), "a time that nobody has moved deletion to hides nothing");
    }
    // R19: as long as a verifier holds an end, whatever its line says of how long the log does.
    for (minutes, first) in [(0, 0), (1, 1), (10, 1), (11, 3), (20, 3), (21, 4)] {
        let now = NOW + VERIFIERS_HOLD + MINUTE * minutes;
        deletion_stands_at(&store, now).await;
        for unknown in unknown {
            assert_eq!(
                said(since(&store, unknown, now).await),
                (head, true, all[first..].to_vec()),
                "{minutes} minutes"
            );
            let answer = since(&store, unknown, NOW).await;
            assert_eq!(answer.entries, all, "nor does a clock that was set back");
        }
    }
}

async fn deletion_stands_at(store: &Store, to: Timestamp) {
    let from = store.deletion_clock(Some(to)).await.unwrap().stands;
    assert!(store.move_deletion_clock(from, to).await.unwrap());
}

/// However long the log is, an answer has a page of it; the pages are the whole, and an old line is not waded through.
pub(super) async fn a_long_log_comes_in_pages(store: Store) {
    let rng = Rng::seeded(28);
    deletion_stands_at(&store, NOW).await;
    let some =
        |lines: usize| (0..lines).map(|_| (EndRequest::Session(session_id(&rng)), Hold::NOTED)).collect::<Vec<_>>();
    let old = store.end(&some(PAGE * 2 + 5), Some(NOW - DAY)).await.unwrap();
    let young = store.end(&some(PAGE + 5), Some(NOW)).await.unwrap();
    let after = Since::Line(Position { sequence: 5, ..store.log_head().await.unwrap() });
    // A snapshot ends with the first page in which nothing is young.
    for (from, pages, told) in [(Since::Ever, 3, young.clone()), (after, 4, [&old[5..], &young].concat())] {
        let mut heard = BTreeMap::new();
        let (mut since, mut count) = (from, 0);
        loop {
            let answer = store.log_since(since, Some(NOW)).await.unwrap();
            assert!(answer.entries.len() <= PAGE && answer.snapshot == (from == Since::Ever));
            heard.extend(answer.entries.iter().map(|entry| (entry.sequence, entry.clone())));
            count += 1;
            let Some(next) = answer.next() else { break };
            since = next;
        }
        assert_eq!(count, pages);
        assert!(heard.into_values().eq(told));
    }

    // A watch takes them one by one.
    let mut vigil = Vigil::new(100_000, VERIFIERS_HOLD);
    while vigil.position().is_none() {
        let answer = store.log_since(vigil.question(), Some(NOW)).await.unwrap();
        let now = Boot::from_millis(1);
        vigil.hear(now, now, &answer).expect("nothing is missing");
    }
    assert_eq!(vigil.ended().len(), young.len());
    // Of another log the pages begin anew.
    let head = store.log_head().await.unwrap();
    let foreign = Position { incarnation: Incarnation(head.incarnation.0 ^ 1), ..head };
    let answer = store.log_since(Since::Below { head: foreign, line: 7 }, Some(NOW)).await.unwrap();
    assert_eq!((answer.head, answer.snapshot, answer.entries.last()), (head, true, young.last()));
}

pub(super) async fn a_pruned_log_keeps_what_is_needed(store: Store) {
    let rng = Rng::seeded(25);
    let mut all = Vec::new();
    for until in [DAY * 40, MINUTE, MINUTE, MINUTE, DAY * 40, MINUTE] {
        all.push(end_session(&store, session_id(&rng), until).await);
    }
    let head = store.log_head().await.unwrap();
    for now in [NOW, NOW + MINUTE, NOW + LOG_LIFE - MINUTE] {
        assert_eq!(store.prune_log(deletion_at(now), 100).await.unwrap(), 0, "a line is kept for {LOG_LIFE:?}");
    }
    let later = NOW + LOG_LIFE + MINUTE;
    assert_eq!(store.prune_log(deletion_at(later), 2).await.unwrap(), 2, "no more than asked");
    assert_eq!(store.prune_log(deletion_at(later), 100).await.unwrap(), 2);
    assert_eq!(store.prune_log(deletion_at(later), 100).await.unwrap(), 0);
    assert_eq!(store.log_head().await.unwrap(), head);
    let kept = store.ended_sessions(0, 10).await.unwrap().sessions;
    assert_eq!(kept.into_iter().map(|(line, _)| line).collect::<Vec<_>>(), [1, 5]);
    let snapshot = (head, true, vec![all[0].clone(), all[4].clone()]);
    assert_eq!(said(since(&store, None, NOW).await), snapshot);
    assert_eq!(said(since(&store, Some(Position { sequence: 2, ..head }), NOW).await), snapshot, "it is too far back");
    assert_eq!(said(since(&store, Some(head), later).await), (head, false, vec![]));

    assert_eq!(store.prune_log(deletion_at(NOW + DAY * 50), 100).await.unwrap(), 2);
    assert_eq!(store.log_head().await.unwrap(), head, "an empty log has not forgotten where it was");
    assert_eq!(end_session(&store, session_id(&rng), DAY * 60).await.sequence, 7, "no number comes twice");
    assert_eq!(since(&store, Some(head), later).await.entries.len(), 1);
}

async fn has_ended(store: &Store, account: AccountId, session: SessionId) -> bool {
    // Once from the database, once from what an adapter may remember of the account.
    let mut told = Vec::new();
    for _ in 0..2 {
        let standing = store.standing(account, &app("web"), Method::Session, Some(session)).await.unwrap();
        told.push(standing.expect("it is there").ended);
    }
    let unasked = store.standing(account, &app("web"), Method::Session, None).await.unwrap();
    assert!(!unasked.expect("it is there").ended);
    assert_eq!(told[0], told[1]);
    told[0]
}

pub(super) async fn ended_sessions_are_told_in_order(store: Store) {
    let rng = Rng::seeded(18);
    let account = registered(&store, "ada@example.com", &rng).await;
    let sessions: Vec<_> = (0..5).map(|_| session_id(&rng)).collect();
    for session in &sessions {
        assert!(!has_ended(&store, account.id, *session).await);
        let _ = store.end(&[(EndRequest::Session(*session), Hold::lasting(MINUTE))], Some(NOW)).await.unwrap();
        let _ = store
            .end(&[(EndRequest::Account(account.id, Basis::Operator), Hold::lasting(MINUTE))], Some(NOW))
            .await
            .unwrap();
        assert!(has_ended(&store, account.id, *session).await);
    }
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = store.ended_sessions(after, 2).await.unwrap();
        assert_eq!(page.pruned, 0);
        let Some((last, _)) = page.sessions.last() else { break };
        assert!(page.sessions.len() <= 2 && *last > after);
        after = *last;
        found.extend(page.sessions.into_iter().map(|(_, session)| session));
    }
    assert_eq!(found, sessions);
    let late = NOW + DAY * 3;
    while store.prune_log(deletion_at(late), 100).await.unwrap() > 0 {}
    let page = store.ended_sessions(0, 10).await.unwrap();
    assert_eq!((page.pruned, page.sessions), (10, vec![]));
    assert!(!has_ended(&store, account.id, sessions[0]).await);
}
