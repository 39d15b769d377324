//! A token that is not yet valid.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "token-from-the-future",
    title: "A token that is not yet valid",
    has: "a token that was issued ahead of time",
    does: "presents it before its time",
    gains: "access before it was granted, and a token that outlives its end",
    source: "RFC 7519 section 4.1.5 and 4.1.6",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    stage
        .try_resealed(
            |_, claims| {
                let now = claims["iat"].as_i64().unwrap_or_default();
                for (name, at) in [("iat", now + 3600), ("nbf", now + 3600), ("exp", now + 3605)] {
                    claims[name] = json!(at);
                }
            },
            "iat and nbf are in an hour",
        )
        .await
}
