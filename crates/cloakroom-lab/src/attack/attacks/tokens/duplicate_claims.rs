//! A claim that is there twice.

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::{Stage, no_key, verdict},
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "duplicate-claims",
    title: "A claim that is there twice",
    has: "a token with a good signature (of a flawed issuer, or of another service that shares the key) in which a claim stands twice",
    does: "presents it to readers of which one takes the first and another the last",
    gains: "one account at the check, another at the use",
    source: "RFC 7519 section 4; F040",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (header, claims) = stage.base().await?;
    let payload = claims.to_string().replacen('{', r#"{"sub":"01890000-0000-7000-8000-000000000000","#, 1);
    let Some(token) = stage.target.sealed(&header.to_string(), &payload) else { return Ok(no_key()) };
    Ok(verdict(&stage.target.verify_token(&token).await?, "sub stands twice"))
}
