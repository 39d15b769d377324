//! Claims of the wrong type.

use serde_json::Value;
use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "mistyped-claims",
    title: "Claims of the wrong type",
    has: "a token with a good signature (of a flawed issuer, or of another service that shares the key) whose `exp` is text, or missing",
    does: "presents it to a server that takes what it cannot read for what is not there",
    gains: "a token that never expires",
    source: "CVE-2026-25537 (GHSA-h395-gr6q-cpjc); F031",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let mut last = None;
    for exp in [json!("never"), json!(-1), json!(1e300), json!([]), Value::Null] {
        let what = format!("exp is {exp}");
        match stage.try_resealed(move |_, claims| claims["exp"] = exp, &what).await? {
            Found::Refused(evidence) => last = Some(evidence),
            found => return Ok(found),
        }
    }
    Ok(Found::Refused(format!("five of them, the last: {}", last.unwrap_or_default())))
}
