//! Operations: what was read is compared, what has begun is finished, and a failure leaves neither orphan nor silence.

mod lab;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cloakroom_core::{
    app::App,
    audit::{Filter, Kind},
    clock::{Clock, Timestamp},
    credential::LoginPassword,
    engine::{BIRTHS_AT_ONCE, Client, Credentials, Engine, LONGEST_WAIT_FOR_BIRTH, LoginRequest, Others, Proof, Which},
    ids::{AccountId, AppTag, SessionId},
    key::{MasterSecret, Purpose},
    method::Method,
    random::Rng,
    refusal::{Code, Reason},
    revocation::Position,
    secret::SecretText,
    session::{Record, Write, Written},
    store::{
        DeletionTime, Place, SessionStore, StoreError, Stores, Stretch, Watermark,
        memory::MemorySessions,
        sqlite::{Options, Sqlite},
    },
    verify::Activity,
};
use futures_util::{FutureExt, future::join_all};
use lab::{
    Lab, PASSWORD, START,
    held::{Held, Moment},
};
use tokio::{sync::Semaphore, task::JoinSet};

const NEW: &str = "seven unlikely otters juggle";

/// Sessions apart from the log, in a store that waits or fails when it is told to.
struct Wayward {
    inner: MemorySessions,
    /// Deletions wait here.
    gate: Semaphore,
    waiting: AtomicUsize,
    takes_none: AtomicBool,
    reads_none: AtomicBool,
    /// What is there stays as it is.
    changes_none: AtomicBool,
}

fn away() -> StoreError {
    StoreError::Unavailable("it was told to be away".to_owned())
}

#[async_trait]
impl SessionStore for Wayward {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        if self.reads_none.load(Ordering::SeqCst) { Err(away()) } else { self.inner.read(id).await }
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        match write {
            Write::Create(_) if self.takes_none.load(Ordering::SeqCst) => return Err(away()),
            Write::Delete | Write::CarryOver { .. } if self.changes_none.load(Ordering::SeqCst) => return Err(away()),
            Write::Delete => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let _turn = self.gate.acquire().await;
            }
            _ => {}
        }
        self.inner.write(id, write).await
    }

    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        self.inner.touch(touches).await
    }

    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.inner.list(account, before, limit).await
    }

    async fn sweep(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        self.inner.sweep(now, limit).await
    }

    async fn watermark(&self) -> Result<Watermark, StoreError> {
        self.inner.watermark().await
    }

    async fn advance_watermark(&self, from: &Watermark, to: Position) -> Result<(), StoreError> {
        self.inner.advance_watermark(from, to).await
    }

    async fn walk(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError> {
        self.inner.walk(from, limit).await
    }

    async fn count(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        self.inner.count().await
    }
}

/// A server whose sessions are in such a store.
async fn apart() -> (Lab, Arc<Wayward>) {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Arc::new(Wayward {
        inner: MemorySessions::new(),
        gate: Semaphore::new(1),
        waiting: AtomicUsize::new(0),
        takes_none: AtomicBool::new(false),
        reads_none: AtomicBool::new(false),
        changes_none: AtomicBool::new(false),
    });
    let accounts = Sqlite::open(dir.path(), &Options::default()).unwrap().stores().accounts;
    let stores = Stores { accounts, sessions: Arc::clone(&sessions) as _, end_deletes: false };
    let (clock, hands) = Clock::manual(START);
    let engine = lab::open_on(stores, dir.path(), clock, |_| {}).await.unwrap();
    (Lab { engine, hands, client: Client::default(), dir }, sessions)
}

/// A server one verb of whose accounts can be held up.
async fn held() -> (Lab, Arc<Held>) {
    let dir = tempfile::tempdir().unwrap();
    let (stores, accounts) = Held::over(Sqlite::open(dir.path(), &Options::default()).unwrap().stores());
    let (clock, hands) = Clock::manual(START);
    let engine = lab::open_on(stores, dir.path(), clock, |_| {}).await.unwrap();
    (Lab { engine, hands, client: Client::default(), dir }, accounts)
}

fn request(engine: &Engine, name: &str, password: &str) -> LoginRequest {
    LoginRequest {
        email: format!("{name}@example.org"),
        password: LoginPassword::parse(password.to_owned()),
        app: Arc::clone(engine.app(Some("web")).unwrap()),
        present: vec![],
        others: Others::GoOn,
    }
}

