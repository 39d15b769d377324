//! The engine: what a login system does, in the domain's words. Faces such as HTTP and the command line call it.
//!
//! It owns the stores, the keys, the password pool and the limits, and puts a [`Verifier`] beside them. One file per thing
//! that people do: [`login`](Engine::login), [`renew`](Engine::renew), endings, devices, passwords, and what operators do.

mod background;
mod backing;
mod births;
mod client;
mod deletion;
mod devices;
mod end;
mod everything;
mod exchange;
mod issue;
mod keychain;
mod login;
mod operate;
mod operations;
mod password;
mod places;
mod proof;
mod raises;
mod ready;
mod reassert;
mod register;
mod renew;
mod shared;
mod standstill;
mod tallies;

use std::{io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use thiserror::Error;

pub use background::Background;
pub use births::{AT_ONCE as BIRTHS_AT_ONCE, LONGEST_WAIT as LONGEST_WAIT_FOR_BIRTH};
pub use client::Client;
pub use devices::{Device, DeviceList};
pub use end::Which;
pub use issue::{Credentials, SignedIn, Tokens};
pub use keychain::{KEY_SET_AGE, KeySettings, opens};
pub use login::{LoginRequest, Others};
pub use operate::{NewService, SessionCount};
pub use operations::{Counted, FINISHING, counted};
pub use places::{ENDS, ENDS_WAITING, Occupancy, PATIENCE, REFRESHES, REFRESHES_WAITING, SIGN_INS, SIGN_INS_WAITING};
pub use proof::{Proof, RECENT};
pub use register::Registration;
pub use renew::Renewed;
pub use tallies::{KeyAge, SignIns};

use crate::{
    app::{App, Apps},
    audit::AuditQueue,
    clock::Clock,
    credential::{FailureLimits, HashPool, LimitSettings, PoolSettings},
    health::Trouble,
    key::{KeyTrouble, MasterSecrets, RingError, SecretError},
    random::Rng,
    refusal::{Reason, Refusal},
    revocation::{Answer, KeySet, Position, Since},
    rounds::Rounds,
    store::{Service, StoreError, Stores, Watch},
    verify::{CacheBounds, Verifier, VerifierSettings},
};
use births::Births;
use deletion::Deletion;
use operations::Operations;
use places::Places;
use raises::Raises;
use shared::Shared;
use standstill::Standstill;
use tallies::Tallies;

/// A running login system. Cheap to share; made once.
pub struct Engine {
    shared: Arc<Shared>,
    verifier: Arc<Verifier>,
    passwords: HashPool,
    limits: FailureLimits,
    places: Places,
    operations: Operations,
    births: Births,
    raises: Raises,
    tallies: Tallies,
    watch: Watch,
    audit: AuditQueue,
    deletion: Deletion,
    standstill: Standstill,
    services: Rounds<Result<Arc<[Service]>, Refusal>>,
    heads: Rounds<Result<Position, Refusal>>,
    session_looks: Rounds<bool>,
    /// The troubles that the log knows of.
    known: Mutex<Vec<Trouble>>,
    settings: Settings,
}

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's public address: the issuer of its tokens.
    pub issuer: String,
    /// Password hashing.
    pub passwords: PoolSettings,
    /// Limits on failed sign-ins.
    pub limits: LimitSettings,
    /// The near-cache.
    pub cache: CacheBounds,
    /// How many ends the verifier may hold.
    pub ended_capacity: usize,
    /// Rotation of keys.
    pub keys: KeySettings,
    /// How long the audit log is kept.
    pub audit_life: Duration,
}

