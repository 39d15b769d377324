//! What the session port promises.

use std::{collections::BTreeSet, sync::Arc};

use hashbrown::HashMap;

use super::{DAY, MINUTE, NOW, account_id, app, at_once, deletion_at, record, session_id};
use crate::{
    clock::Timestamp,
    ids::{AccountId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    revocation::{Incarnation, Lineage, Position},
    session::{AuthMethods, ClientKind, Effect, Record, Write, Written},
    store::SessionStore,
};

type Store = Arc<dyn SessionStore>;

async fn create(store: &Store, id: SessionId, record: &Record) {
    assert_eq!(store.write(id, Write::Create(record.clone())).await.unwrap(), Written::Done(Some(record.clone())));
}

async fn read(store: &Store, id: SessionId) -> Option<Record> {
    store.read(id).await.unwrap()
}

fn rotate(from: u32, to: u32, at: Timestamp) -> Write {
    Write::Rotate { from: Generation(from), to: Generation(to), at: Some(at), active: Some(at) }
}

fn carry(from: u32, to: u32) -> Write {
    Write::CarryOver { from: Epoch(from), to: Epoch(to) }
}

pub(super) async fn a_session_is_made_once(store: Store) {
    let rng = Rng::seeded(1);
    let (id, first) = (session_id(&rng), record(account_id(&rng), NOW));
    assert_eq!(read(&store, id).await, None);
    create(&store, id, &first).await;
    assert_eq!(read(&store, id).await, Some(first.clone()));
    let second = Write::Create(record(account_id(&rng), NOW + MINUTE));
    assert_eq!(store.write(id, second).await.unwrap(), Written::Conflict(first.clone()));
    assert_eq!(read(&store, id).await, Some(first));
    assert_eq!(read(&store, session_id(&rng)).await, None, "another id has no session");
    assert_eq!(read(&store, SessionId::from_bytes([0; 16])).await, None);
}

/// F004: a request that was running during the sign-out brings nothing back.
pub(super) async fn no_write_but_the_first_makes_a_record(store: Store) {
    let rng = Rng::seeded(2);
    let (id, account) = (session_id(&rng), account_id(&rng));
    for ended in [false, true] {
        if ended {
            create(&store, id, &record(account, NOW)).await;
            assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None));
        }
        for write in [rotate(0, 1, NOW), Write::Touch(NOW + MINUTE), carry(0, 1)] {
            assert_eq!(store.write(id, write).await.unwrap(), Written::Absent);
        }
        store.touch(&[(id, NOW + MINUTE)]).await.unwrap();
        assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None));
        assert_eq!(read(&store, id).await, None);
        assert_eq!(store.list(account, None, 10).await.unwrap(), []);
    }
}

pub(super) async fn every_value_reads_back(store: Store) {
    let rng = Rng::seeded(3);
    let mut largest = record(AccountId::from_bytes([0xff; 16]), Timestamp::MAX);
    largest.epoch = Epoch(u32::MAX);
    largest.app_epoch = Epoch(u32::MAX);
    largest.generation = Generation(u32::MAX);
    largest.auth_time = Timestamp::from_secs(u32::MAX.into());
    let mut smallest = record(AccountId::from_bytes([0; 16]), Timestamp::from_millis(0));
    smallest.expires = Timestamp::from_millis(0);
    let mut records = vec![largest, smallest];
    for (n, method) in Method::ALL.into_iter().enumerate() {
        let mut one = record(account_id(&rng), NOW + MINUTE * n as u32);
        one.method = method;
        one.app = app(method.name()).tag();
        one.amr = AuthMethods::from_names(["pwd", "otp", "mfa"]).expect("they are known");
        one.client = ClientKind::from_user_agent("Mozilla/5.0 (Macintosh) Firefox/140.0");
        one.rotated = NOW + MINUTE;
        one.last_active = NOW + MINUTE * 2;
        records.push(one);
    }
    for record in records {
        let id = session_id(&rng);
        create(&store, id, &record).await;
        assert_eq!(read(&store, id).await.as_ref(), Some(&record));
        assert_eq!(store.list(record.account, None, 10).await.unwrap(), [(id, record)]);
    }
}

