//! The opened keys. Which key is the current one follows from the clock.

use std::{fmt, sync::Arc, time::Duration};

use hashbrown::{HashMap, HashSet};
use serde::Serialize;
use thiserror::Error;

use super::{
    jwk::jwks_document,
    master::{MasterSecret, MasterSecrets, SecretError},
    material::{KeyError, MacKey, SigningKey},
    row::{KeyRow, KeyStamp, Keys, Purpose},
    schedule::{self, Rotation, State},
    trouble::KeyTrouble,
    verifying::VerifyingKeys,
};
use crate::{clock::Timestamp, ids::Kid, refusal::Reason, token::Algorithm};

/// Why a stored key cannot be opened.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RingError {
    /// It is under another master secret.
    #[error("key {0}: {1}")]
    Secret(Kid, SecretError),
    /// Its row holds no key.
    #[error("key {0}: {1}")]
    Key(Kid, KeyError),
}

/// All keys of a server, as far as it can open them.
#[derive(Default)]
pub struct KeyRing {
    stamp: KeyStamp,
    /// Whether the server holds the secret that the store names. Then a row that it cannot open is of no use to anybody;
    /// otherwise it is another server's, and counts.
    holds_secret: bool,
    /// The rows that the states follow from.
    rows: Vec<KeyRow>,
    signing: Vec<Opened<SigningKey>>,
    macs: Vec<Opened<MacKey>>,
    verifying: Arc<VerifyingKeys>,
    /// MAC keys that are known to be missing, by the byte that names them.
    absent_macs: HashMap<u8, Reason>,
    unreadable: Vec<(KeyRow, RingError)>,
    /// Keys that were killed, and that the store holds as living ones.
    revived: Vec<(Kid, Purpose)>,
}

struct Opened<K> {
    row: KeyRow,
    key: Arc<K>,
}

/// A key as `key list` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct KeyListing {
    /// Its name.
    pub kid: Kid,
    /// What it is for.
    pub purpose: Purpose,
    /// What it is now.
    pub state: State,
    /// When it was made.
    #[serde(serialize_with = "rfc3339")]
    pub created: Timestamp,
    /// From when it is used.
    #[serde(serialize_with = "rfc3339")]
    pub from: Timestamp,
}

impl KeyRing {
    /// The label under which a key is wrapped: bound to its name and purpose, so that rows cannot be swapped.
    pub fn label(kid: Kid, purpose: Purpose) -> String {
        format!("cloakroom key {kid} {}", purpose.name())
    }

    /// Opens rows that one master secret must open.
    ///
    /// # Errors
    /// The first row that cannot be opened.
    pub fn open(rows: Vec<KeyRow>, master: &MasterSecret) -> Result<Self, RingError> {
        let keys = Keys { stamp: KeyStamp::default(), rows };
        let mut ring = Self::read(keys, &master.into(), None, &HashSet::new());
        ring.unreadable.pop().map_or(Ok(ring), |(_, error)| Err(error))
    }

    /// Opens what can be opened: with a master secret, or because it was opened `before`, for a key never changes. Those in
    /// `killed` are killed whatever the store says. Killed keys are known by name only.
    pub(crate) fn read(
        Keys { stamp, rows }: Keys,
        secrets: &MasterSecrets,
        before: Option<&Self>,
        killed: &HashSet<Kid>,
    ) -> Self {
        let holds_secret = stamp.check.as_ref().is_none_or(|check| secrets.named_by(check).is_some());
        let mut ring = Self {
            stamp,
            holds_secret,
            rows: Vec::with_capacity(rows.len()),
            signing: vec![],
            macs: vec![],
            verifying: Arc::default(),
            absent_macs: HashMap::new(),
            unreadable: vec![],
            revived: vec![],
        };
        let mut verifying = VerifyingKeys::default();
        for mut row in rows {
            if row.killed.is_none() && killed.contains(&row.kid) {
                ring.revived.push((row.kid, row.purpose));
                row.killed = Some(row.created);
            }
            let absence = if row.killed.is_some() {
                Some(Reason::KeyKilled)
            } else if let Err(error) = ring.open_row(&row, secrets, before, &mut verifying) {
                ring.unreadable.push((row.clone(), error));
                Some(Reason::KeyUnreadable)
            } else {
                None
            };
            match (absence, row.purpose) {
                (Some(why), Purpose::Mac) => drop(ring.absent_macs.insert(mac_id(&row), why)),
                (Some(why), Purpose::Sign(_)) => verifying.miss(row.kid, why),
                (None, _) => {}
            }
            if absence != Some(Reason::KeyUnreadable) || !holds_secret {
                ring.rows.push(row);
            }
        }
        ring.verifying = Arc::new(verifying);
        ring
    }

