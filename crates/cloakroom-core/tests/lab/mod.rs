//! A small login system for tests: real SQLite in a folder of its own, a clock that is moved by hand.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod held;
pub(crate) mod socket;

use std::sync::Arc;

use cloakroom_core::{
    app::{Admission, App, Apps, Registration},
    clock::{Clock, ManualClock, Timestamp},
    credential::{HashParameters, LimitSettings, LoginPassword, PoolSettings},
    engine::{Client, Credentials, Engine, KeySettings, LoginRequest, Others, Renewed, Settings, SignedIn, StartError},
    ids::AppId,
    key::MasterSecret,
    method::Method,
    random::Rng,
    refusal::{Reason, Refusal},
    store::{
        StoreError, Stores,
        sqlite::{Options, Sqlite},
    },
    token::Algorithm,
    verify::{Activity, CacheBounds, Identity, Question},
};
use std::time::Duration;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) struct Lab {
    pub(crate) engine: Arc<Engine>,
    pub(crate) hands: ManualClock,
    pub(crate) client: Client,
    pub(crate) dir: tempfile::TempDir,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl Fn(&mut App)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hands) = Clock::manual(START);
        let engine = open(dir.path(), clock, change).await;
        Self::of(engine, hands, dir)
    }

    /// Another server of these stores, with the secret of a folder, on a machine whose clock shows this.
    pub(crate) async fn beside(stores: Stores, secret: &std::path::Path, wall: Timestamp) -> Self {
        let (clock, hands) = Clock::manual_machine(wall);
        let engine = open_on(stores, secret, clock, |_| {}).await.unwrap();
        Self::of(engine, hands, tempfile::tempdir().unwrap())
    }

    /// The server stops, and starts when the clock shows this.
    pub(crate) async fn restart(self, wall: Timestamp) -> Self {
        let Self { engine, dir, .. } = self;
        drop(engine);
        let (clock, hands) = Clock::manual(wall);
        // What writes the last audit lines lets go of the store a moment later.
        let store = loop {
            match Sqlite::open(dir.path(), &Options::default()) {
                Err(StoreError::InUse(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                opened => break opened.unwrap(),
            }
        };
        let engine = open_on(store.stores(), dir.path(), clock, |_| {}).await.unwrap();
        Self::of(engine, hands, dir)
    }

    fn of(engine: Arc<Engine>, hands: ManualClock, dir: tempfile::TempDir) -> Self {
        Self { engine, hands, client: Client::new(Some([203, 0, 113, 7].into()), Some("curl/8")), dir }
    }

    /// One whose verifier holds at most so many ends.
    pub(crate) async fn start_with_room(ended: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hands) = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let stores = Sqlite::open(dir.path(), &Options::default()).unwrap().stores();
        let engine = open_with_room(ended, stores, dir.path(), clock, |_| {}).await.unwrap();
        Self { engine, hands, client: Client::new(Some([203, 0, 113, 7].into()), Some("curl/8")), dir }
    }

    /// Signs in, and registers before if need be.
    pub(crate) async fn login(&self, name: &str, app: &str) -> SignedIn {
        match self.try_login(name, PASSWORD, app).await {
            Err(refusal) if refusal.reason == Reason::UnknownEmail => {
                let email = cloakroom_core::account::EmailAddress::parse(&format!("{name}@example.org")).unwrap();
                let password = Some(PASSWORD.to_owned().into());
                self.engine.make_account(email, password, None, &self.client).await.unwrap();
                self.try_login(name, PASSWORD, app).await.unwrap()
            }
            other => other.unwrap(),
        }
    }

    pub(crate) async fn try_login(&self, name: &str, password: &str, app: &str) -> Result<SignedIn, Refusal> {
        let request = LoginRequest {
            email: format!("{name}@example.org"),
            password: LoginPassword::parse(password.to_owned()),
            app: Arc::clone(self.engine.app(Some(app))?),
            present: vec![],
            others: Others::GoOn,
        };
        self.engine.login(request, &self.client).await
    }

    /// What is presented with each request.
    pub(crate) fn access(signed_in: &SignedIn) -> String {
        match &signed_in.credentials {
            Credentials::Ticket(ticket) => ticket.expose().to_owned(),
            Credentials::Tokens(tokens) => tokens.access.expose().to_owned(),
        }
    }

    /// What is presented to renew it.
    pub(crate) fn refresh(signed_in: &SignedIn) -> &str {
        match &signed_in.credentials {
            Credentials::Ticket(ticket) => ticket.expose(),
            Credentials::Tokens(tokens) => tokens.refresh.expose(),
        }
    }

    pub(crate) async fn verify(&self, credential: &str) -> Result<Identity, Refusal> {
        let question = Question { credential, app: None, activity: Activity::Active };
        self.engine.verifier().verify(question).await
    }

    pub(crate) async fn renew(&self, token: &str) -> Result<Renewed, Refusal> {
        self.engine.renew(token, None, Activity::Active, &self.client).await
    }
}

