//! A token of 40 KiB.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "huge-token",
    title: "A token of 40 KiB",
    has: "a token with a good signature (of a flawed issuer, or of another service that shares the key), or only its beginning",
    does: "makes it 40 KiB long, or nests its claims a thousand deep",
    gains: "memory and time of the server for each request",
    source: "RFC 8725 section 3.6 and 2.4; F035",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    stage.try_resealed(|_, claims| claims["pad"] = json!("x".repeat(40 << 10)), "40 KiB of claims").await
}
