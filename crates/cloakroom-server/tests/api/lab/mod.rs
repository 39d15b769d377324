//! A running server for tests: in this process, on a free port of loopback, with a folder of its own, the weakest
//! password hashing that a configuration allows, and a clock that is moved by hand.

#![allow(dead_code, reason = "each subject uses a part")]

mod ask;
mod browser;
mod cluster;
mod patience;
mod stream;

use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

use cloakroom_core::{
    audit::{Filter, Stored},
    clock::{Clock, ManualClock, Timestamp},
    engine::{Client, Engine},
    random::Rng,
};
use cloakroom_server::{
    Server,
    config::{Config, Sources},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) use ask::{Answer, Ask};
pub(crate) use browser::Browser;
pub(crate) use cluster::Cluster;
pub(crate) use patience::{metric, until};
pub(crate) use stream::Feed;

pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// One app of each method, as a server without a file has them.
pub(crate) const APPS: [&str; 4] = ["web", "api", "edge", "stateless"];
/// Those that are checked by a look-up, with a ticket in a cookie.
pub(crate) const BY_TICKET: [&str; 2] = ["web", "edge"];
/// Those that are checked by a signature.
pub(crate) const BY_TOKEN: [&str; 2] = ["api", "stateless"];
pub(crate) const START: u64 = 1_800_000_000;

const READY_APPS: &str = "
[[app]]
id = 'web'
method = 'session'
[[app]]
id = 'api'
method = 'jwt'
[[app]]
id = 'edge'
method = 'phantom'
[[app]]
id = 'stateless'
method = 'jwt-stateless'
";

/// A server and what a test holds of it.
pub(crate) struct Lab {
    pub(crate) address: SocketAddr,
    /// `http://localhost:<port>`.
    pub(crate) url: String,
    pub(crate) engine: Arc<Engine>,
    pub(crate) hands: ManualClock,
    clock: Clock,
    dir: tempfile::TempDir,
    registered: Mutex<HashSet<String>>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Lab {
    /// A server with one ready app of each method.
    pub(crate) async fn start() -> Self {
        Self::with("", READY_APPS).await
    }

    /// The ready apps, and more settings at the top.
    pub(crate) async fn with_settings(top: &str) -> Self {
        Self::with(top, READY_APPS).await
    }

    /// Settings at the top, and these apps.
    pub(crate) async fn with(top: &str, apps: &str) -> Self {
        let (clock, hands) = Clock::manual(Timestamp::from_secs(START));
        Self::open(top, apps, tempfile::tempdir().unwrap(), clock, hands).await
    }

    /// As `serve --explain`: the ready apps, and more settings at the top.
    pub(crate) async fn explaining(top: &str) -> Self {
        let (clock, hands) = Clock::manual(Timestamp::from_secs(START));
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path(), top, READY_APPS).expect("the configuration is sound");
        config.explain().expect("it is for loopback");
        Self::run(config, dir, clock, hands).await
    }

    async fn open(top: &str, apps: &str, dir: tempfile::TempDir, clock: Clock, hands: ManualClock) -> Self {
        let config = config(dir.path(), top, apps).expect("the configuration is sound");
        Self::run(config, dir, clock, hands).await
    }

    async fn run(config: Config, dir: tempfile::TempDir, clock: Clock, hands: ManualClock) -> Self {
        let server = Server::bind_with(config, clock.clone(), Rng::system()).await.unwrap();
        let (address, url) = (server.address().unwrap(), server.public_url().to_owned());
        let engine = Arc::clone(server.engine());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        let (stop, running) = (Some(stop), Some(running));
        Self { address, url, engine, hands, clock, dir, registered: Mutex::default(), stop, running }
    }

    /// Another server by the same clock, with a folder of its own.
    pub(crate) async fn beside(&self, top: &str) -> Self {
        self.beside_with(top, READY_APPS).await
    }

    /// The same with these apps.
    pub(crate) async fn beside_with(&self, top: &str, apps: &str) -> Self {
        Self::open(top, apps, tempfile::tempdir().unwrap(), self.clock.clone(), self.hands.clone()).await
    }

    /// Stops the server in order, and starts one with other settings on the same data, at the same public address.
    pub(crate) async fn restart(mut self, top: &str, apps: &str) -> Self {
        self.stop().await;
        let Self { dir, clock, hands, registered, engine, url, .. } = self;
        drop(engine);
        let top = if top.contains("public_url") { top.to_owned() } else { format!("public_url = '{url}'\n{top}") };
        let lab = Self::open(&top, apps, dir, clock, hands).await;
        *lab.registered.lock() = registered.into_inner();
        lab
    }

    /// The same with the ready apps.
    pub(crate) async fn restart_ready(self, top: &str) -> Self {
        self.restart(top, READY_APPS).await
    }

