//! `cloakroom token`: checks a token with a public key, or shows what it says. Needs no server and no configuration.

use std::{fs, io};

use cloakroom_core::{
    clock::{Clock, Timestamp},
    ids::Kid,
    key::{JwkError, PublicKey, read_jwk},
    refusal::Reason,
    revocation::EXP_LEEWAY,
    token::{self, Claims},
    verify::IAT_LEEWAY,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::{
    args::{Token, Verify},
    failure::Failure,
    output::Output,
    password::first_line,
};

pub(crate) fn run(command: Token, output: Output) -> Result<(), Failure> {
    match command {
        Token::Verify(verify) => {
            let keys = Keys::read(&verify)?;
            let text = given(&verify.token)?;
            let answer = if verify.signature_only { signature(&text, &keys)? } else { whole(&text, keys)? };
            output.answer(&answer, |answer| {
                output.line(pretty(&answer["claims"]));
                let checked = if verify.signature_only {
                    "The signature is good; nothing else was checked"
                } else {
                    "The token is good"
                };
                output.remark(format_args!("{checked} ({}).", answer["algorithm"].as_str().unwrap_or_default()));
            });
        }
        Token::Inspect { token } => {
            let (algorithm, kid, claims) = token::inspect(&given(&token)?).map_err(refused)?;
            let answer = json!({ "checked": false, "algorithm": algorithm, "kid": kid, "claims": claims });
            output.answer(&answer, |answer| output.line(pretty(&answer["claims"])));
            output.remark(
                "NOTHING WAS CHECKED. Anybody can write a token that says this; `cloakroom token verify` checks one.",
            );
        }
    }
    Ok(())
}

/// A token of ours: form, header, signature, claims and times.
fn whole(text: &str, keys: Keys) -> Result<Value, Failure> {
    let (_, named, payload) = token::inspect(text).map_err(refused)?;
    // A key that has no name is meant for whatever is checked.
    let of_name = |(name, key): (Option<String>, PublicKey)| match name {
        None => Some((named, key)),
        Some(name) => Kid::parse(&name).map(|kid| (kid, key)),
    };
    let keys = keys.0.into_iter().filter_map(of_name).collect();
    let token::Checked { claims, kid } = token::check(text, &keys).map_err(refused)?;
    in_time(&claims, Clock::system().now()).map_err(refused)?;
    let algorithm = keys.get(kid).map(PublicKey::algorithm);
    Ok(json!({ "checked": true, "algorithm": algorithm, "kid": kid, "claims": payload }))
}

fn in_time(claims: &Claims, now: Timestamp) -> Result<(), Reason> {
    if claims.issued > now + IAT_LEEWAY {
        return Err(Reason::FromTheFuture);
    }
    if now >= claims.expires + EXP_LEEWAY {
        return Err(Reason::TokenExpired);
    }
    if claims.expires <= claims.issued { Err(Reason::TooLongLived) } else { Ok(()) }
}

/// Anybody's JWS: the signature.
fn signature(text: &str, keys: &Keys) -> Result<Value, Failure> {
    let named = keys.0.iter().map(|(name, key)| (name.as_deref(), key));
    let jws = token::check_signature(text, named).map_err(refused)?;
    let claims = serde_json::from_slice::<Value>(&jws.payload).ok();
    let mut answer = json!({ "checked": "signature", "algorithm": jws.algorithm, "kid": jws.kid, "claims": claims });
    if claims.is_none() {
        answer["payload"] = BASE64URL_NOPAD.encode(&jws.payload).into();
    }
    Ok(answer)
}

/// Public keys, each with the name that its owner gave it.
struct Keys(Vec<(Option<String>, PublicKey)>);

impl Keys {
    fn read(verify: &Verify) -> Result<Self, Failure> {
        let shown = verify.jwk.display();
        let unusable = |detail: String| Failure::usage(format!("{shown}: {detail}"));
        let text = fs::read_to_string(&verify.jwk).map_err(|error| unusable(error.to_string()))?;
        let json: Value =
            serde_json::from_str(&text).map_err(|_| unusable("this is no JSON Web Key (set)".to_owned()))?;
        let Some(set) = json.get("keys") else {
            return Ok(Self(vec![one(json).map_err(|error| unusable(error.to_string()))?]));
        };
        let set = set.as_array().cloned().ok_or_else(|| unusable("`keys` is no list".to_owned()))?;
        let mut keys = vec![];
        for key in set {
            match one(key) {
                Ok(key) => keys.push(key),
                // As RFC 7517 section 5 asks, keys of other kinds are passed over; broken ones are not (F036).
                Err(JwkError::Mismatch | JwkError::NotPublic | JwkError::Malformed) => {}
                Err(broken) => return Err(unusable(broken.to_string())),
            }
        }
        if keys.is_empty() {
            Err(unusable("there is no key in it that checks signatures here".to_owned()))
        } else {
            Ok(Self(keys))
        }
    }
}

/// A key of any name; ours are short.
fn one(mut jwk: Value) -> Result<(Option<String>, PublicKey), JwkError> {
    let name = jwk.as_object_mut().and_then(|members| members.remove("kid"));
    let (_, key) = read_jwk(&jwk.to_string())?;
    Ok((name.as_ref().and_then(Value::as_str).map(str::to_owned), key))
}

fn given(token: &str) -> Result<String, Failure> {
    if token == "-" {
        first_line(&mut io::stdin().lock()).map(|line| line.trim().to_owned())
    } else {
        Ok(token.to_owned())
    }
}

fn pretty(claims: &Value) -> String {
    serde_json::to_string_pretty(claims).unwrap_or_default()
}

fn refused(reason: Reason) -> Failure {
    let detail = match reason {
        Reason::Malformed => "this is no token in compact form, or one of its parts is not base64url without padding",
        Reason::BadHeader => {
            "the header is not as it must be: an unknown algorithm, or members beside typ, alg and kid"
        }
        Reason::WrongKind => "the token's `typ` is not at+jwt (--signature-only takes anybody's)",
        Reason::UnknownKey => "the token names a key that is not in the file",
        Reason::BadSignature => "the signature is not one of this key",
        Reason::BadClaims => {
            "the signature is good, but the claims are not those of an access token (--signature-only takes any)"
        }
        Reason::TokenExpired => "the token has expired",
        Reason::FromTheFuture => "the token was issued in the future; is this machine's clock right?",
        Reason::TooLongLived => "the token ends before it begins",
        other => other.as_str(),
    };
    Failure::refused(reason.as_str(), detail)
}
