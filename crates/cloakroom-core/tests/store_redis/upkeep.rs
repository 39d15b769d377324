//! What grows old in Redis, what does not belong there, and what operators do.

use std::{collections::BTreeSet, time::Duration};

use cloakroom_core::{
    clock::Timestamp,
    ids::{Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    session::{Write, Written},
    store::{
        SessionStore,
        redis::{Address, Options, Redis},
    },
};
use redis::Value;

use super::{DAY, account, at, key, log_in, lowest, mark, now, open, quick, record, server::Server, session};

fn expiry(server: &Server, key: &[u8]) -> i64 {
    let Value::Int(at) = server.send([b"PEXPIRETIME".to_vec(), key.to_vec()]).unwrap() else { panic!("no number") };
    at
}

/// F009: Redis forgets a session a minute after its end, and no write but the first moves that.
#[tokio::test(flavor = "multi_thread")]
async fn keys_expire_by_themselves() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    let (id, account) = (session(&rng), account(&rng));
    let one = record(account);
    let expected = (one.expires + Duration::from_secs(60)).millis().cast_signed();
    let _ = store.write(id, Write::Create(one)).await.unwrap();
    let until = expiry(&server, &key(id));
    assert!((until - expected).abs() < 1000, "{until} {expected}");
    for write in [
        Write::Touch(now() + DAY),
        Write::CarryOver { from: Epoch(0), to: Epoch(300) },
        Write::Rotate { from: Generation(0), to: Generation(200), at: Some(now()), active: Some(now()) },
    ] {
        assert_eq!(expiry(&server, &key(id)), until);
        assert!(matches!(store.write(id, write).await.unwrap(), Written::Done(Some(_))));
    }
    assert_eq!(expiry(&server, &key(id)), until);
    let list = [&b"cr:d"[..], account.bytes()].concat();
    assert!((expiry(&server, &list) - until).abs() < 1000);

    // R8: a server's clock that is a month ahead, or behind, when the session begins is the session's own affair.
    for (ahead, begins) in [(true, now() + DAY * 31), (false, now() - DAY * 31)] {
        let (id, mut apart) = (session(&rng), record(account));
        (apart.created, apart.last_active, apart.rotated) = (begins, begins, begins);
        apart.expires = begins + DAY;
        let _ = store.write(id, Write::Create(apart)).await.unwrap();
        let lives = expiry(&server, &key(id)) - (now() + DAY + Duration::from_secs(60)).millis().cast_signed();
        assert!(lives.abs() < 1000, "{ahead} {lives}");
    }

    // A wrong clock here, or a short life, takes no session away within the hour.
    let mut old = record(account);
    old.expires = Timestamp::from_secs(1);
    let id = session(&rng);
    let _ = store.write(id, Write::Create(old)).await.unwrap();
    let least = (now() + Duration::from_mins(59)).millis().cast_signed();
    assert!(expiry(&server, &key(id)) > least);
    assert!((expiry(&server, &list) - until).abs() < 1000, "a list lives as long as its longest session");

    let options = Options { least_life: Duration::ZERO, ..quick() };
    let brief = Redis::open(&Address::parse(&server.url()).unwrap(), &options).await.unwrap();
    let (id, account) = (session(&rng), super::account(&rng));
    let mut short = record(account);
    short.expires = now() - Duration::from_secs(58);
    let _ = brief.write(id, Write::Create(short)).await.unwrap();
    assert!(brief.read(id).await.unwrap().is_some());
    let began = std::time::Instant::now();
    while brief.read(id).await.unwrap().is_some() {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(brief.list(account, None, 10).await.unwrap(), []);
    assert_eq!(store.write(id, Write::Touch(now())).await.unwrap(), Written::Absent);
}

/// F007: whatever stands where a session should be counts as none, can be ended, and is in no login's way.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_counts_as_no_session() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    let account = account(&rng);
    let mut cut = record(account).encode();
    cut.pop();
    let mut later = record(account).encode();
    later[0] = 2;
    let mut long = record(account).encode();
    long.push(0);
    let mut endless = record(account).encode();
    let length = endless.len();
    endless[length - 1] = 0xff;
    let mut huge = record(account).encode();
    huge.truncate(55);
    huge.extend([0xff, 0xff, 0xff, 0xff, 0x7f]);
    let mut spelt = record(account).encode();
    spelt[length - 1] = 0x80;
    spelt.push(0);
    for garbage in [spelt, vec![], b"x".to_vec(), vec![0xff; 200], vec![9; 56], cut, later, long, endless, huge] {
        let id = log_in(&store, account, &rng).await;
        server.send([b"SET".to_vec(), key(id), garbage.clone()]).unwrap();
        assert_eq!(store.read(id).await.unwrap(), None);
        store.touch(&[(id, now() + DAY)]).await.unwrap();
        for write in [
            Write::Touch(now() + DAY),
            Write::CarryOver { from: Epoch(0), to: Epoch(9) },
            Write::Rotate { from: Generation(0), to: Generation(1), at: Some(now()), active: Some(now()) },
        ] {
            assert_eq!(store.write(id, write).await.unwrap(), Written::Absent);
        }
        assert_eq!(server.send([b"GET".to_vec(), key(id)]).unwrap(), Value::BulkString(garbage), "it is left alone");
        assert!(store.list(account, None, 10).await.unwrap().iter().all(|(listed, _)| *listed != id));
        let written = store.write(id, Write::Create(record(account))).await.unwrap();
        assert!(matches!(written, Written::Done(Some(_))));
        assert!(store.read(id).await.unwrap().is_some());
        assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None));
        assert_eq!(store.read(id).await.unwrap(), None);
    }
    // Other types.
    let id = session(&rng);
    let make = || server.send([b"RPUSH".to_vec(), key(id), b"x".to_vec()]).unwrap();
    make();
    assert_eq!(store.read(id).await.unwrap(), None);
    assert_eq!(store.write(id, Write::Touch(now())).await.unwrap(), Written::Absent);
    assert!(matches!(store.write(id, Write::Create(record(account))).await.unwrap(), Written::Done(_)));
    let _ = store.write(id, Write::Delete).await.unwrap();
    make();
    assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None));
    assert_eq!(server.send([b"EXISTS".to_vec(), key(id)]).unwrap(), Value::Int(0));
    let other = super::account(&rng);
    let list = [&b"cr:d"[..], other.bytes()].concat();
    server.send([b"SET".to_vec(), list.clone(), b"x".to_vec()]).unwrap();
    assert_eq!(store.list(other, None, 10).await.unwrap(), []);
    let id = log_in(&store, other, &rng).await;
    assert_eq!(store.list(other, None, 10).await.unwrap()[0].0, id);
    server.send([b"ZADD".to_vec(), list, b"inf".to_vec(), b"x".to_vec()]).unwrap();
    assert_eq!(store.list(other, None, 10).await.unwrap()[0].0, id);
    // Keys that look like ours.
    for key in ["cr:s", "cr:sx", "cr:s0123456789abcdef", "other"] {
        server.ask(&["SET", key, "x"]);
    }
    assert_eq!(store.count().await.unwrap().len(), 1);
    assert_eq!(store.count().await.unwrap()[0].2, 1);
}

