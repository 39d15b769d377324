//! Credentials in the log.

use crate::attack::careless::Careless;

use crate::attack::{
    http::Request,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
    target::Kind,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "token-in-log",
    title: "Credentials in the log",
    has: "the log of the server",
    does: "searches it for passwords and credentials",
    gains: "whatever is in it, of everybody",
    source: "OWASP Logging Cheat Sheet, Data to exclude; CWE-532; F126, F127",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let credential = held.credential();
    let target = &stage.target;
    target.verify(&held).await?;
    // Also where it does not belong.
    target.send(Request::get(format!("{}&token={credential}", target.verify_path()))).await?;
    target.send(Request::get(format!("/v1/nothing/{credential}")).bearer(&credential)).await?;
    target.send(Request::post("/v1/login").body("text/plain", format!("{} {credential}", owner.password))).await?;
    if let Some(token) = &held.refresh {
        target.refresh(token).await?;
        target.refresh(&format!("{token}x")).await?;
    }
    target.sign_out(&held).await?;
    let log = match (target.kind, &stage.lab.cloakroom) {
        (Kind::Cloakroom(_), Some(server)) => server.log()?,
        (Kind::Cloakroom(_), None) => {
            return Ok(Found::NotHere("the log of a server that runs elsewhere is not at hand".to_owned()));
        }
        (kind, _) => {
            stage.lab.careless.iter().find(|careless| careless.kind() == kind).map(Careless::log).unwrap_or_default()
        }
    };
    let cookie = if held.access.is_none() { Some(held.cookie()) } else { None };
    let secrets = [Some(owner.password), held.access, held.refresh, cookie];
    for secret in secrets.iter().flatten() {
        // The end of a token is its signature; what comes before may be known to anybody.
        let end = &secret[secret.len().saturating_sub(24)..];
        if log.contains(end) {
            return Ok(Found::Worked(format!("the log has '{}…' in it", &end[..4])));
        }
    }
    Ok(Found::Refused(format!("{} bytes of log, at level debug, and none of them", log.len())))
}
