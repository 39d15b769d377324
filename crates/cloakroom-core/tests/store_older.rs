//! Stores of sessions that come from a time which the log of what has ended no longer reaches: they are not used, neither at a
//! start nor when they come back under a server that runs.

mod lab;

use std::{sync::Arc, time::Duration};

use cloakroom_core::{
    app::Apps,
    clock::{Clock, ManualClock, Timestamp},
    engine::{Client, Engine, StartError, Which},
    ids::SessionId,
    method::Method,
    random::Rng,
    refusal::Reason,
    revocation::Hold,
    session::Write,
    store::{
        AccountStore, EndRequest, Moving, SessionStore, StoreError, Stores, check,
        conformance::deletion_at,
        copy::sessions as copy_sessions,
        memory::MemorySessions,
        sqlite::{Options, Sqlite},
    },
};
use lab::{Lab, open_on, socket::Socket};
use tempfile::TempDir;

const DAY: Duration = Duration::from_hours(24);

/// A server whose sessions are in a [`Socket`].
struct Apart {
    lab: Lab,
    socket: Socket,
    accounts: Sqlite,
    clock: Clock,
}

impl Apart {
    async fn start() -> Self {
        let (clock, hands) = Clock::manual(Timestamp::from_secs(1_700_000_000));
        let dir = tempfile::tempdir().unwrap();
        let accounts = Sqlite::open(dir.path(), &Options::default()).unwrap();
        let socket = Socket::new();
        let engine = start(&accounts, Arc::new(socket.clone()), &dir, &clock).await.unwrap();
        let lab = Lab { engine, hands, client: Client::new(None, None), dir };
        Self { lab, socket, accounts, clock }
    }

    /// Another server on the same stores.
    async fn start_another(&self) -> Result<Arc<Engine>, StartError> {
        start(&self.accounts, Arc::new(self.socket.clone()), &self.lab.dir, &self.clock).await
    }

    async fn sign_out(&self, credential: &str) {
        assert!(self.lab.engine.sign_out(credential, Which::This, &self.lab.client).await.unwrap());
    }

    /// Days pass, in which the server forgets what nobody needs to know any more.
    async fn days_pass(&self, days: u32) {
        // It has heard of all before, and lets go of all then.
        self.lab.engine.verifier().renew_lease().await.unwrap();
        self.lab.hands.advance(DAY * days);
        self.lab.engine.verifier().renew_lease().await.unwrap();
        self.lab.engine.assert_ends().await.unwrap();
        self.lab.engine.sweep().await.unwrap();
    }
}

async fn start(
    accounts: &Sqlite,
    sessions: Arc<dyn SessionStore>,
    dir: &TempDir,
    clock: &Clock,
) -> Result<Arc<Engine>, StartError> {
    let stores = Stores { accounts: Arc::new(accounts.clone()), sessions, end_deletes: false };
    open_on(stores, dir.path(), clock.clone(), |_| {}).await
}

fn is_too_old(started: &Result<Arc<Engine>, StartError>) -> bool {
    matches!(started, Err(StartError::Store(StoreError::TooOld(_))))
}