async fn lines(lab: &Lab, kind: Kind) -> usize {
    lab.engine.flush().await.unwrap();
    let filter = Filter { kind: Some(kind), ..Filter::default() };
    lab.engine.stores().accounts.audit_page(&filter, 1000).await.unwrap().len()
}

/// R2, R17: whatever ended a session, it brings itself back by nothing, though another server still took it for alive.
#[tokio::test]
async fn a_session_that_has_ended_acts_no_more() {
    for how in ["signed out", "everywhere", "by the operator", "its app", "password changed", "disabled and enabled"] {
        for act in ["end the others", "end everything", "change the password", "delete the account"] {
            let lab = Lab::start().await;
            let stolen = lab.login("ada", "web").await;
            let owner = lab.login("ada", "web").await;
            let (engine, client) = (&lab.engine, &lab.client);
            // As another server has it in its near-cache.
            let identity = lab.verify(&Lab::access(&stolen)).await.unwrap();
            let owners = lab.verify(&Lab::access(&owner)).await.unwrap();
            match how {
                "signed out" => drop(engine.sign_out(&Lab::access(&stolen), Which::This, client).await.unwrap()),
                "everywhere" => engine.end_everything(&owners, false, client).await.unwrap(),
                "by the operator" => engine.end_account(stolen.account.id, client).await.unwrap(),
                "its app" => engine.end_app(&stolen.app, None, client).await.unwrap(),
                "password changed" => {
                    let current = LoginPassword::parse(PASSWORD.to_owned());
                    engine.change_password(&owners, current, NEW.to_owned().into(), client).await.unwrap();
                }
                _ => {
                    use cloakroom_core::account::AccountState::{Active, Disabled};
                    engine.set_state(stolen.account.id, Disabled, client).await.unwrap();
                    engine.set_state(stolen.account.id, Active, client).await.unwrap();
                }
            }
            let head = engine.log_head().await.unwrap();
            let password = LoginPassword::parse(PASSWORD.to_owned());
            let refused = match act {
                "end the others" => engine.end_others(&identity, Proof::SignIn, client).await.unwrap_err(),
                "end everything" => engine.end_everything(&identity, false, client).await.unwrap_err(),
                "change the password" => {
                    engine.change_password(&identity, password, NEW.to_owned().into(), client).await.unwrap_err()
                }
                _ => engine.delete_account(&identity, password, client).await.unwrap_err(),
            };
            assert_eq!(refused.code(), Code::SessionRevoked, "{act} by a session that ended: {how}");
            assert_eq!(engine.log_head().await.unwrap(), head, "{act}, {how}: nothing was written");
            assert_eq!(lab.verify(&Lab::access(&stolen)).await.unwrap_err().code(), Code::SessionRevoked);
        }
    }
}

/// R3: of many who change the password by the same old one at once, one succeeds, and the others are told that they did not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_changes_of_a_password_succeeds() {
    let lab = Lab::start().await;
    let mut identities = Vec::new();
    for _ in 0..6 {
        identities.push(lab.verify(&Lab::access(&lab.login("ada", "web").await)).await.unwrap());
    }
    let mut changes = Vec::new();
    for (n, identity) in identities.into_iter().enumerate() {
        let (engine, client) = (Arc::clone(&lab.engine), lab.client.clone());
        changes.push(tokio::spawn(async move {
            let (current, new) = (LoginPassword::parse(PASSWORD.to_owned()), format!("{NEW} number {n}"));
            engine
                .change_password(&identity, current, new.clone().into(), &client)
                .await
                .map(|signed_in| (new, signed_in))
        }));
    }
    let outcomes: Vec<_> = join_all(changes).await.into_iter().map(Result::unwrap).collect();
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert!(lost.iter().all(|lost| lost.as_ref().unwrap_err().code() == Code::SessionRevoked));
    let [Ok((new, signed_in))] = &won[..] else { panic!("one wins, not {}", won.len()) };
    lab.verify(&Lab::access(signed_in)).await.unwrap();
    lab.try_login("ada", new, "web").await.unwrap();
    assert_eq!(lines(&lab, Kind::PasswordChanged).await, 1);
}

