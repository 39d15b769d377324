//! A copied refresh token, used before its owner uses it.

use std::time::Duration;

use cloakroom_core::method::Method;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::attack::{
    plan::{Attack, Bound, Expect, Expected, Found, Needs, Tried},
    stage::Stage,
    target::{Held, Kind},
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "copied-refresh-token-first",
    title: "A copied refresh token, used before its owner uses it",
    has: "a copy of a refresh token",
    does: "renews with it, before the owner does",
    gains: "new access tokens, for as long as nobody notices",
    source: "RFC 9700 section 4.14.2 (rotation and reuse detection)",
    expected: Expected::EVERYWHERE
        .not_careless_session("it has no tokens")
        .tickets(Expect::Never("its client holds no refresh token"))
        .jwt(Expect::Window(
            Bound::Renewal,
            "the owner's next renewal, once the grace period is over, shows that there are two",
        ))
        .stateless(Expect::Window(
            Bound::Lag,
            "nothing is kept per login, so nobody finds the copy out; the owner's sign-out ends it",
        )),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let Some(token) = held.refresh.clone() else { return Err("no refresh token was given".into()) };
    let grace = stage.target.lasting.grace + Duration::from_millis(200);
    sleep(grace).await;
    let stolen = stage.target.refresh(&token).await?;
    if !stolen.is_ok() {
        return Ok(Found::Refused(format!("the first use was answered {}", stolen.said())));
    }
    let (copy, since) = (Held { access: Held::of(&stolen).access, ..Held::default() }, Instant::now());
    sleep(grace).await;
    let renewed = stage.target.refresh(&token).await?;
    if stage.target.kind == Kind::Cloakroom(Method::JwtStateless) {
        stage.target.sign_out(&held).await?;
        return stage.lasting(&copy, stage.longest(Bound::Lag), "the thief's access token after the sign-out").await;
    }
    let what = format!("the owner's renewal was answered {}; the thief's access token after it", renewed.said());
    let found = stage.lasting(&copy, stage.longest(Bound::Lag), &what).await?;
    Ok(match found {
        Found::Refused(evidence) | Found::WorkedFor(_, evidence) => Found::WorkedFor(since.elapsed(), evidence),
        found => found,
    })
}
