//! A copied cookie after the owner has signed out.

use crate::attack::{
    plan::{Attack, Bound, Expect, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "copied-cookie",
    title: "A copied cookie after the owner has signed out",
    has: "a copy of the cookie (a shared computer, malware, a backup of a browser profile)",
    does: "goes on using it after the owner has signed out",
    gains: "the owner's session, for as long as it is accepted",
    source: "OWASP Session Management Cheat Sheet, Session Expiration; CWE-613",
    expected: Expected::EVERYWHERE
        .not_careless_jwt("its client holds no cookie; see copied-access-token")
        .tickets(Expect::Window(Bound::Lag, "until every verifier has heard of the end"))
        .tokens(Expect::Never("its cookie holds a refresh token; see refresh-after-sign-out")),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    if !stage.target.verify(&held).await?.is_ok() {
        return Err("the cookie is not accepted to begin with".into());
    }
    stage.target.sign_out(&held).await?;
    stage.lasting(&held, stage.longest(Bound::Lag), "the copy after the sign-out").await
}
