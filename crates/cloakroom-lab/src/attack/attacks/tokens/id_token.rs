//! An ID token as access token.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "id-token-as-access",
    title: "An ID token as access token",
    has: "an ID token, which every app of the same issuer has",
    does: "presents it where an access token belongs",
    gains: "the account at another app than it was meant for",
    source: "RFC 9068 section 5; RFC 8725 section 3.11",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    stage
        .try_resealed(
            |header, claims| {
                header["typ"] = json!("JWT");
                claims["nonce"] = json!("n-0S6_WzA2Mj");
            },
            "typ JWT, with a nonce",
        )
        .await
}
