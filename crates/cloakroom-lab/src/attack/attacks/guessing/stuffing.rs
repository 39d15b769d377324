//! Pairs that leaked elsewhere.

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
    target::Person,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "credential-stuffing",
    title: "Pairs that leaked elsewhere",
    has: "a list of addresses with the passwords that their owners used at another site",
    does: "tries each pair once, from one network",
    gains: "the accounts of those who use one password everywhere",
    source: "OWASP Credential Stuffing Prevention Cheat Sheet; NIST SP 800-63B section 5.2.2; F114",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = stage.person("victim");
    stage.target.sign_up(&victim).await?;
    let at = stage.address();
    let mut refused = 0;
    // Most of the list is stale; one pair in sixty is good.
    for pair in 0..60 {
        let known = pair == 59;
        let (email, password) = if known {
            (victim.email.clone(), victim.password.clone())
        } else {
            (format!("leaked-{pair}-{}", victim.email), format!("an old password of number {pair}"))
        };
        let other = Person { email, at, ..victim.clone() };
        let answer = stage.target.try_sign_in(&other, &password, &stage.target.app).await?;
        if answer.is_ok() {
            return Ok(Found::Worked(format!(
                "pair {pair} is good, and {refused} of those before it were slowed down"
            )));
        }
        refused += usize::from(answer.status == 429);
    }
    Ok(Found::Refused(format!("of 60 pairs from one network {refused} were not looked at, among them the good one")))
}