pub(crate) async fn open(dir: &std::path::Path, clock: Clock, change: impl Fn(&mut App)) -> Arc<Engine> {
    let stores = Sqlite::open(dir, &Options::default()).unwrap().stores();
    open_on(stores, dir, clock, change).await.unwrap()
}

/// An engine on these stores, with the secret of a folder.
pub(crate) async fn open_on(
    stores: Stores,
    dir: &std::path::Path,
    clock: Clock,
    change: impl Fn(&mut App),
) -> Result<Arc<Engine>, StartError> {
    open_with_room(100_000, stores, dir, clock, change).await
}

/// One whose verifier holds at most so many ends.
pub(crate) async fn open_with_room(
    ended_capacity: usize,
    stores: Stores,
    dir: &std::path::Path,
    clock: Clock,
    change: impl Fn(&mut App),
) -> Result<Arc<Engine>, StartError> {
    let rng = Rng::system();
    let apps = [
        ("web", Method::Session),
        ("api", Method::Jwt),
        ("edge", Method::Phantom),
        ("stateless", Method::JwtStateless),
    ];
    let apps = apps.map(|(id, method)| {
        let mut app = app(id, method);
        change(&mut app);
        app
    });
    let secret = std::fs::read_to_string(dir.join("secret")).unwrap_or_else(|_| {
        let (_, text) = MasterSecret::generate(&rng);
        std::fs::write(dir.join("secret"), text.as_bytes()).unwrap();
        text.to_string()
    });
    let master = MasterSecret::parse(&secret).unwrap();
    let settings = Settings {
        issuer: "http://localhost:8080".to_owned(),
        // Other tests may hold the cores: a hash that gets none is soon taken over.
        passwords: PoolSettings {
            parameters: HashParameters::weak_for_tests(),
            patience: Duration::from_millis(10),
            ..PoolSettings::default()
        },
        limits: LimitSettings::default(),
        cache: CacheBounds::default(),
        ended_capacity,
        keys: KeySettings::default(),
        audit_life: Duration::from_secs(90 * 86_400),
    };
    Engine::start(settings, Arc::new(Apps::new(apps.to_vec()).unwrap()), stores, master, clock, rng).await
}

pub(crate) fn app(id: &str, method: Method) -> App {
    App {
        id: AppId::parse(id).unwrap(),
        method,
        registration: Registration::Open,
        admission: Admission::default(),
        origins: vec!["http://localhost:8080".to_owned()],
        idle_timeout: Duration::from_secs(7 * 86_400),
        absolute_timeout: Duration::from_secs(30 * 86_400),
        access_token_lifetime: Duration::from_secs(300),
        refresh_grace: Duration::from_secs(30),
        migrate_from: Vec::new(),
        max_revocation_lag: Duration::from_secs(2),
        on_feed_loss: method.properties().on_feed_loss,
        algorithm: Algorithm::EdDsa,
    }
}
