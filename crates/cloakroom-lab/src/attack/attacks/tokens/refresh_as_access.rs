//! A refresh token as access token.

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::{Stage, verdict},
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "refresh-as-access",
    title: "A refresh token as access token",
    has: "a refresh token",
    does: "presents it where an access token belongs",
    gains: "a month instead of minutes, past everything that renewal looks at",
    source: "RFC 8725 section 3.11 and 3.12; RFC 9068 section 5; F038",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let mallory = stage.person("mallory");
    stage.target.sign_up(&mallory).await?;
    let held = stage.target.sign_in_at(&mallory, &stage.target.token_app).await?;
    let token = held.refresh.ok_or("no refresh token was given")?;
    Ok(verdict(&stage.target.verify_token(&token).await?, "the refresh token as a bearer token"))
}
