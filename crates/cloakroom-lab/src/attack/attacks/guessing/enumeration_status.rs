//! Who has an account, by status and headers.

use super::both::both;

use crate::attack::{
    http::Answer,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "enumeration-status",
    title: "Who has an account, by status and headers",
    has: "a list of addresses",
    does: "tries to sign in as each, and looks at status and headers",
    gains: "a list of who has an account",
    source: "OWASP Authentication Cheat Sheet, Authentication and Error Messages; OWASP WSTG-IDNT-04; CWE-204",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (known, unknown) = both(stage).await?;
    let shape = |answer: &Answer| {
        let mut names = answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        names.sort();
        (answer.status, names)
    };
    if shape(&known) == shape(&unknown) {
        return Ok(Found::Refused(format!("{} and the same headers for both", known.status)));
    }
    Ok(Found::Worked(format!("with an account: {}; without: {}", known.status, unknown.status)))
}
