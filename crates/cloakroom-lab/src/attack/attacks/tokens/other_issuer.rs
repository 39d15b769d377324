//! A token of another issuer.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "other-issuer",
    title: "A token of another issuer",
    has: "a token with a good signature (of a flawed issuer, or of another service that shares the key) of another issuer",
    does: "presents it here",
    gains: "the account of whoever has the same name here",
    source: "RFC 8725 section 3.8; RFC 9068 section 4",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    stage.try_resealed(|_, claims| claims["iss"] = json!("https://evil.test"), "iss is another one").await
}
