//! Sessions without number on one account.

use serde_json::json;
use tokio::time::sleep;

use crate::attack::{
    http::Request,
    plan::{Attack, Bound, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "session-flooding",
    title: "Countless sessions of one account",
    has: "the owner's password",
    does: "signs in again and again, so that something of it is left when the owner throws him out",
    gains: "sessions that the owner cannot end",
    source: "OWASP ASVS 5.0, 7.4.2 and 7.5.2; CWE-770; F011",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    stage.target.sign_up(&owner).await?;
    let mut stolen = Vec::new();
    for _ in 0..30 {
        stolen.push(stage.target.sign_in(&owner).await?);
    }
    let held = stage.target.sign_in(&owner).await?;
    let request = stage.target.with(&held, Request::post("/v1/logout").json(&json!({ "everywhere": true })));
    let ended = stage.target.send(request).await?;
    if !ended.is_ok() {
        return Err(format!("the sign-out everywhere was answered {}", ended.said()).into());
    }
    sleep(stage.longest(Bound::Lag)).await;
    let mut left = 0;
    for copy in &stolen {
        left += usize::from(stage.target.verify(copy).await?.is_ok());
    }
    let evidence = format!("of {} sessions {left} are left after the owner has ended all", stolen.len());
    Ok(if left == 0 { Found::Refused(evidence) } else { Found::Worked(evidence) })
}
