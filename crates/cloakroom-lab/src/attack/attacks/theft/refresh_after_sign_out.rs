//! A refresh token after the owner has signed out.

use crate::attack::{
    plan::{Attack, Expect, Expected, Needs, Tried},
    stage::{Stage, verdict},
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "refresh-after-sign-out",
    title: "A refresh token after the owner has signed out",
    has: "a copy of a refresh token",
    does: "renews with it after the owner has signed out",
    gains: "new access tokens, for weeks",
    source: "RFC 7009 section 2.1; CWE-613",
    expected: Expected::EVERYWHERE
        .not_careless_session("it has no tokens")
        .tickets(Expect::Never("its client holds no token")),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let Some(token) = held.refresh.clone() else { return Err("no refresh token was given".into()) };
    stage.target.sign_out(&held).await?;
    Ok(verdict(&stage.target.refresh(&token).await?, "the renewal after the sign-out"))
}
