//! R13: a synchronous standby that does not answer. What is acknowledged has reached it, whoever wrote it; what waits for it is
//! few, and stops neither reads nor leases.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cloakroom_core::{
    account::{Account, AccountState, EmailAddress},
    app::App,
    clock::Clock,
    credential::LoginPassword,
    engine::{Client, Engine, LoginRequest, Others, Proof, SignedIn, Which},
    ids::{AccountId, Epoch, Kid},
    key::{KeyRow, Purpose, WrappedKey},
    method::Method,
    random::Rng,
    refusal::{Reason, Refusal},
    revocation::{Hold, Since},
    session::{Write, Written},
    store::{
        AccountChange, AccountStore, Basis, Creation, EndRequest, KeyChange, NewAccount, SessionStore, StoreError,
        postgres::Postgres,
    },
    verify::{Activity, Identity, Question},
};
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};

use crate::{
    DAY, NOW,
    cluster::{Cluster, Stalled},
    fresh, lab,
    lab::PASSWORD,
    log_in, register,
};

const POOL: usize = 8;
/// How many commits may wait.
const MOST: i64 = 2;

/// An engine over a primary whose commits wait for a standby.
struct Rig {
    primary: Cluster,
    standby: Cluster,
    store: Postgres,
    engine: Arc<Engine>,
    client: Client,
    clock: Clock,
    secret: TempDir,
}

impl Rig {
    async fn start() -> Self {
        let primary = Cluster::start(&["fsync = off", "max_wal_senders = 5", "wal_sender_timeout = 0"]).await;
        let standby = primary.standby().await;
        primary.demand_standby().await;
        let (clock, _) = Clock::manual(NOW);
        let secret = TempDir::new().unwrap();
        let store = Postgres::open(&primary.url(&impatient())).await.unwrap();
        let engine = lab::open_on(store.stores(), secret.path(), clock.clone(), |_| {}).await.unwrap();
        let client = Client::new(Some([203, 0, 113, 7].into()), Some("curl/8"));
        Self { primary, standby, store, engine, client, clock, secret }
    }

    async fn register(&self, name: &str) -> Result<(), Refusal> {
        let email = EmailAddress::parse(&format!("{name}@example.org")).unwrap();
        let password = Some(PASSWORD.to_owned().into());
        self.engine.make_account(email, password, None, &self.client).await.map(drop)
    }

    async fn login(&self, name: &str, app: &str) -> SignedIn {
        let request = LoginRequest {
            email: format!("{name}@example.org"),
            password: LoginPassword::parse(PASSWORD.to_owned()),
            app: Arc::clone(self.engine.app(Some(app)).unwrap()),
            present: vec![],
            others: Others::GoOn,
        };
        self.engine.login(request, &self.client).await.unwrap()
    }

    /// Signs out by what was given for that.
    async fn sign_out(&self, signed_in: &SignedIn) -> Result<bool, Refusal> {
        // What the log shows is heard first, as it would be a moment later.
        self.engine.verifier().renew_lease().await.unwrap();
        self.engine.sign_out(&given(signed_in), Which::This, &self.client).await
    }

    async fn identity(&self, signed_in: &SignedIn) -> Identity {
        let question = Question { credential: &given(signed_in), app: None, activity: Activity::Active };
        self.engine.verifier().verify(question).await.unwrap()
    }

    /// The same server after `web` was given another method.
    async fn with_tokens(&self) -> Arc<Engine> {
        let change = |app: &mut App| {
            if app.id.as_str() == "web" {
                (app.method, app.migrate_from) = (Method::Jwt, vec![Method::Session]);
            }
        };
        lab::open_on(self.store.stores(), self.secret.path(), self.clock.clone(), change).await.unwrap()
    }

