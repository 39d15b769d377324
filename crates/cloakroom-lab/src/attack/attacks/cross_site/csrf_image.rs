//! A picture of another site.

use super::victim::{Victim, actions};

use crate::attack::{
    places::EVIL,
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "csrf-image",
    title: "A picture of another site",
    has: "a page at another site, which the victim visits while signed in",
    does: "has the browser load it from an address that changes something",
    gains: "a change that the victim did not want, made as if it were the victim's own",
    source: "OWASP CSRF Prevention Cheat Sheet; F022",
    expected: Expected::EVERYWHERE.not_careless_jwt("another site's page cannot send a token along"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    let html = actions(stage)
        .iter()
        .map(|action| format!("<img src=\"{action}\"><img src=\"{action}&_method=POST\">"))
        .collect::<Vec<_>>()
        .concat();
    victim.page.open(&stage.lab.places.publish(EVIL, html)).await?;
    victim.found(stage, "the picture").await
}