/// F048: two uses of one refresh token at the same time never make two branches.
pub(super) async fn one_of_a_hundred_rotations_wins(store: Store) {
    let rng = Rng::seeded(4);
    let (id, first) = (session_id(&rng), record(account_id(&rng), NOW));
    create(&store, id, &first).await;
    for generation in [0, 1, 127, 128, 1 << 20] {
        let next = generation + 1;
        let written = at_once(&store, 100, |store, n| async move {
            store.write(id, rotate(generation, next, NOW + MINUTE * n)).await.unwrap()
        })
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = written.into_iter().partition(|w| matches!(w, Written::Done(_)));
        assert_eq!(won.len(), 1, "generation {generation}");
        let now = read(&store, id).await.expect("it is there");
        assert_eq!(now.generation, Generation(next));
        assert_eq!(won[0], Written::Done(Some(now.clone())));
        assert!(lost.iter().all(|w| *w == Written::Conflict(now.clone())), "losers see what stands");
        // On to the next round's generation.
        let to = [1, 127, 128, 1 << 20].into_iter().find(|to| *to >= next).unwrap_or(next);
        if to != next {
            let _ = store.write(id, rotate(next, to, NOW)).await.unwrap();
        }
    }
    let mut passive = read(&store, id).await.expect("it is there");
    let from = passive.generation;
    let write = Write::Rotate { from, to: from.next(), at: Some(NOW + DAY), active: None };
    passive.generation = from.next();
    passive.rotated = NOW + DAY;
    assert_eq!(store.write(id, write).await.unwrap(), Written::Done(Some(passive)), "a poll is no activity");
}

/// A store that changes records by itself does it rightly whatever the numbers beside a change take.
pub(super) async fn numbers_of_every_length_are_changed_rightly(store: Store) {
    const NUMBERS: [u32; 12] = [0, 1, 127, 128, 255, 256, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_456, u32::MAX];
    let rng = Rng::seeded(13);
    for step in 0..300 {
        let number = || NUMBERS[rng.below(12) as usize];
        let moment = || Timestamp::from_millis(u64::from_be_bytes(rng.bytes()) >> (16 + rng.below(16)));
        let mut one = record(account_id(&rng), moment());
        (one.epoch, one.app_epoch, one.generation) = (Epoch(number()), Epoch(number()), Generation(number()));
        (one.last_active, one.rotated, one.auth_time) = (moment(), moment(), NOW);
        let id = session_id(&rng);
        create(&store, id, &one).await;
        for _ in 0..6 {
            let write = match rng.below(4) {
                0 => {
                    let from = if rng.below(4) == 0 { Epoch(number()) } else { one.epoch };
                    Write::CarryOver { from, to: Epoch(number()) }
                }
                1 => Write::Touch(moment()),
                _ => {
                    let from = if rng.below(8) == 0 { Generation(number()) } else { one.generation };
                    Write::Rotate {
                        from,
                        to: Generation(number()),
                        at: Some(moment()),
                        active: (rng.below(2) == 0).then(&moment),
                    }
                }
            };
            let (effect, expected) = write.apply(Some(&one), || NOW);
            if let Effect::Put(next) = effect {
                one = next;
            }
            assert_eq!(store.write(id, write.clone()).await.unwrap(), expected, "step {step}: {write:?}");
            assert_eq!(read(&store, id).await.as_ref(), Some(&one), "step {step}: {write:?}");
        }
    }
}

