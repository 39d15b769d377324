//! Script of another site.

use serde_json::json;

use super::victim::{Victim, actions};

use crate::attack::{
    places::EVIL,
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "csrf-fetch",
    title: "Script of another site",
    has: "a page at another site, which the victim visits while signed in",
    does: "has script send it, without reading the answer",
    gains: "a change that the victim did not want, made as if it were the victim's own",
    source: "OWASP CSRF Prevention Cheat Sheet; Fetch standard, section 2.2.5; F019",
    expected: Expected::EVERYWHERE.not_careless_jwt("another site's page cannot send a token along"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    let html = format!(
        "<script>const sent = []; for (const to of {}) for (const method of ['POST', 'GET', 'HEAD']) \
         sent.push(fetch(to, {{ method, mode: 'no-cors', credentials: 'include' }})); \
         Promise.allSettled(sent).then(() => document.title = 'done')</script>",
        json!(actions(stage))
    );
    victim.stays_at(&stage.lab.places.publish(EVIL, html)).await?;
    victim.found(stage, "the script").await
}