/// R4: a sign-out that has begun is finished, though its client hangs up between its two writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_whose_client_hangs_up_is_finished() {
    let (lab, sessions) = apart().await;
    let signed_in = lab.login("ada", "web").await;
    let credential = Lab::access(&signed_in);
    let shut = sessions.gate.acquire().await.unwrap();
    let hung_up = tokio::spawn({
        let (engine, client, credential) = (Arc::clone(&lab.engine), lab.client.clone(), credential.clone());
        async move { engine.sign_out(&credential, Which::This, &client).await }
    });
    while sessions.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    hung_up.abort();
    assert!(hung_up.await.unwrap_err().is_cancelled());
    assert!(sessions.inner.read(signed_in.session).await.unwrap().is_some(), "it stands between its writes");
    assert_eq!(ends_under_way(&lab), 1, "its place is not free before it is finished");
    drop(shut);
    assert_eq!(lab.engine.finish().await, 0);
    assert_eq!(ends_under_way(&lab), 0);
    assert_eq!(sessions.inner.read(signed_in.session).await.unwrap(), None);
    assert_eq!(lines(&lab, Kind::SignedOut).await, 1);
}

fn ends_under_way(lab: &Lab) -> usize {
    lab.engine.occupancy().iter().find(|kind| kind.kind == "end").unwrap().under_way
}

/// R4: what an operator has begun is finished, though they hang up while it is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_keys_or_services_whose_operator_hangs_up_is_finished() {
    for (what, verb, told) in [
        ("a key is rotated", "change_keys", Kind::KeyMade),
        ("a key is killed", "change_keys", Kind::KeyKilled),
        ("the keys are wrapped anew", "change_keys", Kind::KeysRewrapped),
        ("a service is added", "add_service", Kind::ServiceAdded),
        ("a service is removed", "remove_service", Kind::ServiceRemoved),
    ] {
        let (lab, accounts) = held().await;
        let service = lab.engine.add_service("tests", &lab.client).await.unwrap();
        let before = lines(&lab, told).await;
        accounts.hold(verb, Moment::Before);
        let hung_up = tokio::spawn({
            let (engine, client) = (Arc::clone(&lab.engine), lab.client.clone());
            async move {
                match what {
                    "a key is rotated" => assert!(engine.rotate_key(Purpose::Mac).await.unwrap().is_some()),
                    "a key is killed" => engine.kill_key(engine.keys()[0].kid, &client).await.unwrap(),
                    "the keys are wrapped anew" => {
                        let (secret, _) = MasterSecret::generate(&Rng::system());
                        assert!(engine.rewrap_keys(secret, &client).await.unwrap() > 0);
                    }
                    "a service is added" => drop(engine.add_service("more", &client).await.unwrap()),
                    _ => engine.remove_service(&service.id, &client).await.unwrap(),
                }
            }
        });
        accounts.until_waiting(1).await;
        hung_up.abort();
        assert!(hung_up.await.unwrap_err().is_cancelled());
        accounts.let_go();
        assert_eq!(lab.engine.finish().await, 0);
        assert_eq!(lines(&lab, told).await, before + 1, "{what}");
    }
}

/// R5: who hangs up has tried all the same: the attempts count, and the audit log has them.
#[tokio::test(flavor = "multi_thread")]
async fn a_guess_whose_client_hangs_up_counts() {
    for to_sign_in in [true, false] {
        let lab = Lab::start().await;
        let identity = lab.verify(&Lab::access(&lab.login("ada", "web").await)).await.unwrap();
        let guess = async || {
            if to_sign_in {
                lab.engine.login(request(&lab.engine, "ada", "a wrong guess"), &lab.client).await.map(drop)
            } else {
                let guess = Proof::Password(LoginPassword::parse("a wrong guess".to_owned()));
                lab.engine.end_others(&identity, guess, &lab.client).await
            }
        };
        let mut tried = 0;
        let limited = loop {
            // Polled once, and dropped; another thread may have been quick.
            if let Some(Err(refusal)) = Box::pin(guess()).now_or_never()
                && refusal.code() == Code::RateLimited
            {
                break refusal;
            }
            tried += 1;
            assert!(tried < 200, "no limit was met");
            // What was begun goes on without its client.
            while lines(&lab, Kind::SignInRefused).await < tried {
                tokio::task::yield_now().await;
            }
            if lab.engine.limited().iter().any(|(_, times)| *times > 0) {
                break Reason::AccountLimited.into();
            }
        };
        assert_eq!(limited.code(), Code::RateLimited);
        assert!(tried <= 41, "{tried} guesses before the limit");
    }
}

