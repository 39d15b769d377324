//! A token's header, read strictly: exactly `typ`, `alg` and `kid`, each once, each of a known form.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::Algorithm;
use crate::{ids::Kid, refusal::Reason};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    typ: &'a str,
    alg: &'a str,
    kid: &'a str,
}

/// Our headers have 60 characters; none may have more than twice that.
const MAX_HEADER: usize = 128;

/// The header as we write it, encoded.
pub(crate) fn header_text(algorithm: Algorithm, kid: Kid) -> String {
    let json = format!(r#"{{"typ":"at+jwt","alg":"{}","kid":"{kid}"}}"#, algorithm.name());
    BASE64URL_NOPAD.encode(json.as_bytes())
}

/// `crit`, `jku`, `jwk`, `x5u`, `x5c`, `zip`, `enc`, `p2c`, `b64` and all else that ours never hold are refused (F032,
/// F033, F035), repeated members too (F040), and a `kid` that is none of our names before any look-up (F034).
pub(super) fn read(part: &str) -> Result<(Algorithm, Kid), Reason> {
    if part.len() > MAX_HEADER {
        return Err(Reason::BadHeader);
    }
    let json = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Reason::Malformed)?;
    let header: Header<'_> = serde_json::from_slice(&json).map_err(|_| Reason::BadHeader)?;
    if header.typ != "at+jwt" {
        return Err(Reason::WrongKind);
    }
    let algorithm = Algorithm::parse(header.alg).ok_or(Reason::BadHeader)?;
    let kid = Kid::parse(header.kid).ok_or(Reason::UnknownKey)?;
    Ok((algorithm, kid))
}
