//! An attacker's own key.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use serde_json::{Value, json};

use crate::attack::{plan::Trouble, target::encode};

/// RSA, 2048 bits.
pub(super) struct OwnKey(KeyPair);

impl OwnKey {
    pub(super) fn new() -> Result<Self, Trouble> {
        Ok(Self(KeyPair::generate(KeySize::Rsa2048)?))
    }

    /// The public key.
    pub(super) fn jwk(&self) -> Value {
        let public = self.0.public_key();
        let (n, e) = (public.modulus(), public.exponent());
        json!({
            "kty": "RSA", "kid": "own", "alg": "RS256",
            "n": encode(n.big_endian_without_leading_zero()), "e": encode(e.big_endian_without_leading_zero()),
        })
    }

    /// A token signed with it.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> Result<String, Trouble> {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)?;
        Ok(format!("{signed}.{}", encode(signature)))
    }
}