    /// The primary dies, and the standby goes on without what it had not received.
    async fn fail_over(&mut self, stalled: Stalled) -> Arc<Engine> {
        self.primary.kill();
        stalled.lose();
        self.standby.promote().await;
        let store = Postgres::open(&self.standby.url(&impatient())).await.unwrap();
        lab::open_on(store.stores(), self.secret.path(), self.clock.clone(), |_| {}).await.unwrap()
    }

    /// How many commits wait for the standby.
    async fn waiting_commits(&self) -> i64 {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        self.primary.connect().await.unwrap().query_one(waiting, &[]).await.unwrap().get(0)
    }

    /// An operator of the database does what the server must not: ends the waits, and so shows what no standby has.
    async fn show_what_waits(&self) {
        let tool = self.primary.connect().await.unwrap();
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        // Audit lines that could not be written are written again.
        while tool.execute(cancel, &[]).await.unwrap() > 0 {
            pause().await;
        }
    }
}

fn impatient() -> String {
    format!("pool_size={POOL}&connect_timeout=10&statement_timeout=1")
}

/// What signs out.
fn given(signed_in: &SignedIn) -> String {
    lab::Lab::refresh(signed_in).to_owned()
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Asks while the standby stalls, shows what waits by then, and asks again.
macro_rules! refused_twice {
    ($rig:ident, $ask:expr, $refused:ident) => {
        $refused(&$ask.await);
        $rig.show_what_waits().await;
        $refused(&$ask.await);
    };
}

fn is_unavailable<T: std::fmt::Debug>(answer: &Result<T, Refusal>) {
    match answer {
        Err(refusal) => {
            assert_eq!(refusal.reason, Reason::StoreDown);
            assert!(refusal.retry_after.is_some(), "it says when to come again");
        }
        Ok(answer) => panic!("acknowledged though no standby has it: {answer:?}"),
    }
}

fn is_refused<T: std::fmt::Debug>(answer: &Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
}

/// R13: the standby's link stalls, a sign-out waits, its client gives up and repeats; then the primary dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_that_was_acknowledged_outlives_a_failover_to_a_synchronous_standby() {
    let mut rig = Rig::start().await;
    rig.register("ada").await.unwrap();
    let people = [rig.login("ada", "web").await, rig.login("ada", "stateless").await];
    let stalled = rig.standby.stall();
    let mut acknowledged = [false; 2];
    for (person, acknowledged) in people.iter().zip(&mut acknowledged) {
        for _ in 0..3 {
            *acknowledged |= rig.sign_out(person).await.is_ok();
        }
    }
    assert_eq!(rig.store.log_head().await.unwrap().sequence, 0, "what no standby has is shown to nobody");
    let engine = rig.fail_over(stalled).await;
    for (person, acknowledged) in people.iter().zip(acknowledged) {
        let lives = match person.method {
            Method::Session => {
                let question = Question { credential: &given(person), app: None, activity: Activity::Active };
                engine.verifier().verify(question).await.is_ok()
            }
            _ => engine.renew(&given(person), None, Activity::Active, &rig.client).await.is_ok(),
        };
        assert!(!(acknowledged && lives), "{}: an acknowledged sign-out was lost", person.method.name());
    }
}

/// R13: the wait was ended by somebody who may, or by a restart. What no standby has is shown then, and whoever repeats their
/// request is not told that it is done.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_wrote_is_not_acknowledged_before_it_is_durable() {
    let rig = Rig::start().await;
    rig.register("ada").await.unwrap();
    let [web, stateless] = [rig.login("ada", "web").await, rig.login("ada", "stateless").await];
    let [old, device] = [rig.login("ada", "web").await, rig.login("ada", "web").await];
    let own = rig.identity(&rig.login("ada", "web").await).await;
    let tokens = rig.with_tokens().await;
    let app = tokens.app(Some("web")).unwrap();
    let ticket = given(&old);
    let exchange = || tokens.exchange(&ticket, app, &rig.client);
    let end_device = || async {
        rig.engine.verifier().renew_lease().await.unwrap();
        rig.engine.end_own(&own, device.session, Proof::SignIn, &rig.client).await
    };
    let stalled = rig.standby.stall();
    refused_twice!(rig, rig.sign_out(&web), is_unavailable);
    refused_twice!(rig, rig.sign_out(&stateless), is_unavailable);
    refused_twice!(rig, end_device(), is_unavailable);
    refused_twice!(rig, rig.register("bob"), is_unavailable);
    refused_twice!(rig, exchange(), is_unavailable);
    drop(stalled);
    assert!(rig.sign_out(&web).await.unwrap() && rig.sign_out(&stateless).await.unwrap());
    assert!(!end_device().await.unwrap(), "it is none of the account's any more");
    assert_eq!(rig.register("bob").await.unwrap_err().reason, Reason::EmailTaken);
    assert_eq!(exchange().await.unwrap().method, Method::Jwt);
}