    /// Lets go of everything but the folder, and does something with it then.
    pub(crate) async fn give_up_dir<T, F: Future<Output = T>>(
        self,
        then: impl FnOnce() -> F,
    ) -> (tempfile::TempDir, T) {
        let Self { dir, engine, .. } = self;
        drop(engine);
        (dir, then().await)
    }

    /// Begins an orderly end, and waits for it.
    pub(crate) async fn stop(&mut self) {
        self.begin_stop();
        if let Some(running) = self.running.take() {
            tokio::time::timeout(Duration::from_secs(5), running).await.expect("it stops in time").unwrap();
        }
    }

    pub(crate) fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Time passes.
    pub(crate) fn advance(&self, seconds: u64) {
        self.hands.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now().secs()
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.address, method, path)
    }

    pub(crate) fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Ask {
        self.ask("POST", path)
    }

    pub(crate) fn delete(&self, path: &str) -> Ask {
        self.ask("DELETE", path)
    }

    /// A browser at the server's own pages, with an empty jar.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address, &self.url)
    }

    /// Registers an account; its address is `<name>@example.org`.
    pub(crate) async fn register(&self, name: &str) -> Answer {
        let answer = self.post("/v1/accounts").json(json!({"email": email(name), "password": PASSWORD})).await;
        self.registered.lock().insert(name.to_owned());
        answer
    }

    /// Signs in by a script without a cookie; registers before where need be.
    pub(crate) async fn login(&self, name: &str, app: &str) -> SignedIn {
        let known = self.registered.lock().contains(name);
        if !known {
            assert_eq!(self.register(name).await.status, 201);
        }
        let answer = self.try_login(name, PASSWORD, app).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        SignedIn::read(&answer)
    }

    pub(crate) fn login_request(&self, name: &str, password: &str, app: &str) -> Ask {
        self.post("/v1/login").json(json!({"email": email(name), "password": password, "app": app}))
    }

    pub(crate) async fn try_login(&self, name: &str, password: &str, app: &str) -> Answer {
        self.login_request(name, password, app).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post("/v1/refresh").json(json!({"refresh_token": token})).await
    }

    /// What `/v1/verify` says of a credential.
    pub(crate) async fn verify(&self, credential: &str) -> Answer {
        self.get("/v1/verify").bearer(credential).await
    }

    /// Adds a service; what it sends as `Authorization`.
    pub(crate) async fn service(&self) -> Service {
        let new = self.engine.add_service("tests", &Client::default()).await.unwrap();
        Service { id: new.id, secret: new.secret.expose().to_owned() }
    }

    pub(crate) async fn introspect(&self, service: &Service, token: &str) -> Value {
        let answer = self.post("/oauth/introspect").basic(service).form(&[("token", token)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The audit log, newest first, after all that waits was written.
    pub(crate) async fn audit(&self) -> Vec<Stored> {
        self.engine.flush().await.unwrap();
        self.engine.stores().accounts.audit_page(&Filter::default(), 10_000).await.unwrap()
    }

    pub(crate) fn hashes(&self) -> u64 {
        self.engine.passwords().runs()
    }

    pub(crate) fn data_dir(&self) -> &std::path::Path {
        self.dir.path()
    }
}

/// A service's credential.
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// What a login gave.
#[derive(Clone)]
pub(crate) struct SignedIn {
    pub(crate) body: Value,
    /// `name=value`, for methods with a ticket.
    pub(crate) cookie: Option<String>,
    pub(crate) account: String,
    pub(crate) session: String,
}

impl SignedIn {
    pub(crate) fn read(answer: &Answer) -> Self {
        let body = answer.json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (account, session) = (text(&body["account"]["id"]), text(&body["session"]["id"]));
        Self { cookie: answer.cookies().first().map(ask::SetCookie::pair), account, session, body }
    }

    /// What is presented with each request: the ticket or the access token.
    pub(crate) fn credential(&self) -> &str {
        match self.body["access_token"].as_str() {
            Some(token) => token,
            None => self.cookie.as_deref().and_then(|pair| pair.split_once('=')).expect("a ticket").1,
        }
    }

    pub(crate) fn refresh_token(&self) -> &str {
        self.body["refresh_token"].as_str().expect("a refresh token")
    }
}

/// A variable that `scripts/with-stores` sets.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests by `scripts/with-stores COMMAND`, as in `scripts/with-stores cargo nextest run`")
    })
}

pub(crate) fn email(name: &str) -> String {
    format!("{name}@example.org")
}

/// A configuration in a folder, with the weakest password hashing that is allowed.
pub(crate) fn config(dir: &std::path::Path, top: &str, apps: &str) -> Result<Config, String> {
    let dir = dir.display();
    let text = format!(
        "listen = '127.0.0.1:0'\ndata_dir = '{dir}'\npassword.memory_kib = 7168\npassword.passes = 5\npassword.threads = 2\n{top}\n{apps}"
    );
    Config::load(Sources::new().text("cloakroom.toml", text)).map_err(|errors| errors.to_string())
}
