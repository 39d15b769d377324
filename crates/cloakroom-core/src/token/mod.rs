//! Access tokens: short-lived signed JWTs in the profile of RFC 9068, made and checked strictly.
//!
//! The header is parsed by our own code, for libraries read `crit` and go on; a token that has anything in its header but
//! `typ`, `alg` and `kid` is refused. The algorithm is a property of the key.

mod algorithm;
mod claims;
mod header;
mod jws;

use data_encoding::BASE64URL_NOPAD;

pub use algorithm::Algorithm;
pub use claims::{Claims, TokenId};
pub(crate) use header::header_text;
pub use jws::{Jws, check_signature};
use smallvec::SmallVec;

use crate::{
    ids::Kid,
    key::{KeyError, PublicKey, SigningKey, VerifyingKeys},
    refusal::Reason,
    secret::SecretText,
};

/// The longest token that is looked at; our own have about 450 characters, with long names and RS256 about 900.
pub const MAX_TOKEN: usize = 2048;

/// Signs claims.
pub fn sign(claims: &Claims, kid: Kid, key: &SigningKey) -> Result<SecretText, KeyError> {
    let mut text = header_text(key.algorithm(), kid);
    text.push('.');
    BASE64URL_NOPAD.encode_append(claims.to_json().as_bytes(), &mut text);
    let signature = key.sign(text.as_bytes())?;
    text.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut text);
    Ok(SecretText::new(text))
}

/// What [`check`] found: claims whose signature is good, and whose key that was.
#[derive(Debug)]
pub struct Checked {
    /// What the token says.
    pub claims: Claims,
    /// The key that signed it.
    pub kid: Kid,
}

/// Checks form, header, key and signature, in that order; nothing of the payload is decoded before the signature is
/// good. Times, issuer and audience are the caller's to judge.
pub fn check(text: &str, keys: &VerifyingKeys) -> Result<Checked, Reason> {
    let parts = Parts::split(text, MAX_TOKEN)?;
    let (kid, key) = match keys.of_header(parts.header) {
        Some(found) => found,
        None => key_of(parts.header, keys)?,
    };
    if !key.verifies(parts.signed.as_bytes(), &decode(parts.signature)?) {
        return Err(Reason::BadSignature);
    }
    let payload = decode(parts.payload)?;
    Ok(Checked { claims: Claims::from_json(&payload)?, kid })
}

/// The key that a header names which is not written as ours are.
fn key_of<'k>(header: &str, keys: &'k VerifyingKeys) -> Result<(Kid, &'k PublicKey), Reason> {
    let (algorithm, kid) = header::read(header)?;
    let key = keys.get(kid).ok_or_else(|| keys.absence(kid))?;
    if algorithm == key.algorithm() { Ok((kid, key)) } else { Err(Reason::BadSignature) }
}

/// What a part of a token encodes; our own take no allocation.
fn decode(part: &str) -> Result<SmallVec<[u8; 512]>, Reason> {
    let longest = BASE64URL_NOPAD.decode_len(part.len()).map_err(|_| Reason::Malformed)?;
    let mut bytes = SmallVec::from_elem(0, longest);
    let length = BASE64URL_NOPAD.decode_mut(part.as_bytes(), &mut bytes).map_err(|_| Reason::Malformed)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// A token's claims without a check of any kind but its form, for `cloakroom token inspect`: for the eyes only.
pub fn inspect(text: &str) -> Result<(Algorithm, Kid, serde_json::Value), Reason> {
    let parts = Parts::split(text, MAX_TOKEN)?;
    let (algorithm, kid) = header::read(parts.header)?;
    let payload = decode(parts.payload)?;
    Ok((algorithm, kid, serde_json::from_slice(&payload).map_err(|_| Reason::Malformed)?))
}

/// The three parts of a token of bounded size (RFC 7515 section 7.1); five parts are refused before anything is decoded
/// (F035).
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// Header and payload, as they were signed.
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str, longest: usize) -> Result<Self, Reason> {
        if text.len() > longest {
            return Err(Reason::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Reason::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Reason::Malformed)?;
        if payload.contains('.') {
            return Err(Reason::Malformed);
        }
        Ok(Self { header, payload, signature, signed })
    }
}

#[cfg(test)]
mod tests;