/// R13: PostgreSQL calls a commit done whose wait somebody has ended, and adds a warning.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_wait_was_ended_is_not_acknowledged() {
    let rig = Rig::start().await;
    let store = Postgres::open(&rig.primary.url("pool_size=4&connect_timeout=60&statement_timeout=60")).await.unwrap();
    let rng = Rng::system();
    let account = register(&store, "ada@example.com", &rng).await;
    let stalled = rig.standby.stall();
    let (id, record) = fresh(&rng);
    let writes: [(_, JoinHandle<Result<(), StoreError>>); 3] = [
        ("a statement", {
            let store = store.clone();
            tokio::spawn(async move { store.write(id, Write::Create(record)).await.map(drop) })
        }),
        ("a batch", {
            let store = store.clone();
            tokio::spawn(async move {
                store.end(&[(EndRequest::Account(account, Basis::Operator), Hold::lasting(DAY))], None).await.map(drop)
            })
        }),
        ("a wait for others", {
            let store = store.clone();
            tokio::spawn(async move { store.settled().await })
        }),
    ];
    for (what, write) in writes {
        while !write.is_finished() {
            rig.show_what_waits().await;
            pause().await;
        }
        let answer = write.await.unwrap();
        assert!(matches!(&answer, Err(StoreError::Unavailable(why)) if why.contains("standby")), "{what}: {answer:?}");
    }
    drop(stalled);
    assert!(store.read(id).await.unwrap().is_some(), "it may be done all the same");
    log_in(&store, &rng).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_by_which_commits_do_not_wait_for_the_standby_is_told() {
    let rig = Rig::start().await;
    for (setting, problem) in
        [("on", None), ("remote_apply", None), ("local", Some("local")), ("remote_write", Some("power"))]
    {
        let url = rig.primary.url(&format!("options=-c%20synchronous_commit%3D{setting}"));
        let remarks = Postgres::open(&url).await.unwrap().remarks().await.unwrap();
        let told = remarks.iter().any(|remark| problem.is_some_and(|problem| remark.problem.contains(problem)));
        assert_eq!(told, problem.is_some(), "{setting}: {remarks:?}");
        // The test's server does not sync to its disk.
        assert_eq!(remarks.len(), 1 + usize::from(told), "{setting}: {remarks:?}");
    }
}

