//! A credential in an address.

use crate::attack::{
    http::Request,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "token-in-url",
    title: "A credential in an address",
    has: "an address that somebody shared, or that stands in a log, with the credential in its query",
    does: "opens it",
    gains: "the session of whoever shared it",
    source: "RFC 9700 section 4.3.2; RFC 6750 section 5.3",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    const NAMES: [&str; 9] =
        ["token", "sid", "access_token", "refresh_token", "ticket", "session", "id_token", "bearer", "auth"];
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let credential = held.credential();
    let mut said = Vec::new();
    for name in NAMES {
        let path = format!("{}&{name}={credential}", stage.target.verify_path());
        let answer = stage.target.send(Request::get(path)).await?;
        if answer.is_ok() {
            return Ok(Found::Worked(format!("?{name}=… is accepted")));
        }
        said.push(answer.said());
    }
    said.sort();
    said.dedup();
    Ok(Found::Refused(format!("under {} names: {}", NAMES.len(), said.join(", "))))
}
