//! A flood of sign-ins.

use super::bystander::{beside, flood};

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "login-flood",
    title: "A flood of sign-ins",
    has: "machines in many networks",
    does: "signs in with wrong passwords, as often as he can",
    gains: "everybody else waits, for the server hashes passwords",
    source: "OWASP Denial of Service Cheat Sheet; CWE-400; F133",
    expected: Expected::EVERYWHERE,
    needs: Needs::Quiet,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let seen = beside(stage, &held, flood(stage, &owner, 60)).await;
    Ok(seen.judged("while 120 sign-ins were under way"))
}
