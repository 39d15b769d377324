//! From a configuration to an engine: stores opened, the master secret read, the core's settings filled in.

use std::{fs, io, num::NonZeroUsize, os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc};

use cloakroom_core::{
    clock::Clock,
    credential::{HashParameters, LimitSettings, ParameterError, PoolSettings, Rate},
    engine::{Engine, KeySettings, Settings, StartError},
    random::Rng,
    store::{StoreError, Stores, memory::MemorySessions, sqlite::Sqlite},
    verify::CacheBounds,
};
use thiserror::Error;

use crate::config::{AccountsAt, Config, RateConfig, SecretFileError, SessionsAt};

/// Why a configured system cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The data directory cannot be made or entered.
    #[error("the data directory {0} cannot be used: {1}")]
    DataDir(PathBuf, io::Error),
    /// The master secret cannot be read or made.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password parameters are out of bounds.
    #[error("password: {0}")]
    Passwords(#[from] ParameterError),
    /// The engine does not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Opens what a configuration names. The data directory is locked before anything in it is made or read.
pub async fn open(config: &Config, clock: Clock, rng: Rng) -> Result<Arc<Engine>, OpenError> {
    let dir = &config.data_dir;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| OpenError::DataDir(dir.clone(), error))?;
    let stores = stores(config, &clock).await?;
    let (master, _) = config.master_secret(&rng)?;
    let settings = settings(config)?;
    Ok(Engine::start(settings, Arc::new(config.apps()), stores, master, clock, rng).await?)
}

async fn stores(config: &Config, clock: &Clock) -> Result<Stores, OpenError> {
    let AccountsAt::Sqlite = config.store.accounts;
    let sqlite = Sqlite::open(&config.data_dir, clock.clone()).await?;
    Ok(match config.store.sessions {
        SessionsAt::Sqlite => {
            Stores { accounts: Arc::new(sqlite.clone()), sessions: Arc::new(sqlite), end_deletes: true }
        }
        SessionsAt::Memory => {
            Stores { accounts: Arc::new(sqlite), sessions: Arc::new(MemorySessions::new()), end_deletes: false }
        }
    })
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
