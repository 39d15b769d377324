//! From a configuration to an engine: stores opened, the master secret read, the core's settings filled in.

use std::{io, num::NonZeroUsize, path::PathBuf, sync::Arc};

use cloakroom_core::{
    app::Apps,
    clock::Clock,
    credential::{HashParameters, LimitSettings, ParameterError, PoolSettings, Rate},
    engine::{Engine, KeySettings, Settings, StartError},
    key::{MasterSecret, SecretError},
    random::Rng,
    store::{
        AccountStore, SessionStore, StoreError, Stores,
        memory::MemorySessions,
        postgres::Postgres,
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
    let (master, _) = config.master_secret(&rng)?;
    let started = parts.start(master, clock.clone(), rng.clone()).await;
    if !matches!(started, Err(StartError::Secret(SecretError::Wrong))) {
        return Ok(started?);
    }
    // Perhaps `key rewrap --generate` was interrupted between the store and the file.
    let Some(Pending { secret, place }) = control::pending(config).map_err(OpenError::Pending)? else {
        return Ok(started?);
    };
    let engine = parts.start(secret, clock, rng).await?;
    place.adopt().map_err(OpenError::Pending)?;
    tracing::warn!("an interrupted change of the master secret was finished");
    Ok(engine)
}

/// The same under another master secret than the configuration's: for `key rewrap`.
pub async fn open_under(
    master: MasterSecret,
    config: &Config,
    clock: Clock,
    rng: Rng,
) -> Result<Arc<Engine>, OpenError> {
    Ok(Parts::of(config).await?.start(master, clock, rng).await?)
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

    async fn start(&self, master: MasterSecret, clock: Clock, rng: Rng) -> Result<Arc<Engine>, StartError> {
        let (settings, apps) = (self.settings.clone(), Arc::clone(&self.apps));
        Engine::start(settings, apps, self.stores.clone(), master, clock, rng).await
    }
}

async fn stores(config: &Config) -> Result<Stores, OpenError> {
    let (accounts, sessions) = (&config.store.accounts, &config.store.sessions);
    let (accounts, one): (Arc<dyn AccountStore>, _) = match accounts {
        AccountsAt::Sqlite => {
            let sqlite = sqlite(config).await?;
            if *sessions == SessionsAt::Sqlite {
                return Ok(sqlite.stores());
            }
            (Arc::new(sqlite), None)
        }
        AccountsAt::Postgres(url) => {
            let postgres = Postgres::open(url).await?;
            (Arc::new(postgres.clone()), Some((url, postgres)))
        }
    };
    let sessions: Arc<dyn SessionStore> = match sessions {
        SessionsAt::Sqlite => Arc::new(sqlite(config).await?),
        SessionsAt::Memory => Arc::new(MemorySessions::new()),
        SessionsAt::Redis(address) => Arc::new(Redis::open(address, &redis::Options::default()).await?),
        SessionsAt::Postgres(url) => {
            if let Some((accounts_url, postgres)) = &one
                && *accounts_url == url
            {
                return Ok(postgres.stores());
            }
            let apart = Postgres::open(url).await?;
            // Two URLs may name one database.
            if let Some((_, postgres)) = &one
                && postgres.is_same(&apart).await?
            {
                return Ok(postgres.stores());
            }
            Arc::new(apart)
        }
    };
    if one.is_some() && matches!(config.store.sessions, SessionsAt::Sqlite | SessionsAt::Memory) {
        tracing::warn!(
            "the accounts are in PostgreSQL, but sessions stay with this server: no other server that shares the accounts may \
             serve them; store.sessions = \"postgres://…\" or \"redis://…\" shares them too"
        );
    }
    Ok(Stores { accounts, sessions, end_deletes: false })
}

async fn sqlite(config: &Config) -> Result<Sqlite, OpenError> {
    let directory = config.data_dir.clone();
    let opening = tokio::task::spawn_blocking(move || Sqlite::open(&directory, &Options::default()));
    let opened = opening.await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    opened.map_err(|error| in_directory(config, error))
}

/// Takes the data directory for a server, where none of its stores does that.
pub(crate) fn lock(config: &Config) -> Result<Option<DirectoryLock>, OpenError> {
    if config.store.accounts == AccountsAt::Sqlite || config.store.sessions == SessionsAt::Sqlite {
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
