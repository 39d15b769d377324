//! The keys of a running server, as the store holds them.
//!
//! The store numbers its set of keys, and each answer of the log tells that number. A server whose ring is of another set, or
//! was read in another incarnation of the log, reads the rows before it believes the answer ([`Keychain::follow`]); so it
//! signs, publishes and judges with the keys of all. How keys are made, killed and wrapped anew stands in [`changes`].

mod changes;

use std::{sync::Arc, time::Duration};

use hashbrown::HashSet;
use parking_lot::{Mutex, RwLock};
use tokio::{sync::Notify, time::Instant};

use super::StartError;
use crate::{
    app::Apps,
    clock::{Clock, Timestamp},
    ids::Kid,
    key::{KeyRing, KeyTrouble, Keys, MasterSecret, MasterSecrets, Purpose, SecretError, schedule},
    method::Upstream,
    random::Rng,
    revocation::{Answer, EXP_LEEWAY, Incarnation, KeySet},
    rounds::Rounds,
    store::{Installation, StoreError, Stores, copy::UNFINISHED},
};

/// How long clients may keep the key set (`Cache-Control: max-age`).
pub const KEY_SET_AGE: Duration = Duration::from_secs(300);

/// How keys rotate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySettings {
    /// How long a key is the current one.
    pub rotation: Duration,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self { rotation: Duration::from_secs(30 * 86_400) }
    }
}

pub(super) struct Keychain {
    settings: KeySettings,
    purposes: Vec<Purpose>,
    longest_token: Duration,
    longest_session: Duration,
    secrets: RwLock<Arc<MasterSecrets>>,
    ring: RwLock<Arc<KeyRing>>,
    /// The incarnation of the log that the rows were last read in.
    read_in: Mutex<Option<Incarnation>>,
    /// Every key that this process has known to be killed: it stays so, whatever becomes of the store. Held while the ring is
    /// exchanged.
    killed: Mutex<HashSet<Kid>>,
    readings: Rounds<Result<(), StoreError>>,
    /// The readings that unknown keys cause, and when the last of them began.
    strangers: Rounds<Result<(), StoreError>>,
    last: Mutex<Option<Instant>>,
    wanting: Notify,
}

/// The least time between two readings that unknown keys cause (F043). Who names one waits for a reading that begins later:
/// of a key that another server has just made, nobody is told that there is none.
const PACE: Duration = Duration::from_millis(50);

impl Keychain {
    pub(super) async fn open(
        settings: KeySettings,
        apps: &Apps,
        stores: &Stores,
        secrets: MasterSecrets,
        clock: &Clock,
        rng: &Rng,
    ) -> Result<Self, StartError> {
        check_master(stores, &secrets, rng).await?;
        let mut purposes = vec![Purpose::Mac];
        for app in apps.iter() {
            let signs = app.method.has_tokens() || app.method.properties().upstream == Upstream::MintedToken;
            let purpose = Purpose::Sign(app.algorithm);
            if signs && !purposes.contains(&purpose) {
                purposes.push(purpose);
            }
        }
        let chain = Self {
            settings,
            purposes,
            longest_token: apps.longest_access_token(),
            longest_session: apps.longest_session(),
            secrets: RwLock::new(Arc::new(secrets)),
            ring: RwLock::default(),
            read_in: Mutex::default(),
            killed: Mutex::default(),
            readings: Rounds::new(),
            strangers: Rounds::new(),
            last: Mutex::default(),
            wanting: Notify::new(),
        };
        chain.reload(stores).await?;
        let ring = chain.ring();
        if !ring.holds_secret() {
            // It was changed since we looked.
            return Err(SecretError::Wrong.into());
        }
        if let Some(error) = ring.first_unreadable().filter(|_| ring.opens_none()) {
            return Err(error.clone().into());
        }
        chain.rotate_due(stores, clock, rng).await?;
        chain.self_test(clock.now())?;
        Ok(chain)
    }

