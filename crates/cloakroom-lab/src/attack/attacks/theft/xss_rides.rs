//! Script acts in the session that it runs in.

use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use crate::attack::{
    plan::{Attack, Bound, Expect, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "xss-rides-the-session",
    title: "Script acts in the session that it runs in",
    has: "a hole in the shop's page, while the owner has it open",
    does: "asks in the owner's name, from the owner's browser",
    gains: "whatever the owner can do, while the page is open and the owner is signed in",
    source: "OWASP XSS Prevention Cheat Sheet; draft-ietf-oauth-browser-based-apps section 5.1.4",
    expected: Expected::EVERYWHERE
        .tickets(Expect::Window(
            Bound::Lag,
            "script that runs in the page is the page; it ends when the owner signs out",
        ))
        .tokens(Expect::Window(
            Bound::Lag,
            "script that runs in the page is the page; it ends when the owner signs out",
        )),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (owner, page) = stage.visitor("owner").await?;
    page.open(&stage.home(&format!("<script>window.ride = {}</script>", stage.asking_script()))).await?;
    stage.greets(&page, &owner).await?;
    if page.run("ride()").await?.as_str() != Some(&owner.email) {
        return Ok(Found::Refused("the script is told nothing".to_owned()));
    }
    let tab = page.tab().await?;
    stage.sign_out_by_page(&tab).await?;
    let (began, mut last) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < stage.longest(Bound::Lag) + Duration::from_secs(1) {
        let asked = began.elapsed();
        if page.run("ride().catch(() => '')").await?.as_str() != Some(&owner.email) {
            let evidence = format!(
                "it asked in the owner's name while the owner was signed in, and for {:.1} s after",
                last.as_secs_f64()
            );
            return Ok(Found::WorkedFor(last, evidence));
        }
        last = asked;
        sleep(Duration::from_millis(50)).await;
    }
    Ok(Found::Worked("it goes on after the owner has signed out".to_owned()))
}
