//! A key as it is stored.

use serde::Serialize;

use super::master::WrappedKey;
use crate::{clock::Timestamp, ids::Kid, revocation::KeySet, token::Algorithm};

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Purpose {
    /// Signing access tokens.
    Sign(Algorithm),
    /// The MAC of tickets and refresh tokens.
    Mac,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 5] = [
        Self::Mac,
        Self::Sign(Algorithm::EdDsa),
        Self::Sign(Algorithm::Es256),
        Self::Sign(Algorithm::Rs256),
        Self::Sign(Algorithm::Hs256),
    ];

    /// Its name in stores and lists: `mac`, or the algorithm's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sign(algorithm) => algorithm.name(),
            Self::Mac => "mac",
        }
    }

    /// The purpose of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}

impl Serialize for Purpose {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

/// A key's row. What it is at a moment follows from its times; see [`schedule`](super::schedule).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRow {
    /// Its public name.
    pub kid: Kid,
    /// What it is for.
    pub purpose: Purpose,
    /// Its place among the keys of its purpose: 1, 2, 3 …; unique, so that only one server can make the next.
    pub ordinal: u32,
    /// The key under the master secret.
    pub wrapped: WrappedKey,
    /// When it was made, and with that published.
    pub created: Timestamp,
    /// From when it is used.
    pub from: Timestamp,
    /// When it was killed.
    pub killed: Option<Timestamp>,
}

/// Which keys a store holds, and what they are under: what a change of them is compared with.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct KeyStamp {
    /// The set, which is another one after each change.
    pub set: KeySet,
    /// The check of the master secret; `None`: nobody has set one yet.
    pub check: Option<WrappedKey>,
}

/// All keys of a store, as one reading found them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Keys {
    /// Which keys these are.
    pub stamp: KeyStamp,
    /// Their rows, those of killed and retired keys too.
    pub rows: Vec<KeyRow>,
}