/// R32: a sign-in that fails after its session was stored takes it back, and is told in the audit log.
#[tokio::test]
async fn a_sign_in_that_fails_leaves_neither_orphan_nor_silence() {
    let (lab, sessions) = apart().await;
    let old = lab.login("ada", "web").await;
    let Credentials::Ticket(ticket) = &old.credentials else { panic!("web has tickets") };
    let before = (lines(&lab, Kind::SignInRefused).await, lines(&lab, Kind::SignedIn).await);
    // The session that it replaces cannot be looked up.
    sessions.reads_none.store(true, Ordering::SeqCst);
    let mut again = request(&lab.engine, "ada", PASSWORD);
    again.present = vec![SecretText::new(ticket.expose().to_owned())];
    let refused = lab.engine.login(again, &lab.client).await.unwrap_err();
    assert_eq!(refused.code(), Code::StoreUnavailable);
    sessions.reads_none.store(false, Ordering::SeqCst);
    let left: Vec<_> = sessions.list(old.account.id, None, 10).await.unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, [old.session], "the new session is not there");
    let after = (lines(&lab, Kind::SignInRefused).await, lines(&lab, Kind::SignedIn).await);
    assert_eq!(after, (before.0 + 1, before.1));
}

/// R35: a password that was changed is never answered as if it had not been.
#[tokio::test]
async fn a_changed_password_is_never_denied() {
    let (lab, sessions) = apart().await;
    let signed_in = lab.login("ada", "web").await;
    let identity = lab.verify(&Lab::access(&signed_in)).await.unwrap();
    sessions.takes_none.store(true, Ordering::SeqCst);
    let current = LoginPassword::parse(PASSWORD.to_owned());
    let refused = lab.engine.change_password(&identity, current, NEW.to_owned().into(), &lab.client).await.unwrap_err();
    assert_eq!(refused.reason, Reason::PasswordAnew);
    sessions.takes_none.store(false, Ordering::SeqCst);
    assert_eq!(lab.try_login("ada", PASSWORD, "web").await.unwrap_err().code(), Code::InvalidCredentials);
    lab.try_login("ada", NEW, "web").await.unwrap();
}

/// R35: a sign-out is never denied once the log has it, though the session's own store is away.
#[tokio::test]
async fn a_sign_out_is_never_denied_after_the_deed() {
    let (lab, sessions) = apart().await;
    let (old, other) = (lab.login("ada", "web").await, lab.login("ada", "web").await);
    sessions.changes_none.store(true, Ordering::SeqCst);
    assert!(lab.engine.sign_out(&Lab::access(&old), Which::This, &lab.client).await.unwrap());
    assert_eq!(lab.verify(&Lab::access(&old)).await.unwrap_err().code(), Code::SessionRevoked);
    // A sign-in over an old session is not taken back for it.
    let mut again = request(&lab.engine, "ada", PASSWORD);
    again.present = vec![SecretText::new(Lab::access(&other))];
    let again = lab.engine.login(again, &lab.client).await.unwrap();
    assert_eq!(lab.verify(&Lab::access(&other)).await.unwrap_err().code(), Code::SessionRevoked);
    // Nor is the end of all others; but it takes the session that asked along, and says so.
    let third = lab.login("ada", "web").await;
    let identity = lab.verify(&Lab::access(&again)).await.unwrap();
    let refused = lab.engine.end_others(&identity, Proof::SignIn, &lab.client).await.unwrap_err();
    assert_eq!(refused.code(), Code::SessionRevoked);
    for ended in [&third, &again] {
        assert_eq!(lab.verify(&Lab::access(ended)).await.unwrap_err().code(), Code::SessionRevoked);
    }
}

/// R1: signing in over and over with a known password does not stop its owner from ending those sessions.
#[tokio::test]
async fn beginnings_without_end_keep_nobody_from_a_new_password() {
    let lab = Lab::start().await;
    let (owner, stolen) = (lab.login("ada", "web").await, lab.login("ada", "web").await);
    let identity = lab.verify(&Lab::access(&owner)).await.unwrap();
    for _ in 2..BIRTHS_AT_ONCE {
        lab.login("ada", "web").await;
    }
    let mut flood = JoinSet::new();
    for _ in 0..LONGEST_WAIT_FOR_BIRTH.as_secs() {
        let (engine, client) = (Arc::clone(&lab.engine), lab.client.clone());
        flood.spawn(async move { engine.login(request(&engine, "ada", PASSWORD), &client).await.map(drop) });
    }
    // All of them wait: no later turn is near enough.
    while lab.engine.under_way() == 0 || lab.engine.occupancy()[0].under_way > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.try_login("ada", PASSWORD, "web").await.unwrap_err().code(), Code::RateLimited);
    let current = LoginPassword::parse(PASSWORD.to_owned());
    let anew = lab.engine.change_password(&identity, current, NEW.to_owned().into(), &lab.client).await.unwrap();
    assert_eq!(lab.verify(&Lab::access(&stolen)).await.unwrap_err().code(), Code::SessionRevoked);
    // A sign-in that ends all others does so, though it is refused itself.
    let mut alone = request(&lab.engine, "ada", NEW);
    alone.others = Others::End;
    assert_eq!(lab.engine.login(alone, &lab.client).await.unwrap_err().code(), Code::RateLimited);
    assert_eq!(lab.verify(&Lab::access(&anew)).await.unwrap_err().code(), Code::SessionRevoked);
    flood.shutdown().await;
}

