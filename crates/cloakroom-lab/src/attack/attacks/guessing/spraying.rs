//! One password, many accounts.

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::{Stage, verdict},
    target::Person,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "password-spraying",
    title: "One password, many accounts",
    has: "a list of addresses and one common password",
    does: "tries it at each of them, from one network",
    gains: "the accounts of those who use it",
    source: "OWASP Credential Stuffing Prevention Cheat Sheet; OWASP WSTG-ATHN-03; F114",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = stage.person("victim");
    stage.target.sign_up(&victim).await?;
    let at = stage.address();
    for guess in 0..60 {
        let other = Person { email: format!("sprayed-{guess}-{}", victim.email), at, ..victim.clone() };
        let answer = stage.target.try_sign_in(&other, &victim.password, &stage.target.app).await?;
        if answer.status == 429 {
            return Ok(Found::Refused(format!("after {guess} guesses from one network: {}", answer.said())));
        }
    }
    let victim = Person { at, ..victim };
    let answer = stage.target.try_sign_in(&victim, &victim.password, &stage.target.app).await?;
    Ok(verdict(&answer, "the 61st account, whose password it is"))
}
