//! Anybody's compact JWS (RFC 7515 section 7.1), of which the signature alone is checked: for `token verify
//! --signature-only`, where keys and test vectors of others are tried.
//!
//! The header is as strict as for our own tokens, but names may be of any form and `typ`, `cty` and `kid` may be missing.
//! Nothing that lets a client in calls this.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::{Algorithm, Parts};
use crate::{key::PublicKey, refusal::Reason};

/// The longest that is looked at.
const MAX_JWS: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(rename = "typ")]
    _typ: Option<String>,
    #[serde(rename = "cty")]
    _cty: Option<String>,
}

/// A JWS whose signature is good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Jws {
    /// The algorithm, which is the key's.
    pub algorithm: Algorithm,
    /// The name of the key, where the header gives one.
    pub kid: Option<String>,
    /// What was signed, whatever it is.
    pub payload: Vec<u8>,
}

/// Checks form, header and signature by one of these keys: those of the name that the header gives or without a name, and
/// all where it gives none. The algorithm is the key's, whatever the header says (F028, F029); `crit`, `jku`, `jwk`,
/// `x5u`, `b64` and all else but `alg`, `typ`, `cty` and `kid` refuse it (F032, F033).
pub fn check_signature<'a>(
    text: &str,
    keys: impl IntoIterator<Item = (Option<&'a str>, &'a PublicKey)>,
) -> Result<Jws, Reason> {
    let parts = Parts::split(text, MAX_JWS)?;
    let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Reason::Malformed);
    let header: Header = serde_json::from_slice(&decode(parts.header)?).map_err(|_| Reason::BadHeader)?;
    let algorithm = Algorithm::parse(&header.alg).ok_or(Reason::BadHeader)?;
    let signature = decode(parts.signature)?;
    let mut refusal = Reason::UnknownKey;
    for (name, key) in keys {
        if name.is_some() && header.kid.is_some() && name != header.kid.as_deref() {
            continue;
        }
        refusal = Reason::BadSignature;
        if key.algorithm() == algorithm && key.verifies(parts.signed.as_bytes(), &signature) {
            return Ok(Jws { algorithm, kid: header.kid, payload: decode(parts.payload)? });
        }
    }
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key::SigningKey, random::Rng};

    /// RFC 8037 appendix A.4: a token of somebody else, without `kid` and `typ`, that holds no JSON.
    #[test]
    fn the_example_of_rfc_8037_verifies() {
        let x = BASE64URL_NOPAD.decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = PublicKey::ed25519(&x).unwrap();
        let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWb\
                    hijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let jws = check_signature(text, [(None, &key)]).unwrap();
        assert_eq!(jws.payload, b"Example of Ed25519 signing");
        assert_eq!(check_signature(text, [(Some("another"), &key)]).unwrap().kid, None);
        assert_eq!(check_signature(&text.replace("RXh", "RXg"), [(None, &key)]), Err(Reason::BadSignature));
        assert_eq!(check_signature(text, []), Err(Reason::UnknownKey));
    }

    fn signed(header: &str) -> (String, PublicKey) {
        let stored = SigningKey::generate(Algorithm::EdDsa, &Rng::system()).unwrap();
        let key = SigningKey::from_stored(Algorithm::EdDsa, &stored).unwrap();
        let signed = format!("{}.e30", BASE64URL_NOPAD.encode(header.as_bytes()));
        let signature = BASE64URL_NOPAD.encode(&key.sign(signed.as_bytes()).unwrap());
        (format!("{signed}.{signature}"), key.public().unwrap())
    }

    /// F028, F029, F032, F033: a good signature does not make up for what the header says.
    #[test]
    fn a_header_that_asks_for_more_is_refused() {
        for (header, expected) in [
            (r#"{"alg":"EdDSA"}"#, None),
            (r#"{"alg":"EdDSA","kid":"2011-04-29","typ":"JWT"}"#, None),
            (r#"{"alg":"none"}"#, Some(Reason::BadHeader)),
            (r#"{"alg":"eddsa"}"#, Some(Reason::BadHeader)),
            (r#"{"alg":"ES256"}"#, Some(Reason::BadSignature)),
            (r#"{"alg":"EdDSA","crit":[]}"#, Some(Reason::BadHeader)),
            (r#"{"alg":"EdDSA","b64":true}"#, Some(Reason::BadHeader)),
            (r#"{"alg":"EdDSA","jku":"https://a.example"}"#, Some(Reason::BadHeader)),
            (r#"{"alg":"EdDSA","alg":"EdDSA"}"#, Some(Reason::BadHeader)),
        ] {
            let (text, key) = signed(header);
            assert_eq!(check_signature(&text, [(None, &key)]).err(), expected, "{header}");
        }
        let (text, key) = signed(r#"{"alg":"EdDSA","kid":"a"}"#);
        assert_eq!(check_signature(&text, [(Some("b"), &key)]), Err(Reason::UnknownKey));
    }
}
