//! A sign-out by another site.

use super::victim::Victim;

use crate::attack::{
    places::EVIL,
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "logout-csrf",
    title: "A sign-out by another site",
    has: "a page at another site, which the victim visits while signed in",
    does: "has the browser sign out",
    gains: "the victim signed out, again and again",
    source: "CWE-352; F019",
    expected: Expected::EVERYWHERE.not_careless_jwt("another site's page cannot send a token along"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    for path in ["/v1/logout", "/signout"] {
        let action = stage.target.site.url(&format!("{path}?app={}", stage.target.app));
        let html = format!("<form id=f method=post action=\"{action}\"></form><script>f.submit()</script>");
        victim.is_led_on_by(&stage.lab.places.publish(EVIL, html)).await?;
        victim.page.open(&stage.lab.places.publish(EVIL, format!("<img src=\"{action}\">"))).await?;
    }
    victim.found(stage, "the form and the picture").await
}
