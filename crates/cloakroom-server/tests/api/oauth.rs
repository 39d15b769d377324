//! For services: introspection (RFC 7662) and revocation (RFC 7009).

use cloakroom_core::engine::Client;
use serde_json::json;

use crate::lab::{APPS, BY_TOKEN, Lab, START, Service};

#[tokio::test]
async fn introspection_says_whose_a_credential_is() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    for app in APPS {
        let ada = lab.login("ada", app).await;
        let found = lab.introspect(&service, ada.credential()).await;
        assert_eq!((&found["active"], &found["sub"]), (&json!(true), &json!(ada.account)));
        assert_eq!(
            (&found["client_id"], &found["sid"], &found["iss"]),
            (&json!(app), &json!(ada.session), &json!(lab.url))
        );
        assert_eq!((&found["amr"], &found["auth_time"]), (&json!(["pwd"]), &json!(START)));
        assert!(found["exp"].as_u64().unwrap() > START);
        let kind = if BY_TOKEN.contains(&app) { "Bearer" } else { "ticket" };
        assert_eq!(found["token_type"], kind);
    }
}

/// RFC 7662 section 2.2: whatever is not good is not active, and no more is said.
#[tokio::test]
async fn what_is_not_good_is_not_active() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let inactive = json!({"active": false});
    for app in APPS {
        let ada = lab.login("ada", app).await;
        lab.post("/v1/logout").bearer(ada.credential()).await;
        assert_eq!(lab.introspect(&service, ada.credential()).await, inactive);
        if let Some(token) = lab.login("ada", app).await.body["refresh_token"].as_str() {
            assert_eq!(lab.introspect(&service, token).await, inactive, "a refresh token is for its client alone");
        }
    }
    for junk in ["", "junk", "a.b.c", &"A".repeat(47)] {
        assert_eq!(lab.introspect(&service, junk).await, inactive);
    }
    let api = lab.login("ada", "api").await;
    lab.advance(306);
    assert_eq!(lab.introspect(&service, api.credential()).await, inactive, "expired");
}

/// A question of a service is no use of the session.
#[tokio::test]
async fn introspection_does_not_keep_a_session_alive() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let ada = lab.login("ada", "web").await;
    lab.advance(6 * 86_400);
    assert_eq!(lab.introspect(&service, ada.credential()).await["active"], true);
    lab.advance(86_400);
    assert_eq!(lab.introspect(&service, ada.credential()).await["active"], false);
}

/// F067: revoking ends what a token belongs to, of any kind and age, and is no error for unknown ones.
#[tokio::test]
async fn revoking_ends_the_session_of_any_credential() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let revoke = |token: &str| lab.post("/oauth/revoke").basic(&service).form(&[("token", token)]);
    for app in APPS {
        let ada = lab.login("ada", app).await;
        assert_eq!(lab.verify(ada.credential()).await.status, 200);
        assert_eq!(revoke(ada.credential()).await.status, 200);
        assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_revoked".into()));
        assert_eq!(revoke(ada.credential()).await.status, 200, "again");
    }
    for app in BY_TOKEN {
        let ada = lab.login("ada", app).await;
        assert_eq!(revoke(ada.refresh_token()).await.status, 200);
        assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_revoked".into()));
        assert_eq!(lab.refresh(ada.refresh_token()).await.refusal(), (401, "session_revoked".into()));
        let eve = lab.login("eve", app).await;
        lab.advance(3600);
        let newer = lab.refresh(eve.refresh_token()).await.json();
        assert_eq!(revoke(eve.credential()).await.status, 200, "an expired access token");
        assert_eq!(lab.verify(newer["access_token"].as_str().unwrap()).await.status, 401);
        let bob = lab.login("bob", app).await;
        lab.advance(60);
        let newer = lab.refresh(bob.refresh_token()).await.json();
        lab.advance(60);
        assert_eq!(revoke(bob.refresh_token()).await.status, 200, "an older generation");
        assert_eq!(lab.verify(newer["access_token"].as_str().unwrap()).await.status, 401);
    }
    for junk in ["", "junk", "a.b.c", &"A".repeat(47)] {
        assert_eq!(revoke(junk).await.status, 200);
    }
}

#[tokio::test]
async fn only_services_may_ask() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let ada = lab.login("ada", "web").await;
    let wrong = [
        Service { id: service.id.clone(), secret: "wrong".into() },
        Service { id: "svc_nobody".into(), secret: service.secret.clone() },
        Service { id: service.id.clone(), secret: String::new() },
    ];
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        let form = [("token", ada.credential())];
        let mut asks = vec![lab.post(path).form(&form), lab.post(path).form(&form).bearer(ada.credential())];
        asks.extend(wrong.iter().map(|service| lab.post(path).form(&form).basic(service)));
        for ask in asks {
            let answer = ask.await;
            assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_client")), "{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"cloakroom\", charset=\"UTF-8\""));
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }
    lab.engine.remove_service(&service.id, &Client::default()).await.unwrap();
    let removed = lab.post("/oauth/introspect").basic(&service).form(&[("token", "x")]).await;
    assert_eq!(removed.status, 401, "a removed service");
    assert_eq!(lab.verify(ada.credential()).await.status, 200, "nothing ended");
}

#[tokio::test]
async fn a_form_that_is_not_as_it_must_be_is_an_invalid_request() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        let ask = || lab.post(path).basic(&service);
        for (ask, what) in [
            (ask().form(&[("tokens", "x")]), "no token"),
            (ask().form(&[("token", "x"), ("token", "y")]), "two"),
            (ask().json(json!({"token": "x"})), "JSON"),
            (ask(), "nothing"),
        ] {
            let answer = ask.await;
            assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")), "{path} {what}");
        }
        let answer = ask().form(&[("token", &"x".repeat(9000))]).await;
        assert_eq!((answer.status, &answer.json()["error"]), (413, &json!("invalid_request")));
    }
}
