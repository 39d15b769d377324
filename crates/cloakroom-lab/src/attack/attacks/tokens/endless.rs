//! A token for ten years.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "endless-token",
    title: "A token for ten years",
    has: "a token with a good signature (of a flawed issuer, or of another service that shares the key) that lives longer than any should",
    does: "presents it for years",
    gains: "an account for good, past every limit of a session",
    source: "RFC 8725 section 3.1; RFC 9700 section 2.2.1; F136",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    stage
        .try_resealed(
            |_, claims| claims["exp"] = json!(claims["exp"].as_i64().unwrap_or_default() + 315_360_000),
            "exp is in ten years",
        )
        .await
}
