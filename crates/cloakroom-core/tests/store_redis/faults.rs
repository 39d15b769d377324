//! A server that dies, hangs, fills up, or is cut off.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cloakroom_core::{
    ids::{Epoch, Generation, SessionId},
    random::Rng,
    session::{Write, Written},
    store::{
        SessionStore, StoreError,
        redis::{Address, Options, Redis},
    },
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    account, log_in, now, open, record, refusal,
    server::{Server, free_port},
    session,
};

/// What waiting for an answer that does not come may take: one limit for a connection, one for the answer, and some.
pub(crate) const BOUND: Duration = Duration::from_secs(6);

pub(crate) async fn unavailable(store: &Redis, id: SessionId) -> Duration {
    let began = Instant::now();
    let error = store.read(id).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    began.elapsed()
}

/// Waits until a session is readable again.
pub(crate) async fn recovered(store: &Redis, id: SessionId) {
    let began = Instant::now();
    while store.read(id).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(store.read(id).await.unwrap().is_some());
}

/// F124, F125: killed without warning, it is unavailable at once; started again, it is there again with all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_with_what_it_had_acknowledged() {
    let mut server = Server::lasting();
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    for _ in 0..3 {
        let (kept, ended) = (log_in(&store, account(&rng), &rng).await, log_in(&store, account(&rng), &rng).await);
        let _ = store.write(ended, Write::Delete).await.unwrap();
        let rotate = Write::Rotate { from: Generation(0), to: Generation(1), at: Some(now()), active: Some(now()) };
        let _ = store.write(kept, rotate).await.unwrap();
        server.kill();
        for _ in 0..20 {
            let took = unavailable(&store, kept).await;
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
        let writes = store.write(ended, Write::Touch(now())).await.unwrap_err();
        assert!(matches!(writes, StoreError::Unavailable(_)));
        assert!(store.watermark().await.is_err() && store.primaries().await.is_err() && store.count().await.is_err());
        server.resume();
        recovered(&store, kept).await;
        assert_eq!(store.read(kept).await.unwrap().unwrap().generation, Generation(1));
        assert_eq!(store.read(ended).await.unwrap(), None);
    }
}

/// A connection that the other side closes, as it does to idle ones, is nobody's failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_is_made_anew_unnoticed() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    let id = log_in(&store, account(&rng), &rng).await;
    for _ in 0..20 {
        server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(store.read(id).await.unwrap().is_some());
        server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        log_in(&store, account(&rng), &rng).await;
        server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        store.touch(&[(id, now())]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_told_within_bounds() {
    let began = Instant::now();
    let error = refusal(&format!("redis://127.0.0.1:{}", free_port())).await;
    assert!(matches!(error, StoreError::Unavailable(_)) && began.elapsed() < BOUND, "{error}");
    // It accepts, and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    for url in [
        format!("redis://127.0.0.1:{port}"),
        format!("redis+cluster://127.0.0.1:{port}"),
        format!("redis+sentinel://127.0.0.1:{port}/main"),
    ] {
        let began = Instant::now();
        let error = refusal(&url).await;
        assert!(matches!(error, StoreError::Unavailable(_)) && began.elapsed() < BOUND, "{error}");
    }
    assert!(refusal("redis://nowhere.invalid").await.to_string().contains("nowhere.invalid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_unavailable_within_bounds_and_recovers() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    let id = log_in(&store, account(&rng), &rng).await;
    server.signal(Signal::STOP);
    assert!(unavailable(&store, id).await < BOUND);
    assert!(unavailable(&store, id).await < BOUND);
    // Known to be down, nobody waits long.
    let mut waits = Vec::new();
    for _ in 0..10 {
        waits.push(unavailable(&store, id).await);
    }
    waits.sort_unstable();
    assert!(waits[5] < Duration::from_secs(1), "{waits:?}");
    server.signal(Signal::CONT);
    recovered(&store, id).await;
}

/// What is under way is bounded, and more waits its turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_requests_is_served() {
    let server = Server::start(&[]);
    let store = Redis::open(&Address::parse(&server.url()).unwrap(), &Options::default()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..5000 {
        let store = store.clone();
        tasks.spawn(async move {
            let rng = Rng::seeded(n);
            let id = log_in(&store, account(&rng), &rng).await;
            assert!(store.read(id).await.unwrap().is_some());
        });
    }
    tasks.join_all().await;
    assert_eq!(store.count().await.unwrap()[0].2, 5000);
}

/// F069: with memory full a login is refused, and everything else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_takes_no_login_and_loses_none() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    let (kept, ended) = (log_in(&store, account(&rng), &rng).await, log_in(&store, account(&rng), &rng).await);
    server.ask(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let refused = store.write(session(&rng), Write::Create(record(account(&rng)))).await.unwrap_err();
    assert_eq!(refused, StoreError::Full);
    assert_eq!(store.write(kept, Write::Touch(now() + Duration::from_secs(9))).await.unwrap_err(), StoreError::Full);
    assert!(store.read(kept).await.unwrap().is_some());
    assert_eq!(store.write(ended, Write::Delete).await.unwrap(), Written::Done(None));
    assert_eq!(store.read(ended).await.unwrap(), None);
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    log_in(&store, account(&rng), &rng).await;
    assert_eq!(store.read(ended).await.unwrap(), None);
}

/// A way to a server that can be cut after a request has gone through and before its answer comes back.
struct Cable {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Cable {
    async fn to(server: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicBool::new(false));
        let armed = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let armed = Arc::clone(&armed);
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                    let (mut there, mut back) = ([0; 4096], [0; 4096]);
                    loop {
                        tokio::select! {
                            sent = near.read(&mut there) => match sent {
                                Ok(n) if n > 0 => far.write_all(&there[..n]).await.unwrap(),
                                _ => return,
                            },
                            answered = far.read(&mut back) => match answered {
                                Ok(n) if n > 0 && !armed.swap(false, Ordering::SeqCst) => {
                                    near.write_all(&back[..n]).await.unwrap();
                                }
                                _ => return,
                            },
                        }
                    }
                });
            }
        });
        Self { port, cut }
    }

    /// The next answer is lost, and the connection with it.
    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    fn was_cut(&self) -> bool {
        !self.cut.load(Ordering::SeqCst)
    }
}

