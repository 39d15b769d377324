//! A token in a token.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::{Stage, forged, no_key, verdict},
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "nested-token",
    title: "A token in a token",
    has: "a token with a good signature (of a flawed issuer, or of another service that shares the key) around another one that nobody signed",
    does: "presents it to a server that unwraps it and trusts what is within",
    gains: "any account",
    source: "RFC 8725 section 2.8 and 3.11; F035",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (mut header, claims) = stage.base().await?;
    let inner = forged(&json!({ "alg": "none" }), &claims, "");
    header["cty"] = "JWT".into();
    let Some(token) = stage.target.sealed(&header.to_string(), &inner) else { return Ok(no_key()) };
    Ok(verdict(&stage.target.verify_token(&token).await?, "a signed token around one that is not"))
}