/// R14: what carries an epoch that its account has not been given comes from a history that is lost, and ends with it.
#[tokio::test]
async fn what_comes_from_a_lost_history_is_refused() {
    let mut lab = Lab::start().await;
    lab.login("ada", "web").await;
    lab.engine.end_account(lab.login("ada", "web").await.account.id, &lab.client).await.unwrap();
    let (web, stateless) = (lab.login("ada", "web").await, lab.login("ada", "stateless").await);
    lab.verify(&Lab::access(&web)).await.unwrap();
    // The store goes back to before the raise.
    let file = lab.dir.path().join(Sqlite::FILE);
    lab = lab.restart(START).await;
    rusqlite::Connection::open(file).unwrap().execute("UPDATE accounts SET epoch = 0", []).unwrap();
    lab.hands.advance(Duration::from_secs(301));
    assert_eq!(lab.verify(&Lab::access(&web)).await.unwrap_err().code(), Code::SessionRevoked);
    let Credentials::Tokens(tokens) = &stateless.credentials else { panic!("stateless has tokens") };
    assert_eq!(lab.renew(tokens.refresh.expose()).await.unwrap_err().code(), Code::SessionRevoked);
    // And the next raise does not come to the same number again.
    lab.engine.end_account(web.account.id, &lab.client).await.unwrap();
    assert_eq!(lab.renew(tokens.refresh.expose()).await.unwrap_err().code(), Code::SessionRevoked);
}

/// R38: ending others needs a sign-in of the last ten minutes or the password; ending one's own, or everything, does not.
#[tokio::test]
async fn ending_others_needs_a_recent_proof() {
    let lab = Lab::start().await;
    let (old, other) = (lab.login("ada", "web").await, lab.login("ada", "web").await);
    lab.hands.advance(Duration::from_secs(600));
    let (engine, client) = (&lab.engine, &lab.client);
    let identity = lab.verify(&Lab::access(&old)).await.unwrap();
    let refused = engine.end_own(&identity, other.session, Proof::SignIn, client).await.unwrap_err();
    assert_eq!((refused.code(), refused.max_age), (Code::ReauthenticationRequired, Some(Duration::from_secs(600))));
    let refused = engine.end_others(&identity, Proof::SignIn, client).await.unwrap_err();
    assert_eq!(refused.code(), Code::ReauthenticationRequired);
    let wrong = Proof::Password(LoginPassword::parse("a wrong one".to_owned()));
    assert_eq!(engine.end_others(&identity, wrong, client).await.unwrap_err().code(), Code::InvalidCredentials);
    lab.verify(&Lab::access(&other)).await.unwrap();
    let right = Proof::Password(LoginPassword::parse(PASSWORD.to_owned()));
    engine.end_others(&identity, right, client).await.unwrap();
    assert_eq!(lab.verify(&Lab::access(&other)).await.unwrap_err().code(), Code::SessionRevoked);
    lab.verify(&Lab::access(&old)).await.unwrap();
    // A sign-in ends the others with its own password, and everything ends without any.
    let mut anew = request(engine, "ada", PASSWORD);
    anew.others = Others::End;
    let anew = engine.login(anew, client).await.unwrap();
    assert_eq!(lab.verify(&Lab::access(&old)).await.unwrap_err().code(), Code::SessionRevoked);
    lab.hands.advance(Duration::from_secs(601));
    assert!(engine.sign_out(&Lab::access(&anew), Which::Everywhere, client).await.unwrap());
}

