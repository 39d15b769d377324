//! The master secret, which wraps every stored key.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::random::Rng;

/// The secret that wraps the keys: `CLOAKROOM_SECRET`, or the file `master.secret`. 32 bytes or more.
pub struct MasterSecret(Zeroizing<Vec<u8>>);

const CHECK_LABEL: &str = "cloakroom master secret check v1";
const CHECK_TEXT: &[u8] = b"this is the master secret of this store";

/// Why a text cannot be the master secret.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SecretError {
    /// Not base64.
    #[error("the master secret is not base64; make one with `head -c 32 /dev/urandom | base64`")]
    NotBase64,
    /// Too few bytes.
    #[error("the master secret has {0} bytes; it needs 32 or more")]
    TooShort(usize),
    /// A sample value, or bytes that nobody drew at random (F046).
    #[error("the master secret is a sample or a pattern, not random; make one with `head -c 32 /dev/urandom | base64`")]
    NotRandom,
    /// It does not open what this store's keys were wrapped with.
    #[error(
        "this master secret is not the one that wraps this store's keys (F047); start with the secret of the store, or \
         give the old one as CLOAKROOM_SECRET_OLD to `cloakroom key rewrap`"
    )]
    Wrong,
}

/// The master secrets that a server holds: one, or during a change of it two. Each of them opens; new keys are wrapped under
/// the one that the store names.
#[derive(Clone, Debug)]
pub struct MasterSecrets(Vec<Arc<MasterSecret>>);

impl MasterSecrets {
    /// The same with another one from before or after a change.
    #[must_use]
    pub fn and(mut self, other: MasterSecret) -> Self {
        self.0.retain(|held| !held.is_same(&other));
        self.0.push(Arc::new(other));
        self
    }

    /// The same after a change to another one: the last from before it still opens what other servers wrapped meanwhile.
    #[must_use]
    pub(crate) fn changed_to(&self, new: MasterSecret) -> Self {
        let old = self.0.iter().filter(|held| !held.is_same(&new)).take(1).cloned().collect::<Vec<_>>();
        Self([vec![Arc::new(new)], old].concat())
    }

    /// The configured one.
    pub(crate) fn first(&self) -> &MasterSecret {
        &self.0[0]
    }

    /// The one that a store's check names.
    pub fn named_by(&self, check: &WrappedKey) -> Option<&Arc<MasterSecret>> {
        self.0.iter().find(|secret| secret.is_checked_by(check))
    }

    /// Opens what one of them has wrapped under the same label.
    pub fn unwrap(&self, label: &str, wrapped: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        self.0.iter().find_map(|secret| secret.unwrap(label, wrapped).ok()).ok_or(SecretError::Wrong)
    }
}

impl From<&MasterSecret> for MasterSecrets {
    fn from(only: &MasterSecret) -> Self {
        MasterSecret(only.0.clone()).into()
    }
}

impl From<MasterSecret> for MasterSecrets {
    fn from(only: MasterSecret) -> Self {
        Self(vec![Arc::new(only)])
    }
}

/// Some bytes under the master secret: nonce, ciphertext, tag (AES-256-GCM, NIST SP 800-38D).
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey(Vec<u8>);