pub(super) async fn activity_never_moves_back(store: Store) {
    let rng = Rng::seeded(5);
    let account = account_id(&rng);
    let ids: Vec<_> = (0..3).map(|_| session_id(&rng)).collect();
    for id in &ids {
        create(&store, *id, &record(account, NOW)).await;
    }
    let absent = session_id(&rng);
    store.touch(&[(ids[0], NOW + DAY), (absent, NOW + DAY), (ids[1], NOW + MINUTE), (ids[1], NOW)]).await.unwrap();
    store.touch(&[(ids[0], NOW + MINUTE)]).await.unwrap();
    store.touch(&[]).await.unwrap();
    for (id, at) in [(ids[0], NOW + DAY), (ids[1], NOW + MINUTE), (ids[2], NOW)] {
        assert_eq!(read(&store, id).await.expect("it is there").last_active, at);
        let _ = store.write(id, Write::Touch(NOW - MINUTE)).await.unwrap();
        assert_eq!(read(&store, id).await.expect("it is there").last_active, at);
    }
    let last = at_once(&store, 50, {
        let id = ids[2];
        move |store, n| async move { store.touch(&[(id, NOW + MINUTE * n)]).await.unwrap() }
    });
    last.await;
    assert_eq!(read(&store, ids[2]).await.expect("it is there").last_active, NOW + MINUTE * 49);
    assert_eq!(read(&store, absent).await, None);
}

/// R2: a session that another raise has ended meanwhile stays behind.
pub(super) async fn a_session_is_carried_over_from_where_it_stood_only(store: Store) {
    let rng = Rng::seeded(6);
    let (id, mut record) = (session_id(&rng), record(account_id(&rng), NOW));
    create(&store, id, &record).await;
    for (from, to, becomes) in [(0, 3, 3), (0, 3, 3), (2, 9, 3), (3, 300, 300), (u32::MAX, 301, 300), (300, 301, 301)] {
        let lost = becomes != to;
        record.epoch = Epoch(becomes);
        let expected = if lost { Written::Conflict(record.clone()) } else { Written::Done(Some(record.clone())) };
        assert_eq!(store.write(id, carry(from, to)).await.unwrap(), expected, "{from} to {to}");
    }
    assert_eq!(read(&store, id).await, Some(record));
}

pub(super) async fn an_end_is_an_end_however_often_and_whatever_runs_beside_it(store: Store) {
    let rng = Rng::seeded(7);
    for _ in 0..5 {
        let (id, account) = (session_id(&rng), account_id(&rng));
        create(&store, id, &record(account, NOW)).await;
        at_once(&store, 64, |store, n| async move {
            match n {
                30 | 31 => assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None)),
                n if n % 3 == 0 => store.touch(&[(id, NOW + MINUTE * n)]).await.unwrap(),
                n if n % 3 == 1 => drop(store.write(id, rotate(0, n, NOW + MINUTE)).await.unwrap()),
                n => drop(store.write(id, carry(n - 1, n)).await.unwrap()),
            }
        })
        .await;
        assert_eq!(read(&store, id).await, None, "what has ended stays ended");
        assert_eq!(store.list(account, None, 10).await.unwrap(), []);
    }
}

/// F061: no login is missing from the list that 'end all' and the person see.
pub(super) async fn parallel_logins_are_all_listed(store: Store) {
    let rng = Rng::seeded(8);
    let (account, other) = (account_id(&rng), account_id(&rng));
    let made = at_once(&store, 50, {
        let rng = rng.clone();
        move |store, n| {
            let (id, stranger) = (session_id(&rng), session_id(&rng));
            async move {
                // Many of one moment, so that order among them is put to the test too.
                create(&store, id, &record(account, NOW + MINUTE * (n / 10))).await;
                create(&store, stranger, &record(other, NOW)).await;
                id
            }
        }
    })
    .await;
    let all = store.list(account, None, 1000).await.unwrap();
    let order: Vec<_> = all.iter().map(|(id, record)| (record.created, *id)).collect();
    assert!(order.windows(2).all(|pair| pair[0] > pair[1]), "newest first, then by descending id");
    let ids: BTreeSet<_> = all.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, made.into_iter().collect());

    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = store.list(account, before, 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some((id, last)) = page.last() else { break };
        before = Some((last.created, *id));
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert_eq!(store.list(account_id(&rng), None, 10).await.unwrap(), []);
    at_once(&store, 50, move |store, n| {
        let id = order[n as usize].1;
        async move { drop(store.write(id, Write::Delete).await.unwrap()) }
    })
    .await;
    assert_eq!(store.list(account, None, 10).await.unwrap(), []);
    assert_eq!(store.list(other, None, 100).await.unwrap().len(), 50);
}

