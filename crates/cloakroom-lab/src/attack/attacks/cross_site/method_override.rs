//! A change by GET, or by another method than it looks like.

use crate::attack::{
    http::Request,
    places::EVIL,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "method-override",
    title: "A change by GET, or by another method than it looks like",
    has: "a link or a picture in a page of another site",
    does: "has the browser ask for it by GET, with parameters and headers that some frameworks take for another method",
    gains: "a change that the victim did not want, made as if it were the victim's own",
    source: "OWASP CSRF Prevention Cheat Sheet; F022",
    expected: Expected::EVERYWHERE.not_careless_jwt("another site's page cannot send a token along"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    stage.target.sign_up(&owner).await?;
    let held = stage.target.sign_in_by_cookie(&owner, None).await?;
    let (query, new) = ("_method=POST&method=DELETE&everywhere=true", "taken over by mallory 77");
    let new_in_query = new.replace(' ', "+");
    for path in ["/v1/password", "/v1/logout", "/signout", "/devices/end-others", "/v1/refresh", "/account/delete"] {
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            let request = Request::get(format!("{path}?{query}&new={new_in_query}"))
                .header("cookie", held.cookie())
                .header(name, "POST")
                .header("origin", stage.lab.places.site(EVIL).origin())
                .header("sec-fetch-site", "cross-site");
            stage.target.send(request).await?;
        }
    }
    if stage.target.try_sign_in(&owner, new, &stage.target.app).await?.is_ok() {
        return Ok(Found::Worked("the password was changed by a GET".to_owned()));
    }
    Ok(match stage.target.account_by_cookies(&held.cookie()).await? {
        Some(_) => Found::Refused("nothing has changed".to_owned()),
        None => Found::Worked("the session was ended by a GET".to_owned()),
    })
}
