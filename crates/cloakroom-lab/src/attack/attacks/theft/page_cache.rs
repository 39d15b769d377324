//! A personal page in the cache.

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "personal-page-cache",
    title: "A personal page in the cache",
    has: "the browser, after its owner has signed out and gone",
    does: "opens the page again, without the network",
    gains: "what the page said about the owner",
    source: "RFC 9111 section 5.2.2.5; CWE-525; F130",
    expected: Expected::EVERYWHERE.not_careless_jwt("its page has nothing personal in it before script fills it in"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (owner, page) = stage.visitor("owner").await?;
    let personal = stage.personal_page();
    page.open(&personal).await?;
    if !page.text().await?.contains(&owner.email) {
        return Err("the personal page does not say whose it is".into());
    }
    stage.sign_out_by_page(&page.tab().await?).await?;
    page.offline().await?;
    let again = page.open(&personal).await;
    let seen = page.text().await.unwrap_or_default();
    Ok(match again {
        Ok(()) if seen.contains(&owner.email) => {
            stage.show(&page, "the page, from the cache, after the sign-out").await?;
            Found::Worked("the cache has the page, with the owner's address on it".to_owned())
        }
        _ => Found::Refused("nothing is there without the network".to_owned()),
    })
}
