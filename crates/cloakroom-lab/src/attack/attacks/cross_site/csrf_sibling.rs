//! A form of a sibling subdomain.

use super::victim::Victim;

use crate::attack::{
    places::SIBLING,
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "csrf-sibling",
    title: "A form of a sibling subdomain",
    has: "a page at a sibling subdomain, which the victim visits while signed in",
    does: "has the browser send it; to the browser both are one site, so SameSite does not help",
    gains: "a change that the victim did not want, made as if it were the victim's own",
    source: "OWASP CSRF Prevention Cheat Sheet; RFC 6265bis section 5.2; F019",
    expected: Expected::EVERYWHERE.not_careless_jwt("another site's page cannot send a token along"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    victim.is_sent_forms_from(stage, SIBLING).await?;
    victim.found(stage, "the sibling's form").await
}
