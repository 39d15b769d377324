//! From a configuration to an engine: stores opened, the master secret read, the core's settings filled in.

use std::{io, num::NonZeroUsize, path::PathBuf, sync::Arc};

use cloakroom_core::{
    app::Apps,
    clock::Clock,
    credential::{HashParameters, LimitSettings, ParameterError, PoolSettings, Rate},
    engine::{Engine, KeySettings, Settings, StartError},
    key::{MasterSecrets, SecretError},
    random::Rng,
    store::{
        AccountStore, Moving, SessionStore, StoreError, Stores,
        memory::MemorySessions,
        postgres::{self, Postgres},
        redis::{self, Redis},
        sqlite::{DirectoryLock, Options, Sqlite},
    },
    verify::CacheBounds,
};
use thiserror::Error;

use crate::{
    config::{AccountsAt, Config, RateConfig, SecretFileError, SessionsAt},
    control::{self, Pending},
};

/// Why a configured system cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The master secret cannot be read or made.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// What an interrupted `key rewrap --generate` left cannot be read or put into its place.
    #[error("the new master secret beside the old one's file cannot be used: {0}")]
    Pending(#[source] io::Error),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data directory cannot be written.
    #[error("the data directory {}: {error}; {}", .path.display(), remedy(.error))]
    Unwritable {
        /// The directory.
        path: PathBuf,
        /// What the store says.
        error: StoreError,
    },
    /// The password parameters are out of bounds.
    #[error("password: {0}")]
    Passwords(#[from] ParameterError),
    /// The engine does not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Opens what a configuration names. The data directory is locked before anything in it is made or read.
pub async fn open(config: &Config, clock: Clock, rng: Rng) -> Result<Arc<Engine>, OpenError> {
    let parts = Parts::of(config).await?;
    let secrets = config.master_secrets(&rng)?;
    let started = parts.start(secrets, clock.clone(), rng.clone()).await;
    if !matches!(started, Err(StartError::Secret(SecretError::Wrong))) {
        return Ok(started?);
    }
    // Perhaps `key rewrap --generate` was interrupted between the store and the file.
    let Some(Pending { secret, place }) = control::pending(config).map_err(OpenError::Pending)? else {
        return Ok(started?);
    };
    let engine = parts.start(secret.into(), clock, rng).await?;
    place.adopt().map_err(OpenError::Pending)?;
    tracing::warn!("an interrupted change of the master secret was finished");
    Ok(engine)
}

/// What can be opened without the master secret.
struct Parts {
    stores: Stores,
    settings: Settings,
    apps: Arc<Apps>,
}

impl Parts {
    async fn of(config: &Config) -> Result<Self, OpenError> {
        let stores = stores(config).await?;
        Ok(Self { stores, settings: settings(config)?, apps: Arc::new(config.apps()) })
    }

    async fn start(&self, secrets: MasterSecrets, clock: Clock, rng: Rng) -> Result<Arc<Engine>, StartError> {
        let (settings, apps) = (self.settings.clone(), Arc::clone(&self.apps));
        Engine::start(settings, apps, self.stores.clone(), secrets, clock, rng).await
    }
}

async fn stores(config: &Config) -> Result<Stores, OpenError> {
    let store = &config.store;
    let mut opened = Opened { config, sqlite: None, postgres: None };
    let accounts: Arc<dyn AccountStore> = match &store.accounts {
        AccountsAt::Sqlite => Arc::new(opened.sqlite().await?),
        AccountsAt::Postgres(url) => {
            let postgres = Postgres::open(url).await?;
            opened.postgres = Some((url, postgres.clone()));
            Arc::new(postgres)
        }
    };
    let (main, one) = opened.sessions(&store.sessions).await?;
    let (sessions, end_deletes): (Arc<dyn SessionStore>, _) = match &store.other_sessions {
        None => (main, one),
        Some(at) => (Arc::new(Moving::new(main, opened.sessions(at).await?.0)), false),
    };
    if opened.postgres.is_some() && matches!(store.sessions, SessionsAt::Sqlite | SessionsAt::Memory) {
        tracing::warn!(
            "the accounts are in PostgreSQL, but sessions stay with this server: no other server that shares the accounts may \
             serve them; store.sessions = \"postgres://…\" or \"redis://…\" shares them too"
        );
    }
    Ok(Stores { accounts, sessions, end_deletes })
}

/// What holds the accounts, and may hold sessions too.
struct Opened<'a> {
    config: &'a Config,
    sqlite: Option<Sqlite>,
    postgres: Option<(&'a postgres::Url, Postgres)>,
}

impl Opened<'_> {
    /// The database of the data directory, which is opened once.
    async fn sqlite(&mut self) -> Result<Sqlite, OpenError> {
        let opened = match self.sqlite.take() {
            Some(opened) => opened,
            None => sqlite(self.config).await?,
        };
        self.sqlite = Some(opened.clone());
        Ok(opened)
    }

    /// A store of sessions, and whether it is one database with the accounts.
    async fn sessions(&mut self, at: &SessionsAt) -> Result<(Arc<dyn SessionStore>, bool), OpenError> {
        Ok(match at {
            SessionsAt::Sqlite => (Arc::new(self.sqlite().await?), self.config.store.accounts == AccountsAt::Sqlite),
            SessionsAt::Memory => (Arc::new(MemorySessions::new()), false),
            SessionsAt::Redis(address) => (Arc::new(Redis::open(address, &redis::Options::default()).await?), false),
            SessionsAt::Postgres(url) => {
                if let Some((accounts_url, postgres)) = &self.postgres
                    && **accounts_url == **url
                {
                    return Ok((Arc::new(postgres.clone()), true));
                }
                let apart = Postgres::open(url).await?;
                // Two URLs may name one database.
                match &self.postgres {
                    Some((_, postgres)) if postgres.is_same(&apart).await? => (Arc::new(postgres.clone()), true),
                    _ => (Arc::new(apart), false),
                }
            }
        })
    }
}

async fn sqlite(config: &Config) -> Result<Sqlite, OpenError> {
    let directory = config.data_dir.clone();
    let opening = tokio::task::spawn_blocking(move || Sqlite::open(&directory, &Options::default()));
    let opened = opening.await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    opened.map_err(|error| in_directory(config, error))
}

/// Takes the data directory for a server, where none of its stores does that.
pub(crate) fn lock(config: &Config) -> Result<Option<DirectoryLock>, OpenError> {
    let store = &config.store;
    let embedded = [Some(&store.sessions), store.other_sessions.as_ref()].contains(&Some(&SessionsAt::Sqlite));
    if store.accounts == AccountsAt::Sqlite || embedded {
        return Ok(None);
    }
    DirectoryLock::take(&config.data_dir).map(Some).map_err(|error| in_directory(config, error))
}

fn in_directory(config: &Config, error: StoreError) -> OpenError {
    match error {
        StoreError::Full | StoreError::ReadOnly => OpenError::Unwritable { path: config.data_dir.clone(), error },
        error => error.into(),
    }
}

fn remedy(error: &StoreError) -> &'static str {
    match error {
        StoreError::Full => "make room on its disk",
        _ => "make it writable for the user that the server runs as",
    }
}

fn settings(config: &Config) -> Result<Settings, ParameterError> {
    let password = &config.password;
    let limits = &config.limits;
    let rate = |rate: RateConfig| Rate::new(rate.burst, rate.refill);
    Ok(Settings {
        issuer: config.issuer(),
        passwords: PoolSettings {
            parameters: HashParameters::new(password.memory_kib, password.passes, password.lanes)?,
            threads: NonZeroUsize::new(password.threads).unwrap_or(NonZeroUsize::MIN),
            queue: password.queue,
            ..PoolSettings::default()
        },
        limits: LimitSettings {
            account: rate(limits.failures_per_account),
            network: rate(limits.failures_per_network),
            familiar: rate(limits.failures_per_familiar_network),
            registration: rate(limits.registrations_per_network),
            capacity: limits.capacity,
        },
        cache: CacheBounds {
            entries: config.cache.entries,
            bytes: usize::try_from(config.cache.bytes).unwrap_or(usize::MAX),
        },
        ended_capacity: config.revocation.capacity,
        keys: KeySettings { rotation: config.keys.rotation },
        audit_life: config.audit.keep,
    })
}
