//! The opened keys: an immutable set, made anew when rows change. Which key is the current one follows from the clock.

use std::{fmt, sync::Arc, time::Duration};

use hashbrown::HashMap;
use serde::Serialize;
use thiserror::Error;

use super::{
    jwk::jwks_document,
    master::{MasterSecret, SecretError},
    material::{KeyError, MacKey, PublicKey, SigningKey},
    row::{KeyRow, Purpose},
    schedule::{self, Rotation, State},
};
use crate::{
    clock::Timestamp,
    ids::Kid,
    token::{self, Algorithm},
};

/// Why the stored keys cannot be opened.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RingError {
    /// The master secret is another one.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A row holds no key.
    #[error("key {0}: {1}")]
    Key(Kid, KeyError),
}

/// Public keys by name: what access tokens are checked with.
#[derive(Default, Debug)]
pub struct VerifyingKeys(HashMap<Kid, Known>);

/// A public key, and the header that its tokens have when we write them.
#[derive(Debug)]
struct Known {
    key: PublicKey,
    header: String,
}

impl VerifyingKeys {
    /// The key of that name.
    pub fn get(&self, kid: Kid) -> Option<&PublicKey> {
        self.0.get(&kid).map(|known| &known.key)
    }

    /// The key of a token whose header, encoded, is exactly as we write it; of any other nothing is said.
    pub(crate) fn of_header(&self, encoded: &str) -> Option<(Kid, &PublicKey)> {
        self.0.iter().find(|(_, known)| known.header == encoded).map(|(kid, known)| (*kid, &known.key))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, kid: Kid, key: PublicKey) {
        let header = token::header_text(key.algorithm(), kid);
        self.0.insert(kid, Known { key, header });
    }
}

/// Of one name the last key counts.
impl FromIterator<(Kid, PublicKey)> for VerifyingKeys {
    fn from_iter<I: IntoIterator<Item = (Kid, PublicKey)>>(keys: I) -> Self {
        let mut all = Self::default();
        for (kid, key) in keys {
            all.insert(kid, key);
        }
        all
    }
}

struct Opened<K> {
    row: KeyRow,
    key: K,
}

/// All keys of a server, opened.
pub struct KeyRing {
    rows: Vec<KeyRow>,
    signing: Vec<Opened<SigningKey>>,
    macs: Vec<Opened<MacKey>>,
    verifying: Arc<VerifyingKeys>,
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

    /// Opens the rows with the master secret. Killed keys are known by name only.
    pub fn open(rows: Vec<KeyRow>, master: &MasterSecret) -> Result<Self, RingError> {
        let (mut signing, mut macs, mut verifying) = (vec![], vec![], VerifyingKeys::default());
        for row in rows.iter().filter(|row| row.killed.is_none()) {
            let bytes = master.unwrap(&Self::label(row.kid, row.purpose), &row.wrapped)?;
            match row.purpose {
                Purpose::Sign(algorithm) => {
                    let broken = |error| RingError::Key(row.kid, error);
                    let key = SigningKey::from_stored(algorithm, &bytes).map_err(broken)?;
                    verifying.insert(row.kid, key.public().map_err(broken)?);
                    signing.push(Opened { row: row.clone(), key });
                }
                Purpose::Mac => {
                    let broken = RingError::Key(row.kid, KeyError::Unavailable);
                    macs.push(Opened { row: row.clone(), key: MacKey::from_stored(&bytes).ok_or(broken)? });
                }
            }
        }
        Ok(Self { rows, signing, macs, verifying: Arc::new(verifying) })
    }

    /// The key that signs now.
    pub fn signer(&self, algorithm: Algorithm, now: Timestamp) -> Option<(Kid, &SigningKey)> {
        let of = || self.signing.iter().filter(|k| k.row.purpose == Purpose::Sign(algorithm));
        current(of(), now).map(|opened| (opened.row.kid, &opened.key))
    }

    /// The key that makes tickets now, with the byte that names it in them.
    pub(crate) fn mac(&self, now: Timestamp) -> Option<(u8, Kid, &MacKey)> {
        current(self.macs.iter(), now).map(|opened| (mac_id(&opened.row), opened.row.kid, &opened.key))
    }

    /// The key that a ticket names.
    pub(crate) fn mac_by_id(&self, id: u8) -> Option<(Kid, &MacKey)> {
        self.macs.iter().rev().find(|k| mac_id(&k.row) == id).map(|opened| (opened.row.kid, &opened.key))
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

    /// The rows of one purpose, by ordinal.
    pub fn of(&self, purpose: Purpose) -> Vec<KeyRow> {
        let mut rows: Vec<_> = self.rows.iter().filter(|row| row.purpose == purpose).cloned().collect();
        rows.sort_by_key(|row| row.ordinal);
        rows
    }

    /// Every key with its state, for operators.
    pub fn listing(&self, now: Timestamp, rotation: impl Fn(Purpose) -> Rotation) -> Vec<KeyListing> {
        let of = |purpose| {
            let rows = self.of(purpose);
            let states = schedule::states(&rows, now, &rotation(purpose));
            rows.into_iter().zip(states).map(move |(row, state)| KeyListing {
                kid: row.kid,
                purpose,
                state,
                created: row.created,
                from: row.from,
            })
        };
        Purpose::ALL.into_iter().flat_map(of).collect()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.rows.len())
    }
}

fn current<'a, K>(opened: impl Iterator<Item = &'a Opened<K>> + Clone, now: Timestamp) -> Option<&'a Opened<K>> {
    let kid = schedule::current(opened.clone().map(|k| &k.row), now)?.kid;
    opened.into_iter().find(|k| k.row.kid == kid)
}

/// MAC keys number up to 256 at a time: at one a month and a life of 30 days, two or three are ever alive.
const fn mac_id(row: &KeyRow) -> u8 {
    row.ordinal as u8
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn rfc3339<S: serde::Serializer>(at: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(at)
}