    pub(super) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read())
    }

    /// A key for counting, the same at all servers that hold the secret which the store names.
    pub(super) fn counting(&self) -> [u8; 16] {
        let secrets = Arc::clone(&self.secrets.read());
        let ring = self.ring();
        let named = ring.stamp().check.as_ref().and_then(|check| secrets.named_by(check));
        named.map_or_else(|| secrets.first(), AsRef::as_ref).derive("limits")
    }

    pub(super) fn rotation(&self, purpose: Purpose) -> schedule::Rotation {
        let longest_life = match purpose {
            Purpose::Mac => self.longest_session,
            Purpose::Sign(_) => self.longest_token,
        };
        schedule::Rotation {
            period: self.settings.rotation,
            // Longer than any verifier keeps the key set, with room for slow ones.
            lead: KEY_SET_AGE * 3,
            longest_life: longest_life + EXP_LEEWAY,
        }
    }

    /// Reads the rows, once for all who ask at a time; a failure keeps the keys that are there.
    pub(super) async fn reload(&self, stores: &Stores) -> Result<(), StoreError> {
        self.readings.ask(async || stores.accounts.keys().await.map(|keys| self.take(keys))).await
    }

    /// Reads the rows for somebody who names a key that is not among those at hand.
    pub(super) async fn look_again(&self, stores: &Stores) -> Result<(), StoreError> {
        let paced = async || {
            let next = self.last.lock().map(|last| last + PACE);
            if let Some(next) = next {
                tokio::time::sleep_until(next).await;
            }
            *self.last.lock() = Some(Instant::now());
            self.reload(stores).await
        };
        self.strangers.ask(paced).await
    }

    /// Makes sure that the keys at hand are those that an answer of the log tells of. What it says was killed is killed here,
    /// even if the rows cannot be read.
    pub(super) async fn follow(&self, answer: &Answer, stores: &Stores) -> Result<(), StoreError> {
        let killed = answer.killed_keys();
        let incarnation = answer.head.incarnation;
        let same = *self.read_in.lock() == Some(incarnation) && self.set() == answer.keys;
        if same && killed.iter().all(|kid| self.killed.lock().contains(kid)) {
            return Ok(());
        }
        let read = self.reload(stores).await;
        if self.kill_here(&killed) && read.is_ok() {
            // The log knows of a kill that the rows do not: once more, to say so.
            self.reload(stores).await?;
        }
        read?;
        *self.read_in.lock() = Some(incarnation);
        Ok(())
    }

    /// Which set the keys at hand are.
    pub(super) fn set(&self) -> KeySet {
        self.ring.read().stamp().set
    }

    /// Kills keys in this process; whether one of them was alive.
    pub(super) fn kill_here(&self, kids: &[Kid]) -> bool {
        let mut killed = self.killed.lock();
        killed.extend(kids);
        let ring = self.ring();
        let lived = kids.iter().any(|kid| ring.has_living(*kid));
        if lived {
            *self.ring.write() = Arc::new(ring.without(&killed, &self.secrets.read()));
        }
        lived
    }

    /// Until keys are due before their time, because a purpose has none.
    pub(super) async fn wants_keys(&self) {
        self.wanting.notified().await;
    }

    fn take(&self, keys: Keys) {
        let mut killed = self.killed.lock();
        let before = self.ring();
        let ring = KeyRing::read(keys, &self.secrets.read(), Some(&before), &killed);
        killed.extend(ring.all().filter(|row| row.killed.is_some()).map(|row| row.kid));
        let known = before.trouble();
        for trouble in ring.trouble().iter().filter(|trouble| !known.contains(trouble)) {
            tracing::error!("{trouble}; {}", trouble.remedy());
        }
        if ring.holds_secret() && self.purposes.iter().any(|purpose| !ring.has_key_for(*purpose)) {
            self.wanting.notify_one();
        }
        *self.ring.write() = Arc::new(ring);
    }

    /// What is wrong with the keys here.
    pub(super) fn trouble(&self) -> Vec<KeyTrouble> {
        self.ring.read().trouble()
    }

    /// F139: each algorithm in use signs and verifies before anything is served.
    fn self_test(&self, now: Timestamp) -> Result<(), StartError> {
        const TEXT: &[u8] = b"a text that every key is tried with";
        let ring = self.ring();
        for purpose in &self.purposes {
            let failed = StartError::SelfTest(purpose.name());
            let passed = match purpose {
                Purpose::Mac => ring.mac(now).is_some_and(|(_, _, key)| key.verifies(TEXT, &key.tag(TEXT))),
                Purpose::Sign(algorithm) => ring.signer(*algorithm, now).is_some_and(|(kid, key)| {
                    let signature = key.sign(TEXT).unwrap_or_default();
                    ring.verifying().get(kid).is_some_and(|public| public.verifies(TEXT, &signature))
                }),
            };
            if !passed {
                return Err(failed);
            }
        }
        Ok(())
    }
}

/// Whether a master secret is the one that a store's keys are under; a store that is new takes any.
pub fn opens(master: &MasterSecret, installation: &Installation) -> bool {
    installation.secret_check.as_ref().is_none_or(|check| master.is_checked_by(check))
}

/// A new store learns its secret; an old one recognises a wrong one.
async fn check_master(stores: &Stores, secrets: &MasterSecrets, rng: &Rng) -> Result<(), StartError> {
    loop {
        if let Some(check) = stores.accounts.installation().await?.secret_check {
            if check.bytes() == UNFINISHED {
                let why = "this store is an unfinished copy: run `cloakroom store copy --accounts` again";
                return Err(StoreError::Foreign(why.to_owned()).into());
            }
            return if secrets.named_by(&check).is_some() { Ok(()) } else { Err(SecretError::Wrong.into()) };
        }
        // Should another server set one in between, it is held against that.
        if stores.accounts.first_check(secrets.first().check(rng)).await? {
            return Ok(());
        }
    }
}