/// R20: an old copy under a running server brings nobody back, and does not hide what it is from later starts.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_store_that_comes_back_under_a_server_is_not_used() {
    let apart = Apart::start().await;
    let lab = &apart.lab;
    let (ended, goes_on) = (lab.login("ada", "web").await, lab.login("eve", "web").await);
    let (ended, goes_on) = (Lab::access(&ended), Lab::access(&goes_on));
    lab.engine.assert_ends().await.unwrap();
    let old = apart.socket.copy().await;
    apart.sign_out(&ended).await;
    apart.days_pass(3).await;
    assert_eq!(lab.verify(&ended).await.unwrap_err().reason, Reason::NoSession);

    let present = apart.socket.put(&old);
    // Before anybody has looked, it is not seen.
    lab.verify(&ended).await.unwrap();
    for _ in 0..2 {
        let error = lab.engine.assert_ends().await.unwrap_err();
        assert!(matches!(error, StoreError::TooOld(_)) && error.to_string().contains("empty it"), "{error}");
        // Not from what was read in between, nor for those whose sessions would be good.
        for credential in [&ended, &goes_on] {
            assert_eq!(lab.verify(credential).await.unwrap_err().reason, Reason::StoreDown);
        }
        assert_eq!(lab.try_login("ada", lab::PASSWORD, "web").await.unwrap_err().reason, Reason::StoreDown);
        assert!(is_too_old(&apart.start_another().await));
    }
    assert_eq!(lab.engine.refused_sessions().unwrap().pruned, 1);

    // The remedies: a newer copy, or an empty store.
    apart.socket.put(&present);
    lab.engine.assert_ends().await.unwrap();
    assert_eq!(lab.engine.refused_sessions(), None);
    lab.verify(&goes_on).await.unwrap();
    assert_eq!(lab.verify(&ended).await.unwrap_err().reason, Reason::NoSession);
    apart.socket.put(&old);
    lab.engine.assert_ends().await.unwrap_err();
    apart.socket.put(&Arc::new(MemorySessions::new()));
    lab.engine.assert_ends().await.unwrap();
    assert_eq!(lab.verify(&goes_on).await.unwrap_err().reason, Reason::NoSession);
    lab.login("eve", "web").await;
    apart.start_another().await.unwrap();
}

/// R20: after a failover or restore of the log a store is as old as before.
#[tokio::test(flavor = "multi_thread")]
async fn another_incarnation_of_the_log_hides_no_older_store_and_refuses_no_newer_one() {
    let apart = Apart::start().await;
    let lab = &apart.lab;
    let (ended, goes_on) = (lab.login("ada", "web").await, lab.login("eve", "web").await);
    lab.engine.assert_ends().await.unwrap();
    let old = apart.socket.copy().await;
    apart.sign_out(&Lab::access(&ended)).await;
    apart.days_pass(3).await;
    for written in [false, true] {
        apart.accounts.new_incarnation().await.unwrap();
        if written {
            let nobody = SessionId::from_bytes(Rng::system().bytes());
            apart
                .accounts
                .end(&[(EndRequest::Session(nobody), Hold::lasting(DAY))], apart.clock.by_hand())
                .await
                .unwrap();
        }
        let present = apart.socket.put(&old);
        assert!(is_too_old(&apart.start_another().await), "written: {written}");
        apart.socket.put(&present);
        apart.start_another().await.unwrap();
        lab.engine.assert_ends().await.unwrap();
        lab.verify(&Lab::access(&goes_on)).await.unwrap();
    }
    // Twice, with nothing written in between.
    apart.accounts.new_incarnation().await.unwrap();
    lab.engine.assert_ends().await.unwrap();
    apart.accounts.new_incarnation().await.unwrap();
    lab.engine.assert_ends().await.unwrap();
    lab.verify(&Lab::access(&goes_on)).await.unwrap();
}

/// R20: nothing is known of a store that holds sessions and does not say what it has seen; but its youngest are in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_says_nothing_is_used_only_if_the_log_knows_all_about_its_sessions() {
    let apart = Apart::start().await;
    let lab = &apart.lab;
    let (ended, goes_on) = (lab.login("ada", "web").await, lab.login("eve", "web").await);
    apart.sign_out(&Lab::access(&ended)).await;
    let unmarked = async || {
        let store = MemorySessions::new();
        for (id, record) in apart.socket.store().walk(None, 1000).await.unwrap().sessions {
            let _ = store.write(id, Write::Create(record.unwrap())).await.unwrap();
        }
        Arc::new(store)
    };
    // The log still has its first line.
    apart.socket.put(&unmarked().await);
    apart.start_another().await.unwrap();
    apart.days_pass(3).await;
    let young = lab.login("ada", "web").await;
    let present = apart.socket.put(&unmarked().await);
    assert!(is_too_old(&apart.start_another().await));
    lab.engine.assert_ends().await.unwrap_err();
    apart.socket.put(&present);
    lab.engine.assert_ends().await.unwrap();
    // The old one ends; what is left began when the log was as it is.
    apart.sign_out(&Lab::access(&goes_on)).await;
    apart.socket.put(&unmarked().await);
    lab.engine.assert_ends().await.unwrap();
    lab.verify(&Lab::access(&young)).await.unwrap();
}

