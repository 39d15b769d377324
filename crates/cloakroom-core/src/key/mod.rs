//! Keys: random, kept in the account store, wrapped by the master secret.
//!
//! A key's state is a function of its row's times and its neighbours' ([`schedule`]), so that servers agree without
//! talking. [`KeyRing`] is the opened set that tickets and tokens are made and checked with; [`VerifyingKeys`] is the
//! part that checks tokens, which can also come from a published key set.

mod jwk;
mod master;
mod material;
mod ring;
mod row;
pub mod schedule;
mod trouble;
mod verifying;

pub use jwk::{JwkError, jwks_document, read_jwk, read_jwks};
pub use master::{MasterSecret, MasterSecrets, SecretError, WrappedKey};
pub(crate) use material::MacKey;
pub use material::{KeyError, PublicKey, SigningKey};
pub use ring::{KeyListing, KeyRing, RingError};
pub use row::{KeyRow, KeyStamp, Keys, Purpose};
pub use trouble::KeyTrouble;
pub use verifying::VerifyingKeys;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{clock::Timestamp, ids::Kid, random::Rng, token::Algorithm};

    /// One MAC key and one key per algorithm, the same for the same seed.
    pub(crate) fn ring_with(seed: u64) -> KeyRing {
        let rng = Rng::seeded(seed);
        let (master, _) = MasterSecret::generate(&rng);
        let rows = Purpose::ALL.into_iter().filter(|p| *p != Purpose::Sign(Algorithm::Rs256)).map(|purpose| {
            let kid = Kid::generate(&rng);
            let bytes = match purpose {
                Purpose::Mac => MacKey::generate(&rng),
                Purpose::Sign(algorithm) => SigningKey::generate(algorithm, &rng).unwrap(),
            };
            let wrapped = master.wrap(&KeyRing::label(kid, purpose), &bytes, &rng);
            let born = Timestamp::from_secs(1_700_000_000);
            KeyRow { kid, purpose, ordinal: 1, wrapped, created: born, from: born, killed: None }
        });
        KeyRing::open(rows.collect(), &master).unwrap()
    }
}
