//! A copied access token after the owner has signed out.

use crate::attack::{
    plan::{Attack, Bound, Expect, Expected, Needs, Tried},
    stage::Stage,
    target::Held,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "copied-access-token",
    title: "A copied access token after the owner has signed out",
    has: "a copy of an access token (a log, a proxy, a crash report)",
    does: "goes on using it after the owner has signed out",
    gains: "the owner's account, for as long as the token is accepted",
    source: "RFC 9700 section 4.9; RFC 6750 section 5.2",
    expected: Expected::EVERYWHERE
        .not_careless_session("it has no tokens")
        .tickets(Expect::Never("its client holds no token"))
        .tokens(Expect::Window(Bound::Lag, "until every verifier has heard of the end")),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let copy = Held { access: held.access.clone(), ..Held::default() };
    stage.target.sign_out(&held).await?;
    stage.lasting(&copy, stage.longest(Bound::Lag), "the copy after the sign-out").await
}
