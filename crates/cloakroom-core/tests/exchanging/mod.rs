//! Several engines over one account store, with sessions in a store of their own that a test can hold up, break and rob.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cloakroom_core::{
    clock::{Clock, ManualClock, Timestamp},
    credential::LoginPassword,
    engine::{Client, Credentials, Engine, LoginRequest, Others, Renewed, SignedIn},
    ids::{AccountId, AppTag, SessionId},
    method::Method,
    refusal::Refusal,
    revocation::Position,
    secret::SecretText,
    session::{Record, Write, Written},
    store::{
        DeletionTime, Place, SessionStore, StoreError, Stores, Stretch, Watermark,
        memory::MemorySessions,
        sqlite::{Options, Sqlite},
    },
    verify::{Activity, Identity, Question},
};
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::lab;
pub(crate) use crate::lab::held::Moment;

pub(crate) struct Lab {
    pub(crate) hands: ManualClock,
    pub(crate) client: Client,
    pub(crate) sessions: Arc<Sessions>,
    accounts: Sqlite,
    clock: Clock,
    dir: tempfile::TempDir,
    /// Where the old sessions began.
    origin: Arc<Engine>,
}

/// Sessions in memory; their records can be slow to make, and the store can fail.
pub(crate) struct Sessions {
    inner: MemorySessions,
    holds: [AtomicBool; 2],
    held: AtomicUsize,
    open: Semaphore,
    /// How many writes still succeed.
    writes: AtomicUsize,
}

impl Lab {
    /// Sessions stand apart from accounts, and begin by this method.
    pub(crate) async fn apart(from: Method) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hands) = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let accounts = Sqlite::open(dir.path(), &Options::default()).unwrap();
        let sessions = Sessions::new();
        let origin = open(&accounts, sessions.clone(), dir.path(), clock.clone(), from).await;
        let client = Client::new(Some([203, 0, 113, 7].into()), Some("curl/8"));
        let lab = Self { hands, client, sessions, accounts, clock, dir, origin };
        let email = cloakroom_core::account::EmailAddress::parse("ada@example.org").unwrap();
        let password = Some(lab::PASSWORD.to_owned().into());
        lab.origin.make_account(email, password, None, &lab.client).await.unwrap();
        lab
    }

    /// Another server, which exchanges sessions of every other method for this one.
    pub(crate) async fn engine(&self, to: Method) -> Arc<Engine> {
        self.engine_over(to, self.sessions.clone()).await
    }

    /// The same over other sessions.
    pub(crate) async fn engine_over(&self, to: Method, sessions: Arc<dyn SessionStore>) -> Arc<Engine> {
        open(&self.accounts, sessions, self.dir.path(), self.clock.clone(), to).await
    }

    /// A session of some age, and its first long-lived credential: where that is a refresh token, it has been replaced.
    pub(crate) async fn log_in_and_rotate(&self) -> (SignedIn, String) {
        let mut old = self.login_over(&self.origin, &[]).await;
        let first = long_lived(&old);
        if matches!(old.credentials, Credentials::Tokens(_)) {
            self.hands.advance(Duration::from_secs(60));
            old.credentials = Credentials::Tokens(self.renew(&self.origin, &first).await.unwrap().tokens);
        }
        self.hands.advance(Duration::from_secs(60));
        (old, first)
    }

    /// What replaces a refresh token.
    pub(crate) async fn rotate(&self, token: &str) -> String {
        let renewed = self.renew(&self.origin, token).await.unwrap();
        self.hands.advance(Duration::from_secs(60));
        renewed.tokens.refresh.expose().to_owned()
    }

    /// Signs in at an engine, with credentials of earlier sessions in the browser.
    pub(crate) async fn login_over(&self, engine: &Arc<Engine>, present: &[&str]) -> SignedIn {
        let request = LoginRequest {
            email: "ada@example.org".to_owned(),
            password: LoginPassword::parse(lab::PASSWORD.to_owned()),
            app: Arc::clone(engine.app(Some("web")).unwrap()),
            present: present.iter().map(|text| SecretText::new((*text).to_owned())).collect(),
            others: Others::GoOn,
        };
        engine.login(request, &self.client).await.unwrap()
    }

    pub(crate) async fn exchange(&self, engine: &Arc<Engine>, credential: &str) -> Result<SignedIn, Refusal> {
        engine.exchange(credential, engine.app(Some("web")).unwrap(), &self.client).await
    }

    /// An exchange whose client can hang up.
    pub(crate) fn exchange_beside(
        &self,
        engine: &Arc<Engine>,
        credential: String,
    ) -> JoinHandle<Result<SignedIn, Refusal>> {
        let (engine, client) = (Arc::clone(engine), self.client.clone());
        tokio::spawn(async move { engine.exchange(&credential, engine.app(Some("web")).unwrap(), &client).await })
    }

    pub(crate) async fn verify(&self, engine: &Arc<Engine>, credential: &str) -> Result<Identity, Refusal> {
        engine.verifier().verify(Question { credential, app: None, activity: Activity::Active }).await
    }

    pub(crate) async fn renew(&self, engine: &Arc<Engine>, token: &str) -> Result<Renewed, Refusal> {
        engine.renew(token, None, Activity::Active, &self.client).await
    }

    /// The servers hear what has ended, as they do within the lag.
    pub(crate) async fn hear(&self, engines: &[&Arc<Engine>]) {
        for engine in engines {
            engine.verifier().renew_lease().await.unwrap();
        }
    }

    /// What has lapsed is removed.
    pub(crate) async fn upkeep(&self) {
        self.origin.sweep().await.unwrap();
    }

    pub(crate) async fn lives(&self, engine: &Arc<Engine>, signed_in: &SignedIn) {
        match &signed_in.credentials {
            Credentials::Ticket(ticket) => drop(self.verify(engine, ticket.expose()).await.expect("it lives")),
            Credentials::Tokens(tokens) => drop(self.renew(engine, tokens.refresh.expose()).await.expect("it lives")),
        }
    }
}

