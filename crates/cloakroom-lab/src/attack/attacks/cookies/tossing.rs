//! A cookie from a sibling subdomain.

use super::tossed::tossed;

use crate::attack::{
    places::SIBLING,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "cookie-tossing",
    title: "A cookie from a sibling subdomain",
    has: "a sibling subdomain, and an account of his own",
    does: "sets his own cookie for all subdomains, under the name of the login's, before the victim signs in",
    gains: "the victim's session under his number, or the victim in his account",
    source: "RFC 6265bis section 8.7; F013",
    expected: Expected::EVERYWHERE.not_careless_jwt("its client holds no cookie"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (victim, mallory) = (stage.person("victim"), stage.person("mallory"));
    stage.target.sign_up(&victim).await?;
    stage.target.sign_up(&mallory).await?;
    let own = stage.target.sign_in_by_cookie(&mallory, None).await?;
    let page = stage.page().await?;
    page.open(&stage.lab.places.publish_with(SIBLING, "Read my blog", tossed(&own, "/"))).await?;
    stage.sign_in_by_page(&page, &victim).await?;
    let greeted = stage.greeted(&page).await?;
    stage.show(&page, "the victim's browser after visit and sign-in").await?;
    if greeted != victim.email {
        return Ok(Found::Worked(format!("the victim has signed in and is greeted as {greeted}")));
    }
    if stage.target.account_by_cookies(own.cookie()).await?.as_ref() == Some(&victim.email) {
        return Ok(Found::Worked("the victim's session has the attacker's number".to_owned()));
    }
    Ok(Found::Refused(format!("{} cookies were set, none of them the login's", page.cookies().await?.len())))
}
