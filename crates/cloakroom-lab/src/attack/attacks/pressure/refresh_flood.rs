//! A flood of renewals.

use super::bystander::beside_with;
use futures_util::future::join_all;

use crate::attack::{
    plan::{Attack, Expect, Expected, Found, Needs, Tried},
    stage::Stage,
    target::Held,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "refresh-flood",
    title: "A flood of renewals",
    has: "a refresh token of his own",
    does: "renews, many times at once",
    gains: "as many live tokens as he likes, and a store that grows with them",
    source: "RFC 9700 section 4.14.2; CWE-770; F047",
    expected: Expected::EVERYWHERE
        .not_careless_session("it has no tokens")
        .tickets(Expect::Never("its client holds no token")),
    needs: Needs::Quiet,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (owner, mallory) = (stage.person("owner"), stage.person("mallory"));
    let held = stage.target.welcome(&owner).await?;
    let token = stage.target.welcome(&mallory).await?.refresh.ok_or("no refresh token was given")?;
    let flooding = async {
        let mut given = Vec::new();
        for _ in 0..8 {
            given.extend(join_all((0..16).map(|_| stage.target.refresh(&token))).await);
        }
        given
    };
    let (seen, given) = beside_with(stage, &held, flooding).await;
    let mut tokens = given.iter().flatten().filter_map(|answer| Held::of(answer).refresh).collect::<Vec<_>>();
    tokens.sort();
    tokens.dedup();
    if tokens.len() > 2 {
        return Ok(Found::Worked(format!(
            "128 renewals of one token gave {} refresh tokens that differ",
            tokens.len()
        )));
    }
    Ok(seen.judged(&format!("while 128 renewals gave {} refresh tokens that differ", tokens.len())))
}