pub(super) async fn pages_leave_nobody_out_when_their_last_row_ends(store: Store) {
    let rng = Rng::seeded(9);
    let account = account_id(&rng);
    let mut ids = Vec::new();
    for n in 0..10 {
        let id = session_id(&rng);
        create(&store, id, &record(account, NOW + MINUTE * n)).await;
        ids.push(id);
    }
    let first = store.list(account, None, 4).await.unwrap();
    let (last, at) = (first[3].0, first[3].1.created);
    assert_eq!(last, ids[6]);
    let _ = store.write(last, Write::Delete).await.unwrap();
    let rest = store.list(account, Some((at, last)), 100).await.unwrap();
    let rest: Vec<_> = rest.into_iter().map(|(id, _)| id).collect();
    assert_eq!(rest, ids[..6].iter().rev().copied().collect::<Vec<_>>());
}

/// F009, the store's part: what is over by its own expiry goes, and nothing else.
pub(super) async fn a_sweep_removes_only_what_is_over(store: Store) {
    let rng = Rng::seeded(10);
    let account = account_id(&rng);
    let (mut over, mut alive) = (Vec::new(), Vec::new());
    for n in 0..60u32 {
        let id = session_id(&rng);
        let mut one = record(account, NOW - DAY * 40);
        let is_over = n % 2 == 0;
        one.expires = if is_over { NOW - MINUTE * (n / 2) } else { NOW + std::time::Duration::from_millis(1) };
        create(&store, id, &one).await;
        if is_over { over.push(id) } else { alive.push(id) }
    }
    assert!(read(&store, over[0]).await.is_some(), "reading judges nothing");
    let mut removed = 0;
    for _ in 0..10 {
        let n = store.sweep(deletion_at(NOW), 7).await.unwrap();
        assert!(n <= 7, "{n} at once");
        removed += n;
    }
    assert_eq!(removed, over.len());
    assert_eq!(store.sweep(deletion_at(NOW), 1000).await.unwrap(), 0);
    for id in over {
        assert_eq!(read(&store, id).await, None);
    }
    assert_eq!(store.list(account, None, 100).await.unwrap().len(), alive.len());
    for id in alive {
        assert!(read(&store, id).await.is_some());
    }
}

/// F009, the store's part where records go by themselves: nothing goes before its time.
pub(super) async fn a_sweep_leaves_what_lives(store: Store) {
    let rng = Rng::seeded(10);
    let account = account_id(&rng);
    let mut alive = Vec::new();
    for n in 0..20u32 {
        let id = session_id(&rng);
        let mut one = record(account, NOW - DAY * 40);
        one.expires = NOW + std::time::Duration::from_millis(n.into());
        create(&store, id, &one).await;
        alive.push((id, one));
    }
    store.sweep(deletion_at(NOW - std::time::Duration::from_millis(1)), 1000).await.unwrap();
    for (id, one) in alive {
        assert_eq!(read(&store, id).await, Some(one));
    }
    assert_eq!(store.list(account, None, 100).await.unwrap().len(), 20);
}

pub(super) async fn sessions_are_counted_by_app_and_method(store: Store) {
    let rng = Rng::seeded(11);
    assert_eq!(store.count().await.unwrap(), []);
    for (name, method, number) in [("web", Method::Session, 3), ("web", Method::Jwt, 2), ("api", Method::Jwt, 1)] {
        for _ in 0..number {
            let mut one = record(account_id(&rng), NOW);
            (one.app, one.method) = (app(name).tag(), method);
            create(&store, session_id(&rng), &one).await;
        }
    }
    let mut counts = store.count().await.unwrap();
    counts.sort_unstable();
    let mut expected = [
        (app("web").tag(), Method::Session, 3),
        (app("web").tag(), Method::Jwt, 2),
        (app("api").tag(), Method::Jwt, 1),
    ];
    expected.sort_unstable();
    assert_eq!(counts, expected);
}

