//! A token after its owner has signed out everywhere.

use serde_json::json;

use crate::attack::{
    http::Request,
    plan::{Attack, Bound, Expect, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "replay-after-sign-out",
    title: "A token after its owner has signed out everywhere",
    has: "a copy of a token of a device that was lost",
    does: "goes on using it after the owner has signed out everywhere, from another device",
    gains: "the owner's account, for as long as the token lives",
    source: "RFC 9700 section 4.9; RFC 7009; CWE-613",
    expected: Expected::EVERYWHERE
        .not_careless_session("it has no tokens")
        .tickets(Expect::Window(Bound::Lag, "until every verifier has heard of the end"))
        .tokens(Expect::Window(Bound::Lag, "until every verifier has heard of the end")),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let lost = stage.target.welcome(&owner).await?;
    let here = stage.target.sign_in(&owner).await?;
    let request = stage.target.with(&here, Request::post("/v1/logout").json(&json!({ "everywhere": true })));
    let ended = stage.target.send(request).await?;
    if !ended.is_ok() {
        return Err(format!("the sign-out everywhere was answered {}", ended.said()).into());
    }
    stage.lasting(&lost, stage.longest(Bound::Lag), "what the lost device holds").await
}
