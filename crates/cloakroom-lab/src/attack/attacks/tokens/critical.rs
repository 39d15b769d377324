//! A header that must be understood.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "critical-header",
    title: "A header that must be understood",
    has: "a token with a good signature (of a flawed issuer, or of another service that shares the key) whose header says that an extension must be understood",
    does: "presents it to a server that does not know the extension",
    gains: "a token whose conditions are passed over",
    source: "RFC 7515 section 4.1.11; GHSA-hm7r-c7qw-ghp6; F032",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    stage
        .try_resealed(
            |header, _| {
                header["crit"] = json!(["exp2"]);
                header["exp2"] = json!(1);
            },
            "crit names an extension that is not known",
        )
        .await
}
