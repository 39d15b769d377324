//! A form of another site.

use super::victim::Victim;

use crate::attack::{
    places::EVIL,
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "csrf-form",
    title: "A form of another site",
    has: "a page at another site, which the victim visits while signed in",
    does: "has the browser send it",
    gains: "a change that the victim did not want, made as if it were the victim's own",
    source: "OWASP CSRF Prevention Cheat Sheet; RFC 6265bis section 8.8; F019",
    expected: Expected::EVERYWHERE.not_careless_jwt("another site's page cannot send a token along"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    victim.is_sent_forms_from(stage, EVIL).await?;
    victim.found(stage, "the form").await
}