/// R20: a database that holds sessions and log is as new as the log, whatever it has or has not been told; so a move from it
/// begins whenever it likes.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_were_one_database_with_the_log_can_be_moved_at_any_time() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, hands): (_, ManualClock) = Clock::manual(Timestamp::from_secs(1_700_000_000));
    let both = Sqlite::open(dir.path(), &Options::default()).unwrap();
    let engine = open_on(both.stores(), dir.path(), clock.clone(), |_| {}).await.unwrap();
    let lab = Lab { engine, hands, client: Client::new(None, None), dir };
    let (ended, goes_on) = (lab.login("ada", "web").await, lab.login("eve", "web").await);
    lab.engine.sign_out(&Lab::access(&ended), Which::This, &lab.client).await.unwrap();
    lab.hands.advance(DAY * 3);
    lab.engine.sweep().await.unwrap();
    let new = Arc::new(MemorySessions::new());
    for moving in [
        Moving::new(Arc::new(both.clone()), Arc::clone(&new) as _),
        Moving::new(Arc::clone(&new) as _, Arc::new(both.clone())),
    ] {
        start(&both, Arc::new(moving), &lab.dir, &clock).await.unwrap();
    }
    let copied = copy_sessions(&both, &*new, &both, deletion_at(clock.now()), |_| {}).await.unwrap();
    assert_eq!(copied.made, 1);
    let engine = start(&both, new, &lab.dir, &clock).await.unwrap();
    let lab = Lab { engine, ..lab };
    lab.verify(&Lab::access(&goes_on)).await.unwrap();
}

/// R20: what is not used by servers is not copied either, and is told by `store check`.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_store_is_told_when_it_is_checked_or_copied() {
    let apart = Apart::start().await;
    let lab = &apart.lab;
    let ended = lab.login("ada", "web").await;
    lab.engine.assert_ends().await.unwrap();
    let old = apart.socket.copy().await;
    apart.sign_out(&Lab::access(&ended)).await;
    apart.days_pass(3).await;
    apart.accounts.new_incarnation().await.unwrap();
    let (now, apps) = (apart.clock.now(), Apps::new(vec![lab::app("web", Method::Session)]).unwrap());
    let found = check::look(&apart.accounts, &*old, &apps, Some(now)).await.unwrap();
    assert_eq!(found.too_old.map(|old| (old.seen, old.pruned)), Some((Some(0), 1)));
    let new = MemorySessions::new();
    for (from, to) in [(&*old, &new), (&new, &*old)] {
        let refused = copy_sessions(from, to, &apart.accounts, deletion_at(now), |_| {}).await.unwrap_err();
        assert!(matches!(refused, StoreError::TooOld(_)), "{refused}");
    }
    assert!(new.is_empty());
    let found = check::look(&apart.accounts, &apart.socket, &apps, Some(now)).await.unwrap();
    assert_eq!(found.too_old, None);
}

/// R20: a copy that was broken off leaves a store behind that can be copied into again, and that says how old it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_broken_off_is_as_old_as_what_was_copied() {
    let apart = Apart::start().await;
    let lab = &apart.lab;
    let goes_on = lab.login("eve", "web").await;
    apart.days_pass(3).await;
    let new = MemorySessions::new();
    for _ in 0..2 {
        let broken_off = std::panic::AssertUnwindSafe(copy_sessions(
            &apart.socket,
            &new,
            &apart.accounts,
            deletion_at(apart.clock.now()),
            |_| panic!("it is killed"),
        ));
        assert!(futures_util::FutureExt::catch_unwind(broken_off).await.is_err());
    }
    assert!(!new.is_empty());
    // By a server that knows the old store only.
    let cut = [(EndRequest::Session(goes_on.session), Hold::lasting(Duration::from_mins(6)))];
    apart.accounts.end(&cut, apart.clock.by_hand()).await.unwrap();
    let _ = apart.socket.write(goes_on.session, Write::Delete).await.unwrap();
    apart.days_pass(3).await;
    let refused =
        copy_sessions(&apart.socket, &new, &apart.accounts, deletion_at(apart.clock.now()), |_| {}).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooOld(_)), "{refused}");
}
