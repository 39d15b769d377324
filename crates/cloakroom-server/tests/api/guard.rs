//! What an app embeds: the guard, its layer and the extractors, around an app's own routes.

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use cloakroom_verify::{Guard, GuardLayer, Identity, Recent};
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::lab::Lab;

#[path = "../../examples/embedded.rs"]
#[allow(dead_code, reason = "its `main` is for people")]
mod embedded;

fn guard(lab: &Lab) -> Guard {
    Guard::new(lab.engine.verifier().clone(), &lab.url).unwrap()
}

/// An app with a route for each way to ask.
fn app(layer: GuardLayer) -> Router {
    Router::new()
        .route("/who", get(async |who: Identity| who.account().to_string()))
        .route("/who", post(async |who: Identity| who.account().to_string()))
        .route("/maybe", get(async |who: Option<Identity>| who.map_or("nobody".into(), |w| w.account().to_string())))
        .route("/recent", get(async |who: Recent<10>| who.account().to_string()))
        .route("/open", get(async || "open").post(async || "open"))
        .layer(layer)
}

async fn ask(app: &Router, request: http::request::Builder) -> (http::response::Parts, String) {
    let response: Response<_> = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

async fn said(app: &Router, request: http::request::Builder) -> (u16, String) {
    let (parts, text) = ask(app, request).await;
    (parts.status.as_u16(), text)
}

/// The status and the code of a refusal.
async fn refused(app: &Router, request: http::request::Builder) -> (u16, String) {
    let (parts, text) = ask(app, request).await;
    assert_eq!(parts.headers["content-type"], "application/problem+json");
    assert_eq!(parts.headers["cache-control"], "no-store");
    let problem: Value = serde_json::from_str(&text).unwrap();
    (parts.status.as_u16(), problem["code"].as_str().unwrap().to_owned())
}

fn bearer(path: &str, token: &str) -> http::request::Builder {
    Request::get(path).header("authorization", format!("Bearer {token}"))
}

#[tokio::test]
async fn a_handler_that_takes_an_identity_is_reached_by_signed_in_people_only() {
    let lab = Lab::start().await;
    let app = app(GuardLayer::optional(guard(&lab)));
    assert_eq!(refused(&app, Request::get("/who")).await, (401, "credential_missing".into()));
    assert_eq!(refused(&app, bearer("/who", "AAAA")).await, (401, "credential_invalid".into()));
    for name in crate::lab::APPS {
        let ada = lab.login("ada", name).await;
        let request = match &ada.cookie {
            Some(pair) => Request::get("/who").header("cookie", pair),
            None => bearer("/who", ada.credential()),
        };
        let (parts, text) = ask(&app, request).await;
        assert_eq!((parts.status.as_u16(), text), (200, ada.account), "{name}");
        assert_eq!(parts.headers["vary"], "Cookie, Authorization");
    }
}

#[tokio::test]
async fn an_optional_identity_takes_a_stale_cookie_for_nobody_and_a_bad_bearer_for_a_mistake() {
    let lab = Lab::start().await;
    let app = app(GuardLayer::optional(guard(&lab)));
    let ada = lab.login("ada", "web").await;
    let cookie = || Request::get("/maybe").header("cookie", ada.cookie.as_deref().unwrap());
    assert_eq!(said(&app, Request::get("/maybe")).await, (200, "nobody".into()));
    assert_eq!(said(&app, cookie()).await, (200, ada.account.clone()));
    assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
    assert_eq!(said(&app, cookie()).await, (200, "nobody".into()));
    assert_eq!(refused(&app, bearer("/maybe", ada.credential())).await, (401, "session_revoked".into()));
}

/// F056: a refresh does not make a sign-in recent.
#[tokio::test]
async fn a_recent_identity_is_one_that_signed_in_a_short_time_ago() {
    let lab = Lab::start().await;
    let app = app(GuardLayer::optional(guard(&lab)));
    assert_eq!(refused(&app, Request::get("/recent")).await, (401, "credential_missing".into()));
    let ada = lab.login("ada", "api").await;
    assert_eq!(said(&app, bearer("/recent", ada.credential())).await, (200, ada.account.clone()));
    lab.advance(599);
    let renewed = lab.refresh(ada.refresh_token()).await.json();
    let token = renewed["access_token"].as_str().unwrap();
    assert_eq!(said(&app, bearer("/recent", token)).await, (200, ada.account));
    lab.advance(1);
    let (parts, _) = ask(&app, bearer("/recent", token)).await;
    assert_eq!(parts.headers["www-authenticate"], "Bearer error=\"insufficient_user_authentication\", max_age=\"600\"");
    assert_eq!(refused(&app, bearer("/recent", token)).await, (401, "reauthentication_required".into()));
    assert_eq!(said(&app, bearer("/who", token)).await.0, 200);
}

#[tokio::test]
async fn a_required_layer_guards_handlers_that_ask_nothing() {
    let lab = Lab::start().await;
    let strict = app(GuardLayer::required(guard(&lab)));
    assert_eq!(refused(&strict, Request::get("/open")).await, (401, "credential_missing".into()));
    let ada = lab.login("ada", "api").await;
    assert_eq!(said(&strict, bearer("/open", ada.credential())).await, (200, "open".into()));
    let lax = app(GuardLayer::optional(guard(&lab)));
    assert_eq!(said(&lax, Request::get("/open")).await, (200, "open".into()));
}

/// F019: with a cookie, an unsafe request must show that it comes from a page of the app.
#[tokio::test]
async fn an_unsafe_request_by_cookie_must_come_from_a_page_of_the_app() {
    let apps = "
[[app]]
id = 'shop'
method = 'session'
origins = ['https://shop.example']
[[app]]
id = 'blog'
method = 'session'
origins = ['https://blog.example']
";
    let lab = Lab::with("", apps).await;
    let ada = lab.login("ada", "shop").await;
    let from = |path: &str, origin: &str| {
        Request::post(path).header("cookie", ada.cookie.as_deref().unwrap()).header("origin", origin)
    };
    for app in [app(GuardLayer::optional(guard(&lab))), app(GuardLayer::required(guard(&lab)))] {
        assert_eq!(said(&app, from("/who", "https://shop.example")).await.0, 200);
        assert_eq!(said(&app, from("/who", &lab.url)).await.0, 200);
        for origin in ["https://evil.example", "null", "https://blog.example"] {
            assert_eq!(refused(&app, from("/who", origin)).await, (403, "cross_site_request".into()), "{origin}");
        }
        let bare = Request::post("/open").header("cookie", ada.cookie.as_deref().unwrap());
        assert_eq!(refused(&app, bare).await, (403, "cross_site_request".into()));
    }
    let shop = app(GuardLayer::optional(guard(&lab).for_app("shop").unwrap()));
    assert_eq!(refused(&shop, from("/open", "https://blog.example")).await, (403, "cross_site_request".into()));
    assert_eq!(said(&shop, from("/open", "https://shop.example")).await.0, 200);
}

/// F038: a credential of one app is none at a guard that is set up for another.
#[tokio::test]
async fn a_guard_of_one_app_refuses_the_credentials_of_another() {
    let lab = Lab::start().await;
    let api = app(GuardLayer::required(guard(&lab).for_app("api").unwrap()));
    let (good, other) = (lab.login("ada", "api").await, lab.login("ada", "stateless").await);
    let web = lab.login("ada", "web").await;
    assert_eq!(said(&api, bearer("/who", good.credential())).await.0, 200);
    for credential in [other.credential(), web.credential()] {
        assert_eq!(refused(&api, bearer("/who", credential)).await, (401, "wrong_app".into()));
    }
    let cookie = Request::get("/who").header("cookie", web.cookie.as_deref().unwrap());
    assert_eq!(refused(&api, cookie).await, (401, "credential_missing".into()));
    assert!(guard(&lab).for_app("none").is_err());
}

#[tokio::test]
async fn a_route_without_a_layer_lets_nobody_in() {
    let app: Router = Router::new().route("/who", get(async |who: Option<Identity>| who.is_some().to_string()));
    assert_eq!(refused(&app, Request::get("/who")).await, (500, "internal".into()));
}

#[tokio::test]
async fn the_credential_is_checked_once_per_request() {
    let lab = Lab::start().await;
    let both = async |a: Identity, _: Recent<5>, _: Option<Identity>| a.account().to_string();
    let app: Router = Router::new().route("/", get(both)).layer(GuardLayer::required(guard(&lab)));
    let ada = lab.login("ada", "api").await;
    let before = lab.engine.verifier().counts();
    assert_eq!(said(&app, bearer("/", ada.credential())).await.0, 200);
    let after = lab.engine.verifier().counts();
    assert_eq!((after.warm + after.cold) - (before.warm + before.cold), 1);
}

#[tokio::test]
async fn the_embedded_example_guards_its_route() {
    let lab = Lab::start().await;
    let app = embedded::app(guard(&lab).for_app("web").unwrap());
    let ada = lab.login("ada", "web").await;
    let signed_in = Request::get("/").header("cookie", ada.cookie.as_deref().unwrap());
    assert_eq!(said(&app, signed_in).await, (200, format!("hello, {}", ada.account)));
    assert_eq!(refused(&app, Request::get("/")).await, (401, "credential_missing".into()));
}