/// F123: who reads a dump finds ids, which are hashes of secrets, and nothing to sign in with.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_redis_is_no_credential() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let id = log_in(&store, account(&Rng::seeded(1)), &Rng::seeded(2)).await;
    let Value::Array(keys) = server.ask(&["KEYS", "*"]) else { panic!("no keys") };
    assert_eq!(keys.len(), 2, "a session and a list");
    let Value::BulkString(value) = server.send([b"GET".to_vec(), key(id)]).unwrap() else { panic!("no value") };
    assert_eq!(value.len(), 56, "the record and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_does_not_outgrow_what_lives() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    let account = account(&rng);
    let list = [&b"cr:d"[..], account.bytes()].concat();
    let length = || {
        let Value::Int(length) = server.send([b"ZCARD".to_vec(), list.clone()]).unwrap() else { panic!("no number") };
        length
    };
    let mut alive = Vec::new();
    for n in 0..400 {
        let id = log_in(&store, account, &rng).await;
        alive.push(id);
        if n >= 10 {
            // By itself, as by expiry: the list does not hear of it.
            store.forget(&[alive.remove(0)]).await.unwrap();
        }
    }
    assert!(length() < 60, "{} entries for 10 sessions", length());
    let listed: BTreeSet<_> = store.list(account, None, 100).await.unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(listed, alive.iter().copied().collect());
    assert_eq!(length(), 10, "a reader takes out what is over");
    for id in alive {
        let _ = store.write(id, Write::Delete).await.unwrap();
    }
    assert_eq!(length(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_lists_there_is_one_key_a_login() {
    let server = Server::start(&[]);
    let store = open(&format!("{}?devices=off", server.url())).await;
    let rng = Rng::seeded(1);
    let account = account(&rng);
    let id = log_in(&store, account, &rng).await;
    assert_eq!(server.ask(&["DBSIZE"]), Value::Int(1));
    assert_eq!(store.list(account, None, 10).await.unwrap(), []);
    assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None));
    assert_eq!(server.ask(&["DBSIZE"]), Value::Int(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_are_counted_in_steps() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    for n in 0..2500 {
        let mut one = record(account(&rng));
        one.method = if n % 5 == 0 { Method::Jwt } else { Method::Session };
        let _ = store.write(session(&rng), Write::Create(one)).await.unwrap();
    }
    let mut counts: Vec<_> = store.count().await.unwrap().into_iter().map(|(_, method, n)| (method, n)).collect();
    counts.sort_unstable();
    let mut expected = [(Method::Session, 2000), (Method::Jwt, 500)];
    expected.sort_unstable();
    assert_eq!(counts, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watermark_is_the_lowest_of_all_its_marks() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    assert_eq!(lowest(&store).await, None, "a new store has seen nothing");
    mark(&store, at(7, 41)).await.unwrap();
    assert_eq!(lowest(&store).await, Some(at(7, 41)));
    let Value::Array(marks) = server.ask(&["KEYS", "cr:w*"]) else { panic!("no keys") };
    assert_eq!(marks.len(), 64);
    let Value::BulkString(one) = &marks[13] else { panic!("no key") };
    let set = |value: &str| server.send([b"SET".to_vec(), one.clone(), value.into()]).unwrap();
    set(&at(7, 12).to_string());
    assert_eq!(lowest(&store).await, Some(at(7, 12)));
    for unsure in [&at(8, 50).to_string(), "rubbish"] {
        set(unsure);
        assert_eq!(lowest(&store).await, None);
    }
    mark(&store, at(8, 60)).await.unwrap();
    assert_eq!(lowest(&store).await, Some(at(8, 60)));
    server.send([b"DEL".to_vec(), one.clone()]).unwrap();
    assert_eq!(lowest(&store).await, None);
    assert_eq!(store.count().await.unwrap(), [], "marks are no sessions");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ended_sessions_are_forgotten_at_once() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    let mut ids = Vec::new();
    for _ in 0..300 {
        ids.push(log_in(&store, account(&rng), &rng).await);
    }
    let kept = ids.split_off(290);
    ids.push(SessionId::from_bytes([9; 16]));
    store.forget(&ids).await.unwrap();
    store.forget(&[]).await.unwrap();
    for id in ids {
        assert_eq!(store.read(id).await.unwrap(), None);
    }
    for id in kept {
        assert!(store.read(id).await.unwrap().is_some());
    }
}
