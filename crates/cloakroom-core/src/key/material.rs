//! Key material: what signs, what verifies, what makes MACs. None of it prints.

use std::fmt;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    encoding::{AsDer, Pkcs8V1Der},
    hmac,
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{random::Rng, token::Algorithm};

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// They are not a key of that algorithm, or its parts do not fit together.
    #[error("these bytes are no key for {0:?}")]
    Rejected(Algorithm),
    /// The system would not make or use a key.
    #[error("the cryptographic library refused to work")]
    Unavailable,
}

/// A key that signs access tokens.
pub struct SigningKey {
    algorithm: Algorithm,
    inner: Signer,
}

enum Signer {
    Ed25519(Ed25519KeyPair),
    P256(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
    Hmac(Box<hmac::Key>),
}

impl SigningKey {
    /// A new key, as the bytes that are wrapped and stored (PKCS#8, or 32 bytes for an HMAC).
    pub fn generate(algorithm: Algorithm, rng: &Rng) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let system = SystemRandom::new();
        let gone = |_| KeyError::Unavailable;
        let bytes = match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8v1(&system).map_err(gone)?.as_ref().to_vec(),
            Algorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &system).map_err(gone)?.as_ref().to_vec()
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(gone)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(gone)?;
                der.as_ref().to_vec()
            }
            Algorithm::Hs256 => rng.bytes::<32>().to_vec(),
        };
        Ok(Zeroizing::new(bytes))
    }

    /// Opens stored bytes.
    pub fn from_stored(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        let no = |_| KeyError::Rejected(algorithm);
        let inner = match algorithm {
            Algorithm::EdDsa => Signer::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes).map_err(no)?),
            Algorithm::Es256 => {
                Signer::P256(Box::new(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes).map_err(no)?))
            }
            Algorithm::Rs256 => Signer::Rsa(Box::new(RsaKeyPair::from_pkcs8(bytes).map_err(no)?)),
            Algorithm::Hs256 if bytes.len() == 32 => Signer::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes))),
            Algorithm::Hs256 => return Err(KeyError::Rejected(algorithm)),
        };
        Ok(Self { algorithm, inner })
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs, in the form of RFC 7518 section 3 and RFC 8037.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let gone = |_| KeyError::Unavailable;
        Ok(match &self.inner {
            Signer::Ed25519(pair) => pair.try_sign(message).map_err(gone)?.as_ref().to_vec(),
            Signer::P256(pair) => pair.sign(&SystemRandom::new(), message).map_err(gone)?.as_ref().to_vec(),
            Signer::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut out).map_err(gone)?;
                out
            }
            Signer::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
        })
    }

    /// What checks its signatures.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        let rejected = KeyError::Rejected(self.algorithm);
        match &self.inner {
            Signer::Ed25519(pair) => PublicKey::ed25519(pair.public_key().as_ref()),
            Signer::P256(pair) => PublicKey::p256(pair.public_key().as_ref()),
            Signer::Rsa(pair) => {
                let public = pair.public_key();
                let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
                let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
                PublicKey::rsa(modulus, exponent)
            }
            Signer::Hmac(key) => Ok(PublicKey { algorithm: self.algorithm, inner: Check::Hmac(key.clone()) }),
        }
        .map_err(|_| rejected)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm.name())
    }
}

/// What checks signatures. For an HMAC this is the secret itself, which is never published.
pub struct PublicKey {
    algorithm: Algorithm,
    inner: Check,
}

enum Check {
    Curve(ParsedPublicKey),
    Rsa { key: ParsedPublicKey, modulus: Vec<u8>, exponent: Vec<u8> },
    Hmac(Box<hmac::Key>),
}

/// The published parts of a key, as a JWK names them.
pub(super) enum Parts<'a> {
    Ed25519(&'a [u8]),
    P256 { x: &'a [u8], y: &'a [u8] },
    Rsa { modulus: &'a [u8], exponent: &'a [u8] },
}