    fn open_row(
        &mut self,
        row: &KeyRow,
        secrets: &MasterSecrets,
        before: Option<&Self>,
        verifying: &mut VerifyingKeys,
    ) -> Result<(), RingError> {
        let unwrapped = || {
            let label = Self::label(row.kid, row.purpose);
            secrets.unwrap(&label, &row.wrapped).map_err(|error| RingError::Secret(row.kid, error))
        };
        match row.purpose {
            Purpose::Sign(algorithm) => {
                let broken = |error| RingError::Key(row.kid, error);
                let key = match before.and_then(|before| opened(&before.signing, row)) {
                    Some(key) => key,
                    None => Arc::new(SigningKey::from_stored(algorithm, &unwrapped()?).map_err(broken)?),
                };
                verifying.insert(row.kid, key.public().map_err(broken)?);
                self.signing.push(Opened { row: row.clone(), key });
            }
            Purpose::Mac => {
                let broken = RingError::Key(row.kid, KeyError::Unavailable);
                let key = match before.and_then(|before| opened(&before.macs, row)) {
                    Some(key) => key,
                    None => Arc::new(MacKey::from_stored(&unwrapped()?).ok_or(broken)?),
                };
                self.macs.push(Opened { row: row.clone(), key });
            }
        }
        Ok(())
    }

    /// The same keys but for those that were killed meanwhile.
    pub(crate) fn without(&self, killed: &HashSet<Kid>, secrets: &MasterSecrets) -> Self {
        let keys = Keys { stamp: self.stamp.clone(), rows: self.all().cloned().collect() };
        // What the store says of them is not known yet.
        Self { revived: self.revived.clone(), ..Self::read(keys, secrets, Some(self), killed) }
    }

    /// Whether a key of that name is alive here.
    pub(crate) fn has_living(&self, kid: Kid) -> bool {
        self.all().any(|row| row.kid == kid && row.killed.is_none())
    }

    /// Which keys of the store these are.
    pub const fn stamp(&self) -> &KeyStamp {
        &self.stamp
    }

    /// Whether the server holds the secret that the store names: without it, it makes no keys.
    pub(crate) const fn holds_secret(&self) -> bool {
        self.holds_secret
    }

    /// The key that signs now; `None`: there is none, or it cannot be opened here.
    pub fn signer(&self, algorithm: Algorithm, now: Timestamp) -> Option<(Kid, &SigningKey)> {
        self.current(&self.signing, Purpose::Sign(algorithm), now).map(|opened| (opened.row.kid, &*opened.key))
    }

    /// The key that makes tickets now, with the byte that names it in them.
    pub(crate) fn mac(&self, now: Timestamp) -> Option<(u8, Kid, &MacKey)> {
        let opened = self.current(&self.macs, Purpose::Mac, now)?;
        Some((mac_id(&opened.row), opened.row.kid, &opened.key))
    }

