//! Many passwords, one account, many networks.

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::{Stage, verdict},
    target::Person,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "brute-force",
    title: "Many passwords, one account, many networks",
    has: "an address, and machines in many networks",
    does: "tries passwords, each from another network",
    gains: "the account",
    source: "OWASP WSTG-ATHN-03; NIST SP 800-63B section 5.2.2; F115, F119",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = stage.person("victim");
    stage.target.sign_up(&victim).await?;
    for guess in 0..24 {
        let other = Person { at: stage.address(), ..victim.clone() };
        let answer = stage.target.try_sign_in(&other, &format!("a guess of number {guess}"), &stage.target.app).await?;
        if answer.status == 429 {
            return Ok(Found::Refused(format!("after {guess} guesses, each from another network: {}", answer.said())));
        }
    }
    let other = Person { at: stage.address(), ..victim };
    let answer = stage.target.try_sign_in(&other, &other.password, &stage.target.app).await?;
    Ok(verdict(&answer, "the 25th guess, which is right"))
}
