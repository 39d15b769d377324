//! A copied refresh token, used after its owner has used it.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{
    plan::{Attack, Expect, Expected, Needs, Tried},
    stage::{Stage, verdict},
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "copied-refresh-token-late",
    title: "A copied refresh token, used after its owner has used it",
    has: "a copy of a refresh token that its owner has renewed since",
    does: "renews with it",
    gains: "new access tokens",
    source: "RFC 9700 section 4.14.2 (rotation and reuse detection)",
    expected: Expected::EVERYWHERE
        .not_careless_session("it has no tokens")
        .tickets(Expect::Never("its client holds no refresh token"))
        .stateless(Expect::Never("its refresh token is not rotated: see copied-refresh-token-first")),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let Some(token) = held.refresh else { return Err("no refresh token was given".into()) };
    let grace = stage.target.lasting.grace + Duration::from_millis(200);
    sleep(grace).await;
    let renewed = stage.target.refresh(&token).await?;
    if !renewed.is_ok() {
        return Err(format!("the owner's renewal was answered {}", renewed.said()).into());
    }
    sleep(grace).await;
    let late = stage.target.refresh(&token).await?;
    Ok(verdict(&late, "the copy, renewed with after the owner had"))
}