/// R38: an access token alone, which is shown to many, ends everything only soon after its sign-in.
#[tokio::test]
async fn an_old_access_token_alone_does_not_end_everything() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "api").await;
    lab.hands.advance(Duration::from_secs(601));
    let Credentials::Tokens(tokens) = &ada.credentials else { panic!("api has tokens") };
    let renewed = lab.renew(tokens.refresh.expose()).await.unwrap();
    lab.hands.advance(Duration::from_secs(60));
    let access = renewed.tokens.access.expose();
    let refused = lab.engine.sign_out(access, Which::Everywhere, &lab.client).await.unwrap_err();
    assert_eq!(refused.code(), Code::ReauthenticationRequired);
    let identity = lab.verify(access).await.unwrap();
    let refused = lab.engine.end_everything(&identity, true, &lab.client).await.unwrap_err();
    assert_eq!(refused.code(), Code::ReauthenticationRequired);
    // Nor does a refresh token that was replaced long ago.
    let first = tokens.refresh.expose();
    let refused = lab.engine.sign_out(first, Which::Everywhere, &lab.client).await.unwrap_err();
    assert_eq!(refused.code(), Code::ReauthenticationRequired);
    lab.verify(access).await.unwrap();
    assert!(lab.engine.sign_out(renewed.tokens.refresh.expose(), Which::Everywhere, &lab.client).await.unwrap());
    assert_eq!(lab.verify(access).await.unwrap_err().code(), Code::SessionRevoked);
}

/// Another server of the same stores, whose app `web` may be another.
async fn another(lab: &Lab, change: impl Fn(&mut App)) -> Arc<Engine> {
    let change = |app: &mut App| {
        if app.id.as_str() == "web" {
            change(app);
        }
    };
    lab::open_on(lab.engine.stores().clone(), lab.dir.path(), lab.engine.clock().clone(), change).await.unwrap()
}

/// R7: another server ends an app between a sign-in's reading of the app's epoch and the session. That ends with the others, and leaves
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_beside_its_apps_end_is_one_of_those_that_end() {
    for app in ["web", "api", "edge", "stateless"] {
        for all_methods in [true, false] {
            let (lab, accounts) = held().await;
            let other = another(&lab, |_| {}).await;
            let (account, app) =
                (lab.login("ada", app).await.account.id, Arc::clone(lab.engine.app(Some(app)).unwrap()));
            let records = async || lab.engine.stores().sessions.list(account, None, 10).await.unwrap().len();
            let before = records().await;
            accounts.hold("standing", Moment::After);
            let signing_in = tokio::spawn({
                let (engine, client, app) = (Arc::clone(&lab.engine), lab.client.clone(), Arc::clone(&app));
                async move {
                    let request = LoginRequest { app, ..request(&engine, "ada", PASSWORD) };
                    engine.login(request, &client).await
                }
            });
            accounts.until_waiting(1).await;
            accounts.let_others_through();
            other.end_app(&app, (!all_methods).then_some(app.method), &lab.client).await.unwrap();
            accounts.let_go();
            let refused = signing_in.await.unwrap().expect_err("it was admitted before the app's end");
            assert_eq!(refused.code(), Code::SessionRevoked, "{}", app.id);
            assert_eq!(records().await, before, "{}", app.id);
        }
    }
}

/// R7: another server ends the app between an exchange's reading and its line: what was judged before does not outlive that.
#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_beside_its_apps_end_is_one_of_those_that_end() {
    for ended in [None, Some(Method::Session), Some(Method::Jwt)] {
        let (lab, accounts) = held().await;
        let old = lab.login("ada", "web").await;
        let other = another(&lab, |web| (web.method, web.migrate_from) = (Method::Jwt, vec![Method::Session])).await;
        accounts.hold("exchange", Moment::Before);
        let exchanging = tokio::spawn({
            let (engine, client, ticket) = (Arc::clone(&other), lab.client.clone(), Lab::access(&old));
            async move { engine.exchange(&ticket, engine.app(Some("web")).unwrap(), &client).await }
        });
        accounts.until_waiting(1).await;
        accounts.let_others_through();
        lab.engine.end_app(&old.app, ended, &lab.client).await.unwrap();
        accounts.let_go();
        match exchanging.await.unwrap() {
            Err(refused) => assert_eq!(refused.code(), Code::SessionRevoked),
            Ok(new) => {
                assert_eq!(ended, Some(Method::Jwt), "the old session had ended");
                let again = other.renew(Lab::refresh(&new), None, Activity::Active, &lab.client).await;
                assert_eq!(again.unwrap_err().code(), Code::SessionRevoked);
            }
        }
        lab.verify(&Lab::access(&old)).await.expect_err("it has ended");
    }
}
