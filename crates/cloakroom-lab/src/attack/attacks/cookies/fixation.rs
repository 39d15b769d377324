//! Session fixation.

use crate::attack::{
    http::Request,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
    target::Held,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "fixation",
    title: "Session fixation",
    has: "a session of his own, which he has planted in the victim's browser",
    does: "waits until the victim has signed in",
    gains: "the victim's session, under a number that he knows",
    source: "OWASP Session Management Cheat Sheet, Renew the Session ID; CWE-384; CVE-2023-29019; F001, F002",
    expected: Expected::EVERYWHERE.not_careless_jwt("its client holds no cookie"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (mallory, victim) = (stage.person("mallory"), stage.person("victim"));
    stage.target.sign_up(&mallory).await?;
    stage.target.sign_up(&victim).await?;
    // Once a session in which nobody has signed in, once his own.
    let fresh = stage.target.send(Request::get(stage.target.verify_path())).await?;
    let planted = [Held::of(&fresh).cookie(), stage.target.sign_in_by_cookie(&mallory, None).await?.cookie()];
    for cookie in planted.iter().filter(|cookie| !cookie.is_empty()) {
        stage.target.sign_in_by_cookie(&victim, Some(cookie)).await?;
        if stage.target.account_by_cookies(cookie).await?.as_deref() == Some(&victim.email) {
            return Ok(Found::Worked(
                "what was planted before the sign-in is the victim's session after it".to_owned(),
            ));
        }
    }
    Ok(Found::Refused("the sign-in gave another session, and what was planted is nobody's now".to_owned()))
}
