//! Who has an account, by what the answer says.

use super::both::both;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "enumeration-text",
    title: "Who has an account, by what the answer says",
    has: "a list of addresses",
    does: "tries to sign in as each, and reads the answers",
    gains: "a list of who has an account",
    source: "OWASP Authentication Cheat Sheet, Authentication and Error Messages; OWASP WSTG-IDNT-04; CWE-204",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (known, unknown) = both(stage).await?;
    if known.body == unknown.body {
        return Ok(Found::Refused(format!("word for word the same: {}", known.text())));
    }
    Ok(Found::Worked(format!("with an account: {}; without: {}", known.text(), unknown.text())))
}
