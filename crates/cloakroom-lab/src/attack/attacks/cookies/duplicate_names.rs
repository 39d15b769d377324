//! Two cookies of one name.

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "duplicate-names",
    title: "Two cookies of one name",
    has: "a way to plant a cookie of the same name, which comes first",
    does: "plants one that is worth nothing",
    gains: "the owner shut out, for as long as the cookie lives",
    source: "RFC 6265bis section 5.8.3; F015",
    expected: Expected::EVERYWHERE.not_careless_jwt("its client holds no cookie"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    stage.target.sign_up(&owner).await?;
    let held = stage.target.sign_in_by_cookie(&owner, None).await?;
    let (name, value) = held.cookies.first().ok_or("no cookie was given")?;
    let planted = format!("{name}=worth-nothing; {name}={value}");
    Ok(match stage.target.account_by_cookies(&planted).await? {
        Some(_) => Found::Refused("the cookie that is good counts, wherever it stands".to_owned()),
        None => Found::Worked("the first one counts, and the owner is shut out".to_owned()),
    })
}