impl MasterSecret {
    /// Reads base64 or base64url, padded or not, of 32 random bytes or more.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim().as_bytes();
        let bytes = [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD]
            .iter()
            .find_map(|form| form.decode(text).ok())
            .map(Zeroizing::new)
            .ok_or(SecretError::NotBase64)?;
        if bytes.len() < 32 {
            return Err(SecretError::TooShort(bytes.len()));
        }
        // 32 random bytes have 30 different ones on average and fewer than 16 about never; samples and patterns do.
        let different = bytes.iter().collect::<std::collections::BTreeSet<_>>().len();
        if different < 16 || bytes.windows(2).all(|w| w[1] == w[0].wrapping_add(1)) {
            return Err(SecretError::NotRandom);
        }
        Ok(Self(bytes))
    }

    /// A new one, and its text for the file.
    pub fn generate(rng: &Rng) -> (Self, Zeroizing<String>) {
        let bytes = Zeroizing::new(rng.bytes::<32>());
        (Self(Zeroizing::new(bytes.to_vec())), Zeroizing::new(BASE64.encode(&*bytes)))
    }

    /// Whether the two are the same secret; takes the same time for all of one length.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// The check of this secret, by which a store knows it.
    pub fn check(&self, rng: &Rng) -> WrappedKey {
        self.wrap(CHECK_LABEL, CHECK_TEXT, rng)
    }

    /// Whether a store's check is this secret's.
    #[must_use]
    pub fn is_checked_by(&self, check: &WrappedKey) -> bool {
        self.unwrap(CHECK_LABEL, check).is_ok_and(|text| text.as_slice() == CHECK_TEXT)
    }

    /// Wraps bytes; `label` says what they are, and they open under no other label.
    pub fn wrap(&self, label: &str, bytes: &[u8], rng: &Rng) -> WrappedKey {
        let nonce = rng.bytes::<12>();
        let mut sealed = bytes.to_vec();
        let tag = self
            .cipher()
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(label.as_bytes()), &mut sealed)
            .expect("a key is short enough to be sealed");
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        out.extend_from_slice(tag.as_ref());
        WrappedKey(out)
    }

    /// Opens what [`Self::wrap`] made under the same label.
    pub fn unwrap(&self, label: &str, wrapped: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let (nonce, sealed) = wrapped.0.split_first_chunk::<12>().ok_or(SecretError::Wrong)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .cipher()
            .open_in_place(nonce, Aad::from(label.as_bytes()), &mut buffer)
            .map_err(|_| SecretError::Wrong)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// A key for a purpose that is neither wrapping nor anything that must outlive a change of this secret.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 16] {
        let mut key = [0; 16];
        self.expand(b"cloakroom purposes v1", purpose.as_bytes(), &mut key);
        key
    }

    fn cipher(&self) -> LessSafeKey {
        let mut key = Zeroizing::new([0; 32]);
        self.expand(b"cloakroom key wrapping v1", b"aes-256-gcm", &mut key);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("the key has 32 bytes"))
    }

    /// HKDF (RFC 5869).
    fn expand<const N: usize>(&self, salt: &[u8], info: &[u8], key: &mut [u8; N]) {
        let prk = Salt::new(HKDF_SHA256, salt).extract(&self.0);
        let info = [info];
        let okm = prk.expand(&info, Bytes::<N>).expect("so few bytes can be derived");
        okm.fill(key).expect("so many bytes were asked for");
    }
}

struct Bytes<const N: usize>;

impl<const N: usize> KeyType for Bytes<N> {
    fn len(&self) -> usize {
        N
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret")
    }
}

impl WrappedKey {
    /// The bytes, as stores hold them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the bytes that a store held.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedKey({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_wrapped_opens_with_the_same_secret_and_label_only() {
        let rng = Rng::system();
        let (secret, text) = MasterSecret::generate(&rng);
        let wrapped = secret.wrap("kid", b"a key", &rng);
        assert_eq!(&**MasterSecret::parse(&text).unwrap().unwrap("kid", &wrapped).unwrap(), b"a key");
        assert_eq!(secret.unwrap("other", &wrapped).unwrap_err(), SecretError::Wrong);
        let (stranger, _) = MasterSecret::generate(&rng);
        assert_eq!(stranger.unwrap("kid", &wrapped).unwrap_err(), SecretError::Wrong);
        assert_eq!(secret.unwrap("kid", &WrappedKey::from_bytes(vec![0; 5])).unwrap_err(), SecretError::Wrong);
    }

    /// F046: short, sample and patterned secrets are refused, each with its reason.
    #[test]
    fn a_secret_that_nobody_drew_is_refused() {
        let parse = |bytes: &[u8]| MasterSecret::parse(&BASE64.encode(bytes)).unwrap_err();
        assert_eq!(parse(&[7; 31]), SecretError::TooShort(31));
        assert_eq!(parse(&[7; 32]), SecretError::NotRandom);
        assert_eq!(parse(&(0..32).collect::<Vec<u8>>()), SecretError::NotRandom);
        assert_eq!(parse(b"changemechangemechangemechangeme"), SecretError::NotRandom);
        assert_eq!(MasterSecret::parse("not base64!").unwrap_err(), SecretError::NotBase64);
    }

    #[test]
    fn the_secret_does_not_print() {
        let (secret, text) = MasterSecret::generate(&Rng::seeded(1));
        assert_eq!(format!("{secret:?}"), "MasterSecret");
        assert!(!format!("{:?}", secret.wrap("l", b"key", &Rng::seeded(2))).contains(&text[..8]));
    }
}
