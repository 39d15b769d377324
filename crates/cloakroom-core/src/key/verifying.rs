//! Public keys by name: the part of the keys that checks access tokens, which can also come from a published key set.

use std::sync::Arc;

use hashbrown::HashMap;

use super::material::PublicKey;
use crate::{ids::Kid, refusal::Reason, token};

/// Public keys by name: what access tokens are checked with.
#[derive(Clone, Default, Debug)]
pub struct VerifyingKeys {
    keys: HashMap<Kid, Arc<Known>>,
    /// Keys that are known to be missing, and why.
    absent: HashMap<Kid, Reason>,
}

/// A public key, and the header that its tokens have when we write them.
#[derive(Debug)]
struct Known {
    key: PublicKey,
    header: String,
}

impl VerifyingKeys {
    /// The key of that name.
    pub fn get(&self, kid: Kid) -> Option<&PublicKey> {
        self.keys.get(&kid).map(|known| &known.key)
    }

    /// Why there is no key of that name: a key that was killed, or that cannot be opened here, is no unknown one.
    pub fn absence(&self, kid: Kid) -> Reason {
        self.absent.get(&kid).copied().unwrap_or(Reason::UnknownKey)
    }

    /// The key of a token whose header, encoded, is exactly as we write it; of any other nothing is said.
    pub(crate) fn of_header(&self, encoded: &str) -> Option<(Kid, &PublicKey)> {
        self.keys.iter().find(|(_, known)| known.header == encoded).map(|(kid, known)| (*kid, &known.key))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes out a key that was killed; what it signed is refused as that. Whether it was there.
    pub fn kill(&mut self, kid: Kid) -> bool {
        self.absent.insert(kid, Reason::KeyKilled);
        self.keys.remove(&kid).is_some()
    }

    pub(super) fn insert(&mut self, kid: Kid, key: PublicKey) {
        let header = token::header_text(key.algorithm(), kid);
        self.keys.insert(kid, Arc::new(Known { key, header }));
    }

    pub(super) fn miss(&mut self, kid: Kid, why: Reason) {
        self.absent.insert(kid, why);
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