impl PublicKey {
    /// An Ed25519 key of 32 bytes.
    pub fn ed25519(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| KeyError::Rejected(Algorithm::EdDsa))?;
        Ok(Self { algorithm: Algorithm::EdDsa, inner: Check::Curve(key) })
    }

    /// A P-256 key as an uncompressed point; one off the curve is refused (F036).
    pub fn p256(point: &[u8]) -> Result<Self, KeyError> {
        let rejected = KeyError::Rejected(Algorithm::Es256);
        if point.len() != 65 || point[0] != 4 {
            return Err(rejected);
        }
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| rejected)?;
        Ok(Self { algorithm: Algorithm::Es256, inner: Check::Curve(key) })
    }

    /// An RSA key of 2,048 bits or more.
    pub fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Result<Self, KeyError> {
        let parts = PublicKeyComponents { n: modulus.as_slice(), e: exponent.as_slice() };
        let key = parts
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| KeyError::Rejected(Algorithm::Rs256))?;
        Ok(Self { algorithm: Algorithm::Rs256, inner: Check::Rsa { key, modulus, exponent } })
    }

    /// Its algorithm, which a token must name too; the token's own word decides nothing (F029).
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether a signature is good.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.inner {
            Check::Curve(key) | Check::Rsa { key, .. } => key.verify_sig(message, signature).is_ok(),
            Check::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }

    pub(super) fn parts(&self) -> Option<Parts<'_>> {
        match &self.inner {
            Check::Curve(key) if self.algorithm == Algorithm::EdDsa => Some(Parts::Ed25519(key.as_ref())),
            Check::Curve(key) => {
                let (x, y) = key.as_ref().get(1..)?.split_at_checked(32)?;
                Some(Parts::P256 { x, y })
            }
            Check::Rsa { modulus, exponent, .. } => Some(Parts::Rsa { modulus, exponent }),
            Check::Hmac(_) => None,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.algorithm.name())
    }
}

/// The key of tickets' MACs: HMAC-SHA-256 cut to 16 bytes (RFC 2104 section 5).
pub(crate) struct MacKey(hmac::Key);

impl MacKey {
    /// 32 fresh bytes to wrap and store.
    pub(crate) fn generate(rng: &Rng) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(rng.bytes::<32>().to_vec())
    }

    /// Opens stored bytes.
    pub(crate) fn from_stored(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == 32).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The MAC of a message.
    pub(crate) fn tag(&self, message: &[u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        tag.copy_from_slice(&hmac::sign(&self.0, message).as_ref()[..16]);
        tag
    }

    /// Whether a MAC is good, in constant time.
    #[must_use]
    pub(crate) fn verifies(&self, message: &[u8], tag: &[u8; 16]) -> bool {
        verify_slices_are_equal(&self.tag(message), tag).is_ok()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F139: every algorithm signs and verifies with the shipped feature set.
    #[test]
    fn every_algorithm_signs_and_verifies() {
        for algorithm in Algorithm::ALL {
            let stored = SigningKey::generate(algorithm, &Rng::system()).unwrap();
            let key = SigningKey::from_stored(algorithm, &stored).unwrap();
            let public = key.public().unwrap();
            let signature = key.sign(b"message").unwrap();
            assert!(public.verifies(b"message", &signature), "{algorithm:?}");
            assert!(!public.verifies(b"massage", &signature), "{algorithm:?}");
            assert!(!public.verifies(b"message", &[]), "{algorithm:?}");
            assert!(!format!("{key:?}{public:?}").contains("0x"));
        }
    }

    /// F030: zeros, values of the group order and DER are no ECDSA signatures.
    #[test]
    fn an_ecdsa_signature_of_zeros_is_refused() {
        let stored = SigningKey::generate(Algorithm::Es256, &Rng::system()).unwrap();
        let key = SigningKey::from_stored(Algorithm::Es256, &stored).unwrap();
        let public = key.public().unwrap();
        let order = data_encoding::HEXUPPER
            .decode(b"FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551")
            .unwrap();
        let good = key.sign(b"m").unwrap();
        assert!(public.verifies(b"m", &good));
        for (r, s) in [(&[0; 32][..], &[0; 32][..]), (&[0; 32], &good[32..]), (&good[..32], &[0; 32]), (&order, &order)]
        {
            assert!(!public.verifies(b"m", &[r, s].concat()));
        }
        let mut der = vec![0x30, 68, 2, 32];
        der.extend_from_slice(&good[..32]);
        der.extend_from_slice(&[2, 32]);
        der.extend_from_slice(&good[32..]);
        assert!(!public.verifies(b"m", &der));
    }
}