/// Why an engine cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master secret is not the store's.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No stored key, or one that must be, can be opened.
    #[error(transparent)]
    Keys(#[from] RingError),
    /// The self-test failed: an algorithm does not sign and verify (F139).
    #[error("the self-test of {0} failed: this build cannot sign and verify with it")]
    SelfTest(&'static str),
    /// A change of the keys was refused before it began, or broke off.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log of what has ended does not answer.
    #[error("the revocation log cannot be read: {0}")]
    Log(Refusal),
    /// The threads for password hashing cannot be started.
    #[error("the password pool cannot be started: {0}")]
    Pool(#[from] io::Error),
}

impl Engine {
    /// Opens stores and keys, tests itself, and takes the first lease. Background work begins with [`Self::spawn`].
    pub async fn start(
        settings: Settings,
        apps: Arc<Apps>,
        stores: Stores,
        secrets: impl Into<MasterSecrets>,
        clock: Clock,
        rng: Rng,
    ) -> Result<Arc<Self>, StartError> {
        let (stores, watch) = Watch::over(&stores);
        // Before anything is made: keys and records carry the store's time, not what this machine takes for it.
        let asked = clock.boot();
        let _ = clock.hear(asked, stores.accounts.time(clock.by_hand()).await?);
        let shared = Shared::open(&settings, apps, stores, secrets.into(), clock, rng).await?;
        // From the secret that all servers of a store have, so that what one counts is found by the others.
        let counting = shared.keychain.counting();
        let shared = Arc::new(shared);
        let verifier = Arc::new(Verifier::new(
            Arc::clone(&shared.apps),
            VerifierSettings {
                issuer: settings.issuer.clone(),
                cache: settings.cache,
                ended_capacity: settings.ended_capacity,
            },
            Arc::clone(&shared) as _,
            shared.clock.clone(),
            &shared.rng,
        ));
        verifier.take_first_lease().await.map_err(StartError::Log)?;
        let engine = Self {
            places: Places::new(&settings.passwords),
            operations: Operations::default(),
            births: Births::new(shared.clock.clone()),
            raises: Raises::new(shared.clock.clone()),
            tallies: Tallies::default(),
            watch,
            passwords: HashPool::start(settings.passwords, shared.rng.clone())?,
            limits: FailureLimits::new(settings.limits, &*shared.stores.accounts, counting, shared.clock.clone()),
            audit: AuditQueue::new(Arc::clone(&shared.stores.accounts)),
            deletion: Deletion::default(),
            standstill: Standstill::new(),
            services: Rounds::new(),
            heads: Rounds::new(),
            session_looks: Rounds::new(),
            known: Mutex::default(),
            shared,
            verifier,
            settings,
        };
        engine.settle_ends().await?;
        engine.deletion_time().await?;
        Ok(Arc::new(engine))
    }

    /// What checks presented credentials.
    pub const fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    /// The apps.
    pub fn apps(&self) -> &Arc<Apps> {
        &self.shared.apps
    }

    /// The app of that name, or the default one.
    pub fn app(&self, id: Option<&str>) -> Result<&Arc<App>, Refusal> {
        match id {
            Some(id) => self.shared.apps.get(id).ok_or_else(|| Reason::UnknownApp.into()),
            None => Ok(self.shared.apps.default_app()),
        }
    }

    /// The clock that everything here goes by.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The stores, for faces that list and page.
    pub fn stores(&self) -> &Stores {
        &self.shared.stores
    }

    /// The password pool, for its counters.
    pub const fn passwords(&self) -> &HashPool {
        &self.passwords
    }

    /// What is under way and what waits for a place, by kind.
    pub fn occupancy(&self) -> [Occupancy; 3] {
        self.places.occupancy()
    }

    /// The audit queue.
    pub const fn audit(&self) -> &AuditQueue {
        &self.audit
    }

    /// How it was set up.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is wrong with the keys at this server, as far as it knows.
    pub fn keys_trouble(&self) -> Vec<KeyTrouble> {
        self.shared.keychain.trouble()
    }

    /// Which set of keys it signs with, publishes and judges by.
    pub fn keys_at_hand(&self) -> KeySet {
        self.shared.keychain.set()
    }

    /// What has ended since, with the head of the log; for the feed.
    pub async fn ended_since(&self, since: Since) -> Result<Answer, Refusal> {
        Ok(self.shared.stores.accounts.log_since(since, self.shared.clock.by_hand()).await?)
    }

    /// The head of the log, read after this was asked, once for all who ask at a time.
    pub async fn log_head(&self) -> Result<Position, Refusal> {
        self.heads.ask(async || Ok(self.shared.stores.accounts.log_head().await?)).await
    }

    /// Changes whenever this process has written into the log; so that the feed need not ask at short intervals.
    pub fn log_changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.verifier.changes()
    }

    /// The published key set, as it is now.
    pub fn key_set(&self) -> serde_json::Value {
        self.shared.keychain.ring().jwks(self.shared.clock.now(), self.shared.apps.longest_access_token())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        // That it is too old was said when it was found out; who asks meanwhile adds nothing.
        if !matches!(error, StoreError::TooOld(_)) {
            tracing::error!(%error, "a store refused");
        }
        Self::from(Reason::StoreDown).retry_after(Duration::from_secs(1))
    }
}
