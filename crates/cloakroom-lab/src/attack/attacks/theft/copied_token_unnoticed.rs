//! A copied access token that nobody misses.

use std::time::Duration;

use crate::attack::{
    plan::{Attack, Bound, Expect, Expected, Found, Needs, Tried},
    stage::Stage,
    target::Held,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "copied-access-token-unnoticed",
    title: "A copied access token that nobody misses",
    has: "a copy of an access token",
    does: "uses it while the owner notices nothing",
    gains: "the owner's account, for as long as the token lives",
    source: "RFC 9700 section 2.2.1; RFC 6750 section 5.3 (short lifetimes)",
    expected: Expected::EVERYWHERE
        .not_careless_session("it has no tokens")
        .tickets(Expect::Never("its client holds no token; a ticket is good until it is ended, see copied-cookie"))
        .tokens(Expect::Window(Bound::Lifetime, "a bearer token is good for whoever has it until it expires")),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    if stage.target.lasting.lifetime > Duration::from_secs(30) {
        return Ok(Found::NotHere("its tokens live longer than can be waited for".to_owned()));
    }
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let copy = Held { access: held.access, ..Held::default() };
    stage.lasting(&copy, stage.longest(Bound::Lifetime), "the copy, with the owner signed in").await
}
