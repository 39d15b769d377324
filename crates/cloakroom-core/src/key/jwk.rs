//! Public keys as JWKs (RFC 7517, RFC 7518 section 6, RFC 8037 section 2): written for the key set, read strictly.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use super::{
    material::{KeyError, Parts, PublicKey},
    verifying::VerifyingKeys,
};
use crate::{ids::Kid, token::Algorithm};

/// Why a JWK or a key set cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum JwkError {
    /// Not JSON of that form.
    #[error("this is no JSON Web Key (set)")]
    Malformed,
    /// It holds a private part, or a symmetric key.
    #[error("this key is not a public one")]
    NotPublic,
    /// Its type, curve and algorithm do not fit together, or are not known here.
    #[error("this key's type, curve and algorithm do not fit together")]
    Mismatch,
    /// Its point or modulus is none (F036).
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The key set of these keys, in the order given; HMAC keys are never in it.
pub fn jwks_document<'a>(keys: impl IntoIterator<Item = (Kid, &'a PublicKey)>) -> Value {
    let keys = keys.into_iter().filter_map(|(kid, key)| jwk(kid, key)).collect::<Vec<_>>();
    json!({ "keys": keys })
}

fn jwk(kid: Kid, key: &PublicKey) -> Option<Value> {
    let b64 = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let mut jwk = match key.parts()? {
        Parts::Ed25519(x) => json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(x) }),
        Parts::P256 { x, y } => json!({ "kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y) }),
        Parts::Rsa { modulus, exponent } => json!({ "kty": "RSA", "n": b64(modulus), "e": b64(exponent) }),
    };
    jwk["kid"] = kid.as_str().into();
    jwk["alg"] = key.algorithm().name().into();
    jwk["use"] = "sig".into();
    Some(jwk)
}

#[derive(Deserialize)]
struct Members {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<serde::de::IgnoredAny>,
    k: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// Reads one public JWK. `kid` may be missing, for a key that is given by itself.
pub fn read_jwk(text: &str) -> Result<(Option<Kid>, PublicKey), JwkError> {
    members(serde_json::from_str(text).map_err(|_| JwkError::Malformed)?)
}

/// Reads a key set. Keys that are not for checking signatures, or of a kind that is not known here, are left out, as
/// RFC 7517 section 5 asks; a known key that is broken refuses the set.
pub fn read_jwks(text: &str) -> Result<VerifyingKeys, JwkError> {
    let set: Set = serde_json::from_str(text).map_err(|_| JwkError::Malformed)?;
    let mut keys = VerifyingKeys::default();
    for value in set.keys {
        let Ok(parsed) = serde_json::from_value::<Members>(value) else { continue };
        match members(parsed) {
            Ok((Some(kid), key)) => keys.insert(kid, key),
            Ok((None, _)) | Err(JwkError::Mismatch | JwkError::NotPublic) => {}
            Err(broken) => return Err(broken),
        }
    }
    Ok(keys)
}

fn members(jwk: Members) -> Result<(Option<Kid>, PublicKey), JwkError> {
    if jwk.d.is_some() || jwk.k.is_some() {
        return Err(JwkError::NotPublic);
    }
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Err(JwkError::Mismatch);
    }
    let part = |part: Option<String>| {
        BASE64URL_NOPAD.decode(part.ok_or(JwkError::Mismatch)?.as_bytes()).map_err(|_| JwkError::Malformed)
    };
    let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => PublicKey::ed25519(&part(jwk.x)?)?,
        ("EC", Some("P-256")) => PublicKey::p256(&[vec![4], part(jwk.x)?, part(jwk.y)?].concat())?,
        ("RSA", None) => PublicKey::rsa(part(jwk.n)?, part(jwk.e)?)?,
        _ => return Err(JwkError::Mismatch),
    };
    if jwk.alg.is_some_and(|alg| Algorithm::parse(&alg) != Some(key.algorithm())) {
        return Err(JwkError::Mismatch);
    }
    let kid = jwk.kid.map(|kid| Kid::parse(&kid).ok_or(JwkError::Mismatch)).transpose()?;
    Ok((kid, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key::SigningKey, random::Rng};

    #[test]
    fn a_published_key_reads_back_and_verifies() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
            let stored = SigningKey::generate(algorithm, &Rng::system()).unwrap();
            let signing = SigningKey::from_stored(algorithm, &stored).unwrap();
            let kid = Kid::parse("k1").unwrap();
            let document = jwks_document([(kid, &signing.public().unwrap())]);
            let read = read_jwks(&document.to_string()).unwrap();
            assert!(read.get(kid).unwrap().verifies(b"m", &signing.sign(b"m").unwrap()), "{algorithm:?}");
        }
    }

    #[test]
    fn an_hmac_key_is_never_published() {
        let stored = SigningKey::generate(Algorithm::Hs256, &Rng::system()).unwrap();
        let key = SigningKey::from_stored(Algorithm::Hs256, &stored).unwrap().public().unwrap();
        assert_eq!(jwks_document([(Kid::parse("k1").unwrap(), &key)]), json!({ "keys": [] }));
    }

    /// F036: a point off its curve, or of another curve, is no key.
    #[test]
    fn a_point_off_its_curve_is_refused() {
        let b64 = |byte| BASE64URL_NOPAD.encode(&[byte; 32]);
        let off = json!({ "kty": "EC", "crv": "P-256", "x": b64(1), "y": b64(2) }).to_string();
        assert!(matches!(read_jwk(&off), Err(JwkError::Key(_))));
        let other = json!({ "kty": "EC", "crv": "P-384", "x": b64(1), "y": b64(2) }).to_string();
        assert!(matches!(read_jwk(&other), Err(JwkError::Mismatch)));
        let private = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(1), "d": b64(2) }).to_string();
        assert!(matches!(read_jwk(&private), Err(JwkError::NotPublic)));
        let mismatch = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(1), "alg": "ES256" }).to_string();
        assert!(matches!(read_jwk(&mismatch), Err(JwkError::Mismatch | JwkError::Key(_))));
    }
}
