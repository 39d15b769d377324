//! Every kind of credential at every endpoint that takes one: only the right pairs are accepted.

use serde_json::json;

use crate::lab::{Lab, Service};

/// F037: a credential of one kind is never taken for another.
#[tokio::test]
async fn only_the_right_pairs_of_credential_and_endpoint_are_accepted() {
    const BEARER: &[&str] = &["ticket", "phantom ticket", "access", "stateless access", "minted"];
    const REFRESH: &[&str] = &["refresh", "stateless refresh"];
    let lab = Lab::start().await;
    let service = lab.service().await;
    for (name, held) in every_kind(&lab, &service).await {
        let bearer = BEARER.contains(&name);
        for path in ["/v1/verify", "/v1/account", "/v1/sessions"] {
            let status = lab.get(path).bearer(&held).await.status;
            // What was minted for an upstream tells who the person is, and is not theirs to act with.
            let right = bearer && (name != "minted" || path != "/v1/sessions");
            assert_eq!(status == 200, right, "{name} at {path}: {status}");
        }
        for app in ["web", "api", "edge", "stateless"] {
            let status = lab.get("/v1/verify").cookie(&format!("cloakroom-{app}={held}")).await.status;
            let right = matches!(
                (name, app),
                ("ticket", "web")
                    | ("phantom ticket" | "minted", "edge")
                    | ("access", "api")
                    | ("stateless access", "stateless")
            );
            assert_eq!(status == 200, right, "{name} as the cookie of {app}: {status}");
        }
        let status = lab.refresh(&held).await.status;
        assert_eq!(status == 200, REFRESH.contains(&name), "{name} at refresh: {status}");
        assert_eq!(lab.introspect(&service, &held).await["active"] == true, bearer, "{name} at introspection");
        for path in ["/v1/revocations/head", "/oauth/introspect"] {
            let ask = if path.starts_with("/oauth") { lab.post(path).form(&[("token", "x")]) } else { lab.get(path) };
            assert_eq!(ask.clone().bearer(&held).await.status, 401, "{name} at {path}");
            let as_service = Service { id: service.id.clone(), secret: held.clone() };
            let status = ask.basic(&as_service).await.status;
            assert_eq!(status == 200, name == "service", "{name} at {path}: {status}");
        }
        let login = lab.try_login("ada", &held, "web").await;
        assert_eq!(login.status, 401, "{name} as a password");
    }
}

/// F067: signing out takes whatever names a session, and nothing that names none.
#[tokio::test]
async fn what_names_a_session_signs_it_out() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    for (name, held) in every_kind(&lab, &service).await {
        let status = lab.post("/v1/logout").json(json!({"refresh_token": held})).await.status;
        let names_none = ["service", "service id", "minted"].contains(&name);
        assert_eq!(status, if names_none { 401 } else { 204 }, "{name}");
    }
}

/// RFC 7009: what was minted for an upstream is an unknown token, and ends nothing.
#[tokio::test]
async fn what_was_minted_for_an_upstream_revokes_nothing() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let edge = lab.login("ada", "edge").await;
    let minted = lab.verify(edge.credential()).await.header("x-auth-token").unwrap().to_owned();
    let answer = lab.post("/oauth/revoke").basic(&service).form(&[("token", &minted)]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(lab.verify(edge.credential()).await.status, 200);
    // Nor does it act on a page.
    let other = lab.login("ada", "web").await;
    for path in ["/devices/end-others", "/account/password"] {
        lab.post(path).bearer(&minted).form(&[]).await;
    }
    for session in [&edge, &other] {
        assert_eq!(lab.verify(session.credential()).await.status, 200);
    }
}

async fn every_kind(lab: &Lab, service: &Service) -> Vec<(&'static str, String)> {
    let web = lab.login("ada", "web").await;
    let api = lab.login("ada", "api").await;
    let edge = lab.login("ada", "edge").await;
    let stateless = lab.login("ada", "stateless").await;
    let minted = lab.verify(edge.credential()).await.header("x-auth-token").unwrap().to_owned();
    vec![
        ("ticket", web.credential().to_owned()),
        ("phantom ticket", edge.credential().to_owned()),
        ("access", api.credential().to_owned()),
        ("stateless access", stateless.credential().to_owned()),
        ("minted", minted),
        ("refresh", api.refresh_token().to_owned()),
        ("stateless refresh", stateless.refresh_token().to_owned()),
        ("service", service.secret.clone()),
        ("service id", service.id.clone()),
    ]
}
