//! A token that was meant for another service.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "other-audience",
    title: "A token that was meant for another service",
    has: "a token that somebody gave to his service",
    does: "presents it to this one",
    gains: "the account of whoever trusted his service",
    source: "RFC 8725 section 3.9; RFC 9700 section 2.3; F039",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    stage
        .try_resealed(
            |_, claims| {
                claims["aud"] = json!("evil");
                claims["client_id"] = json!("evil");
            },
            "aud is another one",
        )
        .await
}
