//! The keys of a running server: opened, rotated, killed, wrapped anew.

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};

use super::StartError;
use crate::{
    app::Apps,
    clock::{Boot, Clock, Timestamp},
    ids::Kid,
    key::{KeyRing, KeyRow, MacKey, MasterSecret, Purpose, RingError, SecretError, SigningKey, schedule},
    method::Upstream,
    random::Rng,
    revocation::EXP_LEEWAY,
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
    master: RwLock<Arc<MasterSecret>>,
    ring: RwLock<Arc<KeyRing>>,
    reloaded: Mutex<Option<Boot>>,
}

const CHECK_LABEL: &str = "cloakroom master secret check v1";
const CHECK_TEXT: &[u8] = b"this is the master secret of this store";
/// Unknown key names make the keys be read anew at most this often.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

impl Keychain {
    pub(super) async fn open(
        settings: KeySettings,
        apps: &Apps,
        stores: &Stores,
        master: MasterSecret,
        clock: &Clock,
        rng: &Rng,
    ) -> Result<Self, StartError> {
        check_master(stores, &master, rng).await?;
        let mut purposes = vec![Purpose::Mac];
        for app in apps.iter() {
            let signs = app.method.has_tokens() || app.method.properties().upstream == Upstream::MintedToken;
            let purpose = Purpose::Sign(app.algorithm);
            if signs && !purposes.contains(&purpose) {
                purposes.push(purpose);
            }
        }
        let ring = KeyRing::open(stores.accounts.keys().await?, &master)?;
        let chain = Self {
            settings,
            purposes,
            longest_token: apps.longest_access_token(),
            longest_session: apps.longest_session(),
            master: RwLock::new(Arc::new(master)),
            ring: RwLock::new(Arc::new(ring)),
            reloaded: Mutex::new(None),
        };
        chain.rotate_due(stores, clock, rng).await?;
        chain.self_test(clock.now())?;
        Ok(chain)
    }

