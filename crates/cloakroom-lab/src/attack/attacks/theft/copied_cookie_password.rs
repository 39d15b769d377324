//! A copied credential after the owner has changed the password.

use serde_json::json;

use crate::attack::{
    http::Request,
    plan::{Attack, Bound, Expect, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "copied-cookie-password-change",
    title: "A copied credential after the owner has changed the password",
    has: "a copy of what the owner's browser or app holds",
    does: "goes on using it after the owner, who suspects something, has changed the password",
    gains: "the owner's session, though the owner did what is advised",
    source: "OWASP ASVS 5.0, 7.4.3 and 7.2.4; CWE-613",
    expected: Expected::EVERYWHERE
        .tickets(Expect::Window(Bound::Lag, "until every verifier has heard of the end"))
        .tokens(Expect::Window(Bound::Lag, "until every verifier has heard of the end")),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let thief = stage.target.welcome(&owner).await?;
    // The owner is signed in on another device too, and changes the password there.
    let held = stage.target.sign_in(&owner).await?;
    let body = json!({ "current": owner.password, "new": "quite another harbour 8231" });
    let changed = stage.target.send(stage.target.with(&held, Request::post("/v1/password").json(&body))).await?;
    if !changed.is_ok() {
        return Err(format!("the change of the password was answered {}", changed.said()).into());
    }
    stage.lasting(&thief, stage.longest(Bound::Lag), "the copy after the change").await
}