pub(super) async fn a_walk_meets_every_session(store: Store) {
    let rng = Rng::seeded(13);
    let empty = store.walk(None, 10).await.unwrap();
    assert_eq!(empty.sessions, []);
    let mut there = HashMap::new();
    for n in 0..300 {
        let (id, one) = (session_id(&rng), record(account_id(&rng), NOW + MINUTE * n));
        create(&store, id, &one).await;
        there.insert(id, one);
    }
    let (mut met, mut place) = (HashMap::new(), None);
    for stretch in 0.. {
        assert!(stretch < 1000, "the walk has no end");
        let step = store.walk(place, 40).await.unwrap();
        for (id, record) in step.sessions {
            met.insert(id, record.expect("it can be read"));
        }
        if stretch < 20 {
            // What begins meanwhile disturbs nobody.
            create(&store, session_id(&rng), &record(account_id(&rng), NOW)).await;
        }
        place = step.next;
        if place.is_none() {
            break;
        }
    }
    for (id, one) in &there {
        assert_eq!(met.get(id), Some(one));
    }
}

pub(super) async fn many_are_forgotten_at_once_and_nobody_else(store: Store) {
    let rng = Rng::seeded(14);
    let account = account_id(&rng);
    let mut ids = Vec::new();
    for n in 0..1200u32 {
        let id = session_id(&rng);
        // Some are not there, as most that the log names.
        if n % 3 != 0 {
            create(&store, id, &record(account, NOW)).await;
        }
        ids.push(id);
    }
    let (gone, kept) = ids.split_at(1000);
    for _ in 0..2 {
        store.forget(gone).await.unwrap();
        for (n, id) in ids.iter().enumerate() {
            let stays = n >= gone.len() && n % 3 != 0;
            assert_eq!(read(&store, *id).await.is_some(), stays, "session {n}");
        }
    }
    let listed = store.list(account, None, 10_000).await.unwrap();
    assert!(listed.iter().all(|(id, _)| kept.contains(id)), "what was forgotten is in no list");
    store.forget(&[]).await.unwrap();
}

/// R20, R21: so that the ends since then can be given to it again, or that it can be told to be too old.
pub(super) async fn it_remembers_how_far_it_has_seen_the_log(store: Store) {
    let at = |incarnation, sequence| Position { incarnation: Incarnation(incarnation), sequence };
    let log = Lineage { head: at(7, 100), pruned: 50, former: vec![at(7, 100)] };
    let seen = async |log: &Lineage| {
        let watermark = store.watermark().await.unwrap();
        let seen: BTreeSet<_> = watermark.parts().map(|marks| log.latest(marks)).collect();
        assert_eq!(seen.len(), 1, "all of it has seen the same");
        seen.into_iter().next().flatten()
    };
    let advance = async |to| {
        let from = store.watermark().await.unwrap();
        store.advance_watermark(&from, to).await.unwrap();
    };
    let rng = Rng::seeded(15);
    assert_eq!(seen(&log).await, None, "a new store has seen nothing");
    assert!(!store.holds_unseen(&log, NOW).await.unwrap(), "but holds nothing either");
    create(&store, session_id(&rng), &record(account_id(&rng), NOW)).await;
    assert!(!store.holds_unseen(&log, NOW).await.unwrap());
    assert!(store.holds_unseen(&log, NOW + MINUTE).await.unwrap());
    for (sequence, holds) in [(41, true), (49, true), (50, false), (60, false)] {
        advance(at(7, sequence)).await;
        assert_eq!(seen(&log).await, Some(sequence));
        assert_eq!(store.holds_unseen(&log, NOW + MINUTE).await.unwrap(), holds, "line {sequence}");
    }
    // The log goes on under another name, and then as another one.
    let later = Lineage { head: at(8, 70), pruned: 50, former: vec![at(7, 55), at(8, 70)] };
    assert_eq!(seen(&later).await, Some(55));
    for other in [at(8, 70), at(u64::MAX, 1 << 40)] {
        let log = Lineage { head: other, pruned: 0, former: vec![other] };
        advance(other).await;
        assert_eq!(seen(&log).await, Some(other.sequence));
    }
    assert_eq!(seen(&later).await, None);
}

