//! How the keys change: each change is compared with the set and the secret that it was made from, and made anew from what is
//! there when those are others by then.

use std::time::Duration;

use super::Keychain;
use crate::{
    clock::{Clock, Timestamp},
    engine::{StartError, operations::Underway},
    ids::Kid,
    key::{KeyRing, KeyRow, MacKey, MasterSecret, Purpose, RingError, SigningKey, WrappedKey, schedule},
    random::Rng,
    revocation::{Entry, Hold},
    store::{DeletionTime, KeyChange, StoreError, Stores},
};

/// Of servers that change keys at once one wins each time; more of them than this are none of ours.
const TRIES: u32 = 32;

/// What a kill has done.
pub(in crate::engine) struct Killed {
    /// The lines that it wrote into the log.
    pub(in crate::engine) entries: Vec<Entry>,
    /// The key that took the place of the killed one.
    pub(in crate::engine) made: Option<Kid>,
}

impl Keychain {
    /// Reads the rows, makes the keys that are due and removes those that nobody needs. Of several servers one makes the next;
    /// all end with the same set (F044). One that lacks the secret that the store names makes none (F047).
    pub(in crate::engine) async fn rotate_due(
        &self,
        stores: &Stores,
        clock: &Clock,
        rng: &Rng,
    ) -> Result<Vec<Kid>, StartError> {
        let mut made = vec![];
        for _ in 0..TRIES {
            self.reload(stores).await?;
            let (ring, now) = (self.ring(), clock.now());
            if !ring.holds_secret() {
                return Ok(made);
            }
            let due = self.purposes.iter().find_map(|purpose| {
                let from = schedule::due(&ring.of(*purpose), now, &self.rotation(*purpose))?;
                Some((*purpose, from))
            });
            let Some((purpose, from)) = due else { return Ok(made) };
            let row = self.make(&ring, purpose, from, now, rng)?;
            let kid = row.kid;
            if stores.accounts.change_keys(ring.stamp(), KeyChange::Add(row), clock.by_hand()).await?.is_some() {
                made.push(kid);
            }
        }
        Err(contended().into())
    }

    /// Makes the next key of a purpose now, to be used after the lead time; `None`: another server has just made one.
    pub(in crate::engine) async fn rotate_now(
        &self,
        purpose: Purpose,
        stores: &Stores,
        clock: &Clock,
        rng: &Rng,
        _: &Underway,
    ) -> Result<Option<Kid>, StartError> {
        self.reload(stores).await?;
        let first = self.ring().newest(purpose);
        for _ in 0..TRIES {
            let (ring, now) = (self.ring(), clock.now());
            if ring.newest(purpose) != first {
                return Ok(None);
            }
            let lives = ring.of(purpose).iter().any(|row| row.killed.is_none());
            let from = if lives { now + self.rotation(purpose).lead } else { now };
            let row = self.make(&ring, purpose, from, now, rng)?;
            let kid = row.kid;
            let done = stores.accounts.change_keys(ring.stamp(), KeyChange::Add(row), clock.by_hand()).await?;
            self.reload(stores).await?;
            if done.is_some() {
                return Ok(Some(kid));
            }
        }
        Err(contended().into())
    }

    /// Kills a key for all servers, and makes the one that takes its place in the same transaction, so that there is no moment
    /// without one; `None`: there is no such key.
    pub(in crate::engine) async fn kill(
        &self,
        kid: Kid,
        stores: &Stores,
        clock: &Clock,
        rng: &Rng,
        _: &Underway,
    ) -> Result<Option<Killed>, StartError> {
        for _ in 0..TRIES {
            self.reload(stores).await?;
            let (ring, now) = (self.ring(), clock.now());
            let Some(row) = ring.all().find(|row| row.kid == kid) else { return Ok(None) };
            let next = self.replacement(&ring, row, now, rng)?;
            let made = next.as_ref().map(|row| row.kid);
            let change = KeyChange::Kill { kids: vec![kid], hold: Hold::KEY, next };
            if let Some(entries) = stores.accounts.change_keys(ring.stamp(), change, clock.by_hand()).await? {
                if let Err(error) = self.reload(stores).await {
                    tracing::error!(%error, "the keys cannot be read after a kill; they are when the log is heard again");
                    self.kill_here(&[kid]);
                }
                return Ok(Some(Killed { entries, made }));
            }
        }
        Err(contended().into())
    }

