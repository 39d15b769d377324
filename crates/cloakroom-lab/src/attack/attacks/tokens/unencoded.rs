//! A payload that is not encoded as it looks.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "unencoded-payload",
    title: "A payload that is not encoded as it looks",
    has: "a token with a good signature (of a flawed issuer, or of another service that shares the key) with `b64` in its header",
    does: "presents it, so that two readers see two payloads",
    gains: "a token that one reader checks and another reads otherwise",
    source: "RFC 7797 section 6; F032",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    stage
        .try_resealed(
            |header, _| {
                header["b64"] = json!(false);
                header["crit"] = json!(["b64"]);
            },
            "b64 is false",
        )
        .await
}