/// R24: ages leave a store, moments do not; so it does not matter which server asks, and what its clock says.
pub(super) async fn a_rotation_is_as_old_as_the_stores_clock_says(store: Store) {
    let rng = Rng::seeded(16);
    let (id, account) = (session_id(&rng), account_id(&rng));
    assert_eq!(store.find(id, None).await.unwrap(), None);
    let before = store.time().await.unwrap();
    let mut one = record(account, before);
    (one.last_active, one.rotated) = (before - DAY, before + DAY);
    create(&store, id, &one).await;
    let age = async |at| store.find(id, at).await.unwrap().expect("it is there").since_rotation;
    assert_eq!(age(None).await, std::time::Duration::ZERO, "what lies ahead was just now");
    assert_eq!(age(Some(one.rotated + MINUTE)).await, MINUTE);
    assert_eq!(age(Some(one.rotated - MINUTE)).await, std::time::Duration::ZERO);
    // Servers set the time of last activity; the store's clock has no part in it.
    for (generation, active) in [(0, None), (1, Some(before + DAY))] {
        let (from, to) = (Generation(generation), Generation(generation + 1));
        let written = store.write(id, Write::Rotate { from, to, at: None, active }).await.unwrap();
        let after = store.time().await.unwrap();
        let Written::Done(Some(rotated)) = written else { panic!("{written:?}") };
        // Clocks are read to the millisecond.
        let moments = before..=after + std::time::Duration::from_millis(1);
        assert!(moments.contains(&rotated.rotated), "{rotated:?} between {before:?} and {after:?}");
        assert_eq!(rotated.last_active, active.unwrap_or(before - DAY));
        let found = store.find(id, None).await.unwrap().expect("it is there");
        assert!(found.since_rotation < MINUTE, "{found:?}");
        assert_eq!((found.record.clone(), read(&store, id).await), (rotated.clone(), Some(rotated)));
        let lost = store.write(id, Write::Rotate { from, to, at: None, active }).await.unwrap();
        assert_eq!(lost, Written::Conflict(found.record));
    }
}

/// Random writes, one after the other, against [`Write::apply`] on a map.
pub(super) async fn any_writes_do_what_the_domain_says(store: Store) {
    let rng = Rng::seeded(12);
    let ids: Vec<_> = (0..6).map(|_| session_id(&rng)).collect();
    let accounts: Vec<_> = (0..2).map(|_| account_id(&rng)).collect();
    let mut model = HashMap::<SessionId, Record>::new();
    for step in 0..600 {
        let id = ids[rng.below(6) as usize];
        let at = NOW + MINUTE * rng.below(100) as u32;
        let write = match rng.below(10) {
            0 | 1 => Write::Create(record(accounts[rng.below(2) as usize], at)),
            2 => Write::Delete,
            3 => carry(rng.below(4) as u32, rng.below(4) as u32),
            4 | 5 => Write::Touch(at),
            _ => {
                // Near the present generation, so that both right and wrong ones come up.
                let present = model.get(&id).map_or(0, |record| record.generation.0);
                let from = Generation((present + rng.below(2) as u32).saturating_sub(rng.below(2) as u32));
                let to = Generation(from.0 + 1 + rng.below(3) as u32);
                Write::Rotate { from, to, at: Some(at), active: (rng.below(2) == 0).then_some(at) }
            }
        };
        let (effect, expected) = write.apply(model.get(&id), || NOW);
        match effect {
            Effect::Leave => {}
            Effect::Put(record) => drop(model.insert(id, record)),
            Effect::Remove => drop(model.remove(&id)),
        }
        let written = store.write(id, write.clone()).await.unwrap();
        assert_eq!(written, expected, "step {step}: {write:?}");
        assert_eq!(read(&store, id).await.as_ref(), model.get(&id), "step {step}: {write:?}");
        if step % 20 == 0 {
            for account in &accounts {
                let listed: HashMap<_, _> = store.list(*account, None, 100).await.unwrap().into_iter().collect();
                let mut expected = model.clone();
                expected.retain(|_, record| record.account == *account);
                assert_eq!(listed, expected, "step {step}");
            }
        }
    }
}
