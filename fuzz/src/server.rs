//! A whole server without a network: real stores, real keys, every layer and handler; and how often its session store was
//! asked, for garbage must never get that far.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use axum::{Router, body::Body};
use cloakroom_core::{
    clock::{Clock, Timestamp},
    credential::{HashParameters, LimitSettings, PoolSettings},
    engine::{Engine, KeySettings, Settings},
    ids::{AccountId, AppTag, SessionId},
    key::MasterSecret,
    method::Method,
    random::Rng,
    revocation::Position,
    session::{Record, Write, Written},
    store::{
        Place, SessionStore, StoreError, Stores, Stretch, Watermark,
        memory::MemorySessions,
        sqlite::{Options, Sqlite},
    },
    verify::CacheBounds,
};
use cloakroom_server::{
    config::{Config, Sources},
    run::router,
    state::ServerState,
};
use http::{Request, Response};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::NOW;

/// A server that answers in this thread.
pub struct Server {
    runtime: Runtime,
    router: Router,
    reads: Arc<AtomicU64>,
    _folder: TempDir,
}

/// The one that all inputs of a run are sent to.
pub static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let sources = Sources::new().data_dir(folder.path().display().to_string());
        let config = Config::load(sources).expect("the defaults are sound");
        let (clock, _) = Clock::manual(NOW);
        let rng = Rng::seeded(4);
        let accounts = Sqlite::open(folder.path(), &Options::default()).expect("a store");
        let reads = Arc::new(AtomicU64::new(0));
        let sessions = Counted { inner: MemorySessions::new(), reads: Arc::clone(&reads) };
        let stores = Stores { accounts: Arc::new(accounts), sessions: Arc::new(sessions), end_deletes: false };
        let parameters = HashParameters::new(7168, 5, 1).expect("they are allowed");
        let settings = Settings {
            issuer: config.issuer(),
            passwords: PoolSettings { parameters, ..PoolSettings::default() },
            limits: LimitSettings::default(),
            cache: CacheBounds::default(),
            ended_capacity: 100_000,
            keys: KeySettings::default(),
            audit_life: std::time::Duration::from_secs(86_400),
        };
        let (master, _) = MasterSecret::generate(&rng);
        let starting = Engine::start(settings, Arc::new(config.apps()), stores, master, clock, rng);
        let engine = runtime.block_on(starting).expect("the engine starts");
        let state = ServerState::new(&config, engine).expect("the address is sound");
        Self { router: router(&state), runtime, reads, _folder: folder }
    }

    /// The answer to a request.
    pub fn answer(&self, request: Request<Body>) -> Response<Body> {
        let asked = self.router.clone().oneshot(request);
        self.runtime.block_on(asked).unwrap_or_else(|never| match never {})
    }

    /// How often a session was read or written so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

struct Counted {
    inner: MemorySessions,
    reads: Arc<AtomicU64>,
}

impl Counted {
    fn inner(&self) -> &MemorySessions {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.inner
    }
}

#[async_trait]
impl SessionStore for Counted {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        self.inner().read(id).await
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        self.inner().write(id, write).await
    }

    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        self.inner().touch(touches).await
    }

    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.inner().list(account, before, limit).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.inner.sweep(now, limit).await
    }

    async fn watermark(&self) -> Result<Watermark, StoreError> {
        self.inner.watermark().await
    }

    async fn advance_watermark(&self, from: &Watermark, to: Position) -> Result<(), StoreError> {
        self.inner.advance_watermark(from, to).await
    }

    async fn walk(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError> {
        self.inner().walk(from, limit).await
    }

    async fn count(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        self.inner().count().await
    }
}
