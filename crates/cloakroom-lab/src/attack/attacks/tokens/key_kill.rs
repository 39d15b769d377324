//! A stolen signing key.

use serde_json::Value;

use crate::attack::{
    cloakroom::Cloakroom,
    places::SHOP,
    plan::{Attack, Bound, Expect, Expected, Found, Needs, Tried},
    stage::Stage,
    target::Held,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "key-kill",
    title: "A stolen signing key",
    has: "the key that signs tokens, and tokens that it has signed",
    does: "goes on after the operator has found out and killed the key",
    gains: "every account, for as long as the key is believed",
    source: "RFC 8725 section 3.5; NIST SP 800-57 part 1, section 5.3.5",
    expected: Expected::EVERYWHERE
        .not_careless_session("it has no tokens")
        .tickets(Expect::Window(Bound::Lag, "until every verifier has heard that the key is dead"))
        .tokens(Expect::Window(Bound::Lag, "until every verifier has heard that the key is dead")),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    if stage.target.kind.is_careless() {
        // There is nothing to kill it with: the key is a constant of the program.
        let held = stage.target.welcome(&owner).await?;
        return stage.lasting(&held, stage.longest(Bound::Lag), "there is no way to kill the key").await;
    }
    if stage.lab.cloakroom.is_none() {
        return Ok(Found::NotHere("the keys of a server that runs elsewhere are left alone".to_owned()));
    }
    // On a server of its own: nothing that the key has signed will be good again.
    let pages = stage.lab.places.site(SHOP).origin();
    let server = Cloakroom::start(&stage.lab.program, &stage.lab.authority, &pages).await?;
    let targets = server.targets(&stage.target.http);
    let target = targets.into_iter().find(|target| target.kind == stage.target.kind).ok_or("there is no such app")?;
    let held = target.welcome(&owner).await?;
    let copy = Held { refresh: None, ..held };
    if !target.verify(&copy).await?.is_ok() {
        return Err("the credential is not accepted to begin with".into());
    }
    let purpose = if target.kind.has_tokens() { "EdDSA" } else { "mac" };
    let keys: Value = serde_json::from_str(&server.operate(&["key", "list"]).await?)?;
    let current = |key: &&Value| key["state"] == "current" && key["purpose"].to_string().contains(purpose);
    let keys = keys["keys"].as_array().ok_or("no keys are listed")?;
    let kid = keys.iter().find(current).and_then(|key| key["kid"].as_str()).ok_or("there is no such key")?;
    server.operate(&["key", "kill", kid]).await?;
    let own = stage.on(target);
    own.lasting(&copy, own.longest(Bound::Lag), "what the killed key has signed").await
}