async fn open(
    accounts: &Sqlite,
    sessions: Arc<dyn SessionStore>,
    dir: &std::path::Path,
    clock: Clock,
    method: Method,
) -> Arc<Engine> {
    let stores = Stores { accounts: Arc::new(accounts.clone()), sessions, end_deletes: false };
    let others: Vec<_> = Method::ALL.into_iter().filter(|other| *other != method).collect();
    lab::open_on(stores, dir, clock, |app| {
        if app.id.as_str() == "web" {
            app.method = method;
            app.migrate_from.clone_from(&others);
        }
    })
    .await
    .unwrap()
}

/// What is presented with each request.
pub(crate) fn access(signed_in: &SignedIn) -> String {
    lab::Lab::access(signed_in)
}

/// The ticket, or the refresh token.
pub(crate) fn long_lived(signed_in: &SignedIn) -> String {
    lab::Lab::refresh(signed_in).to_owned()
}

impl Sessions {
    /// An empty store, in which all is well.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemorySessions::new(),
            holds: [false.into(), false.into()],
            held: 0.into(),
            open: Semaphore::new(0),
            writes: usize::MAX.into(),
        })
    }

    /// From now on a record that is made waits.
    pub(crate) fn hold_creations(&self, when: Moment) {
        self.holds[when as usize].store(true, Ordering::SeqCst);
    }

    /// Waits until one waits; `false`: the task has ended without.
    pub(crate) async fn until_held_or<T>(&self, task: &JoinHandle<T>) -> bool {
        while self.held.load(Ordering::SeqCst) == 0 {
            if task.is_finished() {
                return false;
            }
            tokio::task::yield_now().await;
        }
        true
    }

    /// Those that wait wait on, and others do not.
    pub(crate) fn let_others_through(&self) {
        for holds in &self.holds {
            holds.store(false, Ordering::SeqCst);
        }
    }

    /// Nothing waits any more.
    pub(crate) fn let_go(&self) {
        self.let_others_through();
        self.open.add_permits(1000);
    }

    /// So many writes still succeed.
    pub(crate) fn fail_after(&self, writes: usize) {
        self.writes.store(writes, Ordering::SeqCst);
    }

    /// All is well again.
    pub(crate) fn work(&self) {
        self.fail_after(usize::MAX);
        self.let_go();
    }

    /// A record is gone, as after a failover.
    pub(crate) async fn lose(&self, id: SessionId) {
        let _ = self.inner.write(id, Write::Delete).await.unwrap();
    }

    async fn wait(&self, when: Moment) {
        if self.holds[when as usize].load(Ordering::SeqCst) {
            self.held.fetch_add(1, Ordering::SeqCst);
            self.open.acquire().await.unwrap().forget();
        }
    }
}

#[async_trait]
impl SessionStore for Sessions {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        self.inner.read(id).await
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        let left = self.writes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| StoreError::Unavailable("a test has stopped it".to_owned()))?;
        let creates = matches!(write, Write::Create(_));
        if creates {
            self.wait(Moment::Before).await;
        }
        let written = self.inner.write(id, write).await;
        if creates {
            self.wait(Moment::After).await;
        }
        written
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
