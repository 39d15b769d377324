//! A credential in the history.

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "token-in-history",
    title: "A credential in the history",
    has: "the browser, after its owner has gone",
    does: "looks through the history",
    gains: "the credential, from an address that was visited",
    source: "RFC 9700 section 4.3.2; CWE-598; F127",
    expected: Expected::EVERYWHERE,
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (_, page) = stage.visitor("owner").await?;
    let credentials = stage.credentials_of(&page).await?;
    let visited = page.history().await?;
    let found = visited.iter().find(|url| credentials.iter().any(|credential| url.contains(credential.as_str())));
    Ok(match found {
        Some(url) => Found::Worked(format!("{}?… has it", url.split('?').next().unwrap_or_default())),
        None => Found::Refused(format!("{} addresses, and none has it", visited.len())),
    })
}