/// R24: a rotation that is done when a server wakes was done then, and not when it was asked for: whoever repeats at once is no
/// thief.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_waited_for_a_server_is_as_young_as_its_answer() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    let rng = Rng::seeded(1);
    let id = log_in(&store, account(&rng), &rng).await;
    // So that the script is known there, and what is sent is one command.
    let rotate = |from| Write::Rotate { from: Generation(from), to: Generation(from + 1), at: None, active: None };
    assert!(matches!(store.write(id, rotate(0)).await.unwrap(), Written::Done(_)));
    server.signal(Signal::STOP);
    let asked = Instant::now();
    store.write(id, rotate(1)).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.signal(Signal::CONT);
    recovered(&store, id).await;
    let found = store.find(id, None).await.unwrap().unwrap();
    assert_eq!(found.record.generation, Generation(2), "it was done all the same");
    // A second of it is what this machine may take to wake it.
    assert!(found.since_rotation + Duration::from_secs(1) < asked.elapsed(), "{:?}", found.since_rotation);
}

/// F124: what was done although its answer was lost is not taken for somebody else's when it is asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_and_told_as_done() {
    let server = Server::start(&[]);
    let cable = Cable::to(server.port).await;
    let store = open(&format!("redis://127.0.0.1:{}", cable.port)).await;
    let rng = Rng::seeded(1);
    let (id, account) = (session(&rng), account(&rng));
    let first = record(account);
    let rotate = Write::Rotate {
        from: Generation(0),
        to: Generation(1),
        at: Some(now() + Duration::from_secs(9)),
        active: Some(now() + Duration::from_secs(9)),
    };
    for write in [
        Write::Create(first.clone()),
        rotate,
        Write::Touch(now() + Duration::from_secs(20)),
        Write::CarryOver { from: Epoch(0), to: Epoch(3) },
    ] {
        cable.cut();
        let Written::Done(Some(told)) = store.write(id, write.clone()).await.unwrap() else { panic!("{write:?}") };
        assert!(cable.was_cut());
        assert_eq!(store.read(id).await.unwrap(), Some(told));
    }
    assert_eq!(store.list(account, None, 10).await.unwrap().len(), 1, "and the list was brought up to date");
    // Somebody else's is not taken for one's own.
    cable.cut();
    assert!(matches!(store.write(id, Write::Create(first)).await.unwrap(), Written::Conflict(_)));
    cable.cut();
    // Nor by who leaves it to the server when it was.
    tokio::time::sleep(Duration::from_millis(50)).await;
    cable.cut();
    let late = Write::Rotate { from: Generation(0), to: Generation(1), at: None, active: None };
    assert!(matches!(store.write(id, late).await.unwrap(), Written::Conflict(_)));
    cable.cut();
    let next = Write::Rotate { from: Generation(1), to: Generation(2), at: None, active: None };
    assert!(matches!(store.write(id, next).await.unwrap(), Written::Done(Some(_))));
    cable.cut();
    let late = Write::Rotate { from: Generation(0), to: Generation(1), at: Some(now()), active: Some(now()) };
    assert!(matches!(store.write(id, late).await.unwrap(), Written::Conflict(_)));
    cable.cut();
    assert!(store.read(id).await.unwrap().is_some());
    cable.cut();
    assert_eq!(store.write(id, Write::Delete).await.unwrap(), Written::Done(None));
    assert_eq!(store.read(id).await.unwrap(), None);
    cable.cut();
    assert_eq!(store.write(id, Write::Touch(now())).await.unwrap(), Written::Absent);
}