    fn current<'a, K>(&self, opened: &'a [Opened<K>], purpose: Purpose, now: Timestamp) -> Option<&'a Opened<K>> {
        let kid = schedule::current(self.rows.iter().filter(|row| row.purpose == purpose), now)?.kid;
        opened.iter().find(|opened| opened.row.kid == kid)
    }

    /// The key that a ticket names.
    pub(crate) fn mac_by_id(&self, id: u8) -> Option<(Kid, &MacKey)> {
        self.macs.iter().rev().find(|k| mac_id(&k.row) == id).map(|opened| (opened.row.kid, &*opened.key))
    }

    /// Why there is no such key: one that was killed, or that cannot be opened here, is no unknown one.
    pub(crate) fn mac_absence(&self, id: u8) -> Reason {
        self.absent_macs.get(&id).copied().unwrap_or(Reason::UnknownKey)
    }

    /// What checks access tokens.
    pub const fn verifying(&self) -> &Arc<VerifyingKeys> {
        &self.verifying
    }

    /// The published key set: next, current and retired keys; never an HMAC's.
    pub fn jwks(&self, now: Timestamp, longest_token: Duration) -> serde_json::Value {
        let rotation = Rotation { period: Duration::MAX, lead: Duration::ZERO, longest_life: longest_token };
        let published = Algorithm::ALL.into_iter().filter(|a| a.is_public()).flat_map(|algorithm| {
            let rows = self.of(Purpose::Sign(algorithm));
            let states = schedule::states(&rows, now, &rotation);
            rows.into_iter()
                .zip(states)
                .filter(|(_, state)| matches!(state, State::Next | State::Current | State::Retired))
                .map(|(row, _)| row.kid)
                .collect::<Vec<_>>()
        });
        jwks_document(published.filter_map(|kid| Some((kid, self.verifying.get(kid)?))))
    }

    /// The rows of one purpose that states follow from, by ordinal.
    pub fn of(&self, purpose: Purpose) -> Vec<KeyRow> {
        let mut rows: Vec<_> = self.rows.iter().filter(|row| row.purpose == purpose).cloned().collect();
        rows.sort_by_key(|row| row.ordinal);
        rows
    }

    /// Every row that the store holds.
    pub(crate) fn all(&self) -> impl Iterator<Item = &KeyRow> {
        let unused = self.unreadable.iter().map(|(row, _)| row).filter(|_| self.holds_secret);
        self.rows.iter().chain(unused)
    }

    /// The ordinal of the newest key of a purpose; 0: there is none.
    pub(crate) fn newest(&self, purpose: Purpose) -> u32 {
        self.all().filter(|row| row.purpose == purpose).map(|row| row.ordinal).max().unwrap_or(0)
    }

    /// Whether a purpose has a living key.
    pub(crate) fn has_key_for(&self, purpose: Purpose) -> bool {
        self.rows.iter().any(|row| row.purpose == purpose && row.killed.is_none())
    }

    /// The first row that cannot be opened here.
    pub(crate) fn first_unreadable(&self) -> Option<&RingError> {
        self.unreadable.first().map(|(_, error)| error)
    }

    /// Whether there are living keys, and none of them can be opened.
    pub(crate) fn opens_none(&self) -> bool {
        !self.unreadable.is_empty() && self.signing.is_empty() && self.macs.is_empty()
    }

    /// Every key with its state, for operators.
    pub fn listing(&self, now: Timestamp, rotation: impl Fn(Purpose) -> Rotation) -> Vec<KeyListing> {
        let listed = |row: KeyRow, state| KeyListing {
            kid: row.kid,
            purpose: row.purpose,
            state,
            created: row.created,
            from: row.from,
        };
        let of = |purpose| {
            let rows = self.of(purpose);
            let states = schedule::states(&rows, now, &rotation(purpose));
            let unused = self.unreadable.iter().map(|(row, _)| row).filter(|_| self.holds_secret);
            let unused = unused.filter(move |row| row.purpose == purpose).cloned();
            let unused = unused.map(|row| listed(row, State::Unreadable));
            rows.into_iter().zip(states).map(|(row, state)| listed(row, state)).chain(unused).collect::<Vec<_>>()
        };
        Purpose::ALL.into_iter().flat_map(of).collect()
    }

    /// What is wrong with them.
    pub fn trouble(&self) -> Vec<KeyTrouble> {
        let why = if self.holds_secret { KeyTrouble::Unreadable } else { KeyTrouble::Lacking };
        let unreadable = self.unreadable.iter().map(|(row, _)| why(row.kid, row.purpose));
        let revived = self.revived.iter().map(|(kid, purpose)| KeyTrouble::Revived(*kid, *purpose));
        let other = (!self.holds_secret).then_some(KeyTrouble::OtherSecret);
        other.into_iter().chain(unreadable).chain(revived).collect()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.rows.len())
    }
}

fn opened<K>(keys: &[Opened<K>], row: &KeyRow) -> Option<Arc<K>> {
    let same = |key: &&Opened<K>| key.row.kid == row.kid && key.row.purpose == row.purpose;
    keys.iter().find(same).map(|opened| Arc::clone(&opened.key))
}

/// MAC keys number up to 256 at a time: at one a month and a life of 30 days, two or three are ever alive.
const fn mac_id(row: &KeyRow) -> u8 {
    row.ordinal as u8
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn rfc3339<S: serde::Serializer>(at: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(at)
}