    /// Whether a secret is the one that the store is under now.
    pub(in crate::engine) async fn is_master(
        &self,
        secret: &MasterSecret,
        stores: &Stores,
    ) -> Result<bool, StoreError> {
        let check = stores.accounts.installation().await?.secret_check;
        Ok(check.is_some_and(|check| secret.is_checked_by(&check)))
    }

    /// Wraps every key with another master secret. Nobody is signed out.
    pub(in crate::engine) async fn rewrap(
        &self,
        new: MasterSecret,
        stores: &Stores,
        clock: &Clock,
        rng: &Rng,
        _: &Underway,
    ) -> Result<usize, StartError> {
        for _ in 0..TRIES {
            self.reload(stores).await?;
            let ring = self.ring();
            let wrapped = self.wrapped_anew(&ring, &new, rng)?;
            let count = wrapped.len();
            let change = KeyChange::Rewrap { check: new.check(rng), wrapped };
            if stores.accounts.change_keys(ring.stamp(), change, clock.by_hand()).await?.is_some() {
                let changed = self.secrets.read().changed_to(new);
                *self.secrets.write() = std::sync::Arc::new(changed);
                self.reload(stores).await?;
                return Ok(count);
            }
        }
        Err(contended().into())
    }

    /// Every living key under another secret.
    fn wrapped_anew(&self, ring: &KeyRing, new: &MasterSecret, rng: &Rng) -> Result<Vec<(Kid, WrappedKey)>, RingError> {
        let secrets = self.secrets.read();
        let living = ring.all().filter(|row| row.killed.is_none());
        let anew = living.map(|row| {
            let label = KeyRing::label(row.kid, row.purpose);
            let key = secrets.unwrap(&label, &row.wrapped).map_err(|error| RingError::Secret(row.kid, error))?;
            Ok((row.kid, new.wrap(&label, &key, rng)))
        });
        anew.collect()
    }

    /// What takes the place of a key, if none of its purpose is left that could.
    fn replacement(
        &self,
        ring: &KeyRing,
        killed: &KeyRow,
        now: Timestamp,
        rng: &Rng,
    ) -> Result<Option<KeyRow>, StartError> {
        let purpose = killed.purpose;
        if !self.purposes.contains(&purpose) || !ring.holds_secret() {
            return Ok(None);
        }
        let mut rows = ring.of(purpose);
        rows.retain(|row| row.kid != killed.kid);
        let from = schedule::due(&rows, now, &self.rotation(purpose));
        from.map(|from| self.make(ring, purpose, from, now, rng)).transpose()
    }

    fn make(
        &self,
        ring: &KeyRing,
        purpose: Purpose,
        from: Timestamp,
        now: Timestamp,
        rng: &Rng,
    ) -> Result<KeyRow, StartError> {
        let secrets = self.secrets.read();
        let named = ring.stamp().check.as_ref().and_then(|check| secrets.named_by(check));
        let secret = named.ok_or(crate::key::SecretError::Wrong)?;
        let kid = Kid::generate(rng);
        let bytes = match purpose {
            Purpose::Mac => MacKey::generate(rng),
            Purpose::Sign(algorithm) => {
                SigningKey::generate(algorithm, rng).map_err(|error| RingError::Key(kid, error))?
            }
        };
        let wrapped = secret.wrap(&KeyRing::label(kid, purpose), &bytes, rng);
        let ordinal = ring.newest(purpose) + 1;
        Ok(KeyRow { kid, purpose, ordinal, wrapped, created: now, from, killed: None })
    }

    /// Removes retired keys whose last credential has ended, a day later. How many. Where another server changes the keys at that moment, they are left for the next time.
    pub(in crate::engine) async fn forget(&self, now: DeletionTime, stores: &Stores) -> Result<usize, StoreError> {
        let ring = self.ring();
        let day_ago = now - Duration::from_secs(86_400);
        let listing = ring.listing(day_ago.moment(), |purpose| self.rotation(purpose));
        let gone = listing.into_iter().filter(|key| key.state == schedule::State::Gone);
        let gone: Vec<_> = gone.map(|key| key.kid).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let count = gone.len();
        let done = stores.accounts.change_keys(ring.stamp(), KeyChange::Remove(gone), None).await?;
        self.reload(stores).await?;
        Ok(if done.is_some() { count } else { 0 })
    }
}

fn contended() -> StoreError {
    StoreError::Unavailable("other servers change the keys without a pause; try again".to_owned())
}
