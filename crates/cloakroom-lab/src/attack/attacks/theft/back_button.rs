//! The back button after the sign-out.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "back-button",
    title: "The back button after the sign-out",
    has: "the browser, with the window still open, after its owner has signed out",
    does: "goes back",
    gains: "what the page said about the owner",
    source: "OWASP WSTG-ATHN-06; CWE-525; F130",
    expected: Expected::EVERYWHERE,
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (owner, page) = stage.visitor("owner").await?;
    page.open(&stage.personal_page()).await?;
    page.until(&format!("document.body.innerText.includes('{}')", owner.email)).await?;
    stage.sign_out_by_page(&page.front()).await?;
    page.open(&stage.target.site.url("/signin")).await?;
    let personal = stage.personal_page();
    let wanted = personal.split('?').next().unwrap_or_default();
    let mut seen = String::new();
    for _ in 0..3 {
        page.back().await?;
        if page.url().await?.starts_with(wanted) {
            // Whatever is filled in by script has time to be.
            sleep(Duration::from_millis(400)).await;
        }
        seen = page.text().await.unwrap_or_default();
        if seen.contains(&owner.email) {
            stage.show(&page, "back after the sign-out: the owner's address is there").await?;
            return Ok(Found::Worked("the page shows whose it was".to_owned()));
        }
    }
    stage.show(&page, "back after the sign-out").await?;
    Ok(Found::Refused(format!("what is there: {}", seen.split_whitespace().take(6).collect::<Vec<_>>().join(" "))))
}