/// R13: the store says that there is nothing left to do only when what others did is durable.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_does_not_say_that_something_is_done_before_it_is_durable() {
    let rig = Rig::start().await;
    let (store, rng) = (&rig.store, Rng::system());
    let account = register(store, "ada@example.com", &rng).await;
    let ((ended, _), (id, record)) = (fresh(&rng), fresh(&rng));
    let key = KeyRow {
        kid: Kid::parse("k9").unwrap(),
        purpose: Purpose::Mac,
        ordinal: 9,
        wrapped: WrappedKey::from_bytes(vec![1]),
        created: NOW,
        from: NOW,
        killed: None,
    };
    let stamp = store.keys().await.unwrap().stamp;
    let stalled = rig.standby.stall();
    let end = || async {
        store.end(&[(EndRequest::Session(ended), Hold::lasting(DAY))], None).await.map(|lines| lines.len())
    };
    let create = || async {
        store.write(id, Write::Create(record.clone())).await.map(|written| matches!(written, Written::Done(_)))
    };
    let add_key =
        || async { store.change_keys(&stamp, KeyChange::Add(key.clone()), None).await.map(|lines| lines.is_some()) };
    let remove = || async {
        store
            .change(account, AccountChange::Delete(Basis::Operator), Hold::lasting(DAY), None)
            .await
            .map(|gone| gone.is_some())
    };
    refused_twice!(rig, end(), is_refused);
    refused_twice!(rig, create(), is_refused);
    refused_twice!(rig, add_key(), is_refused);
    refused_twice!(rig, remove(), is_refused);
    is_refused(&store.settled().await);
    drop(stalled);
    store.settled().await.unwrap();
    assert_eq!(end().await.unwrap(), 1);
    assert!(!create().await.unwrap() && !add_key().await.unwrap() && !remove().await.unwrap());
}

/// R13: commits that wait are a quarter of the connections at most, whatever asks. At that bound nothing more is begun, reads and
/// leases go on, and so does everything else when the standby has come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_the_standby_stalls_reads_go_on_and_writes_are_refused_at_a_bound() {
    let rig = Rig::start().await;
    let (store, rng) = (&rig.store, Rng::system());
    let id = log_in(store, &rng).await;
    let stalled = rig.standby.stall();
    let mut writes = JoinSet::new();
    for number in 0..60 {
        let (store, rng) = (store.clone(), Rng::system());
        writes.spawn(async move {
            let (new, record) = fresh(&rng);
            match number % 3 {
                0 => store.write(new, Write::Create(record)).await.map(drop),
                1 => store.end(&[(EndRequest::Session(new), Hold::lasting(DAY))], None).await.map(drop),
                _ => register_anew(&store, number, &rng).await.map(drop),
            }
        });
    }
    let mut most = 0;
    while let Some(written) = tokio::time::timeout(Duration::from_millis(50), writes.join_next()).await.transpose() {
        most = most.max(rig.waiting_commits().await);
        assert!(store.read(id).await.unwrap().is_some(), "reads go on");
        store.log_since(Since::Ever, None).await.expect("leases go on");
        if let Ok(written) = written {
            assert!(matches!(written.unwrap(), Err(StoreError::Unavailable(_))));
        }
    }
    assert_eq!(most, MOST, "so many commits wait, and no more");
    let began = Instant::now();
    for _ in 0..20 {
        assert!(store.write(fresh(&rng).0, Write::Create(fresh(&rng).1)).await.is_err());
    }
    assert!(began.elapsed() < Duration::from_secs(1), "what cannot be begun is refused at once: {:?}", began.elapsed());
    assert_eq!(rig.waiting_commits().await, MOST, "and has not begun");
    let connections = SessionStore::vitals(store)[0].connections.unwrap();
    assert!(connections.open <= POOL, "{connections:?}");
    drop(stalled);
    let until = Instant::now() + Duration::from_secs(30);
    while rig.waiting_commits().await > 0 || store.write(fresh(&rng).0, Write::Create(fresh(&rng).1)).await.is_err() {
        assert!(Instant::now() < until, "and then all is well again");
        pause().await;
    }
    let connections = SessionStore::vitals(store)[0].connections.unwrap();
    assert!(connections.busy == 0 && connections.open <= POOL, "{connections:?}");
}

async fn register_anew(store: &Postgres, number: u32, rng: &Rng) -> Result<Creation, StoreError> {
    let (id, email) = (AccountId::generate(NOW, rng), format!("person{number}@example.org"));
    let email = EmailAddress::parse(&email).unwrap();
    let account = Account { id, email, name: None, state: AccountState::Active, epoch: Epoch(0), created: NOW };
    store.create(NewAccount { account, password: None }).await
}
