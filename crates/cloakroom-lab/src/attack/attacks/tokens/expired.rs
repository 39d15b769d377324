//! A token that has expired.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "expired-token",
    title: "A token that has expired",
    has: "a token of last year",
    does: "presents it",
    gains: "an account that he had access to long ago",
    source: "RFC 7519 section 4.1.4; RFC 9068 section 4",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    stage
        .try_resealed(
            |_, claims| {
                let now = claims["iat"].as_i64().unwrap_or_default();
                claims["iat"] = json!(now - 7200);
                claims["exp"] = json!(now - 3600);
            },
            "exp is an hour ago",
        )
        .await
}