    pub(super) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read())
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

    /// Reads the rows anew.
    pub(super) async fn reload(&self, stores: &Stores) -> Result<(), StartError> {
        let rows = stores.accounts.keys().await?;
        let master = Arc::clone(&self.master.read());
        let ring = KeyRing::open(rows, &master)?;
        *self.ring.write() = Arc::new(ring);
        Ok(())
    }

    /// Reads the rows anew unless that was done a moment ago (F043); a failure keeps the last good set.
    pub(super) async fn reload_at_times(&self, stores: &Stores, clock: &Clock) {
        let now = clock.boot();
        {
            let mut reloaded = self.reloaded.lock();
            if reloaded.is_some_and(|at| now.since(at) < RELOAD_INTERVAL) {
                return;
            }
            *reloaded = Some(now);
        }
        if let Err(error) = self.reload(stores).await {
            tracing::error!(%error, "the keys cannot be read anew");
        }
    }

    /// Makes the keys that are due, and reads the set anew if there are any. Of several servers one makes the next; all
    /// end with the same set (F044).
    pub(super) async fn rotate_due(&self, stores: &Stores, clock: &Clock, rng: &Rng) -> Result<Vec<Kid>, StartError> {
        let (ring, now) = (self.ring(), clock.now());
        let due = self.purposes.iter().filter_map(|purpose| {
            let rows = ring.of(*purpose);
            let from = schedule::due(&rows, now, &self.rotation(*purpose))?;
            Some((*purpose, rows, from))
        });
        let due: Vec<_> = due.collect();
        let mut made = vec![];
        for (purpose, rows, from) in &due {
            made.extend(self.make(*purpose, rows, *from, now, stores, rng).await?);
        }
        if !due.is_empty() {
            self.reload(stores).await?;
        }
        Ok(made)
    }

    /// Makes the next key of a purpose now, to be used after the lead time.
    pub(super) async fn rotate_now(
        &self,
        purpose: Purpose,
        stores: &Stores,
        clock: &Clock,
        rng: &Rng,
    ) -> Result<Option<Kid>, StartError> {
        self.reload(stores).await?;
        let (rows, now) = (self.ring().of(purpose), clock.now());
        let from = if rows.iter().any(|row| row.killed.is_none()) { now + self.rotation(purpose).lead } else { now };
        let made = self.make(purpose, &rows, from, now, stores, rng).await?;
        self.reload(stores).await?;
        Ok(made)
    }

    /// Whether a secret is the one that the store is under now.
    pub(super) async fn is_master(&self, secret: &MasterSecret, stores: &Stores) -> Result<bool, StoreError> {
        let check = stores.accounts.installation().await?.secret_check;
        Ok(check.is_some_and(|check| secret.unwrap(CHECK_LABEL, &check).is_ok()))
    }

    /// Wraps every key with another master secret. Nobody is signed out.
    pub(super) async fn rewrap(&self, new: MasterSecret, stores: &Stores, rng: &Rng) -> Result<usize, StartError> {
        let rows = stores.accounts.keys().await?;
        let old = Arc::clone(&self.master.read());
        let wrapped = rewrap(&rows, &old, &new, rng)?;
        stores.accounts.rewrap(new.wrap(CHECK_LABEL, CHECK_TEXT, rng), &wrapped).await?;
        *self.master.write() = Arc::new(new);
        self.reload(stores).await?;
        Ok(wrapped.len())
    }

    async fn make(
        &self,
        purpose: Purpose,
        rows: &[KeyRow],
        from: Timestamp,
        now: Timestamp,
        stores: &Stores,
        rng: &Rng,
    ) -> Result<Option<Kid>, StartError> {
        let kid = Kid::generate(rng);
        let bytes = match purpose {
            Purpose::Mac => MacKey::generate(rng),
            Purpose::Sign(algorithm) => {
                SigningKey::generate(algorithm, rng).map_err(|error| RingError::Key(kid, error))?
            }
        };
        let wrapped = self.master.read().wrap(&KeyRing::label(kid, purpose), &bytes, rng);
        let ordinal = rows.iter().map(|row| row.ordinal).max().unwrap_or(0) + 1;
        let row = KeyRow { kid, purpose, ordinal, wrapped, created: now, from, killed: None };
        Ok(stores.accounts.add_key(row).await?.then_some(kid))
    }

    /// Removes retired keys whose last credential has ended, a day later; `now`: by the clock of deletion. How many.
    pub(super) async fn forget(&self, now: Timestamp, stores: &Stores) -> Result<usize, StoreError> {
        let day_ago = now - Duration::from_secs(86_400);
        let listing = self.ring().listing(day_ago, |purpose| self.rotation(purpose));
        let gone = listing.into_iter().filter(|key| key.state == schedule::State::Gone);
        let gone: Vec<_> = gone.map(|key| key.kid).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        stores.accounts.remove_keys(&gone).await?;
        if let Err(error) = self.reload(stores).await {
            tracing::error!(%error, "the keys cannot be read anew");
        }
        Ok(gone.len())
    }

    /// F139: each algorithm in use signs and verifies before anything is served.
    fn self_test(&self, now: Timestamp) -> Result<(), StartError> {
        let ring = self.ring();
        for purpose in &self.purposes {
            let failed = StartError::SelfTest(purpose.name());
            let passed = match purpose {
                Purpose::Mac => ring.mac(now).is_some_and(|(_, _, key)| key.verifies(CHECK_TEXT, &key.tag(CHECK_TEXT))),
                Purpose::Sign(algorithm) => ring.signer(*algorithm, now).is_some_and(|(kid, key)| {
                    let signature = key.sign(CHECK_TEXT).unwrap_or_default();
                    ring.verifying().get(kid).is_some_and(|public| public.verifies(CHECK_TEXT, &signature))
                }),
            };
            if !passed {
                return Err(failed);
            }
        }
        Ok(())
    }
}

/// Every living key under another secret.
fn rewrap(
    rows: &[KeyRow],
    old: &MasterSecret,
    new: &MasterSecret,
    rng: &Rng,
) -> Result<Vec<(Kid, crate::key::WrappedKey)>, SecretError> {
    let anew = rows.iter().filter(|row| row.killed.is_none()).map(|row| {
        let label = KeyRing::label(row.kid, row.purpose);
        Ok((row.kid, new.wrap(&label, &old.unwrap(&label, &row.wrapped)?, rng)))
    });
    anew.collect()
}

/// Whether a master secret is the one that a store's keys are under; a store that is new takes any.
pub fn opens(master: &MasterSecret, installation: &Installation) -> bool {
    installation.secret_check.as_ref().is_none_or(|check| master.unwrap(CHECK_LABEL, check).is_ok())
}

/// A new store learns its secret; an old one recognises a wrong one.
async fn check_master(stores: &Stores, master: &MasterSecret, rng: &Rng) -> Result<(), StartError> {
    loop {
        if let Some(check) = stores.accounts.installation().await?.secret_check {
            if check.bytes() == UNFINISHED {
                let why = "this store is an unfinished copy: run `cloakroom store copy --accounts` again";
                return Err(StoreError::Foreign(why.to_owned()).into());
            }
            let text = master.unwrap(CHECK_LABEL, &check)?;
            return if text.as_slice() == CHECK_TEXT { Ok(()) } else { Err(SecretError::Wrong.into()) };
        }
        // Should another server set one in between, it is held against that.
        if stores.accounts.first_check(master.wrap(CHECK_LABEL, CHECK_TEXT, rng)).await? {
            return Ok(());
        }
    }
}
