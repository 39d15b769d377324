//! Operations: the key set, health, readiness, metrics, and what no safe method may do.

use serde_json::json;

use crate::lab::{Lab, email};

#[tokio::test]
async fn the_key_set_may_be_kept_for_less_than_the_lead_of_a_rotation() {
    let lab = Lab::start().await;
    let answer = lab.get("/.well-known/jwks.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert!(answer.cookies().is_empty() && !answer.list("vary").contains("Cookie"));
    let set = answer.json();
    let [key] = &set["keys"].as_array().unwrap()[..] else { panic!("one key: {set}") };
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig"))
    );
    assert!(key["kid"].is_string() && key["x"].is_string());
    for private in ["d", "k", "p", "q", "dp", "dq", "qi"] {
        assert!(key.get(private).is_none(), "{private}");
    }
}

/// F131: health is nobody's: no cookie, no session touched.
#[tokio::test]
async fn health_and_readiness_answer() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    for path in ["/healthz", "/readyz"] {
        lab.advance(7200);
        let answer = lab.get(path).cookie(ada.cookie.as_deref().unwrap()).await;
        assert_eq!(answer.status, 200);
        assert!(answer.cookies().is_empty());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    lab.engine.flush().await.unwrap();
    let body = lab.get("/v1/sessions").bearer(ada.credential()).await.json();
    assert_eq!(body["sessions"][0]["last_active_at"], body["sessions"][0]["created_at"]);
}

#[tokio::test]
async fn metrics_are_for_loopback_and_for_no_forwarded_request() {
    let lab = Lab::start().await;
    let answer = lab.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    assert!(answer.text().contains("cloakroom_verifications_total"));
    assert_eq!(lab.get("/metrics").by_http_1_0().await.status, 404, "as nginx does, unless it is told otherwise");
    for name in ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"] {
        let answer = lab.get("/metrics").header(name, "127.0.0.1").await;
        assert_eq!(answer.refusal(), (404, "not_found".into()), "{name}");
    }
}

#[tokio::test]
async fn with_a_listener_of_their_own_metrics_are_not_on_the_main_one() {
    let lab = Lab::with_settings("ops_listen = '127.0.0.1:0'").await;
    assert_eq!(lab.get("/metrics").await.refusal(), (404, "not_found".into()));
}

#[tokio::test]
async fn what_is_no_path_is_not_found_and_what_is_no_method_is_not_allowed() {
    let lab = Lab::start().await;
    for path in ["/v1", "/v1/", "/v2/login", "/v1/accounts/", "/v1/login/x", "/../etc/passwd", "/%ff", "/v1/%6cogin/x"]
    {
        let answer = lab.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    for (method, path, allow) in [
        ("GET", "/v1/login", "POST"),
        ("PUT", "/v1/account", "GET, HEAD, DELETE"),
        ("POST", "/v1/sessions", "GET, HEAD"),
        ("GET", "/v1/sessions/x", "DELETE"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/.well-known/jwks.json", "GET, HEAD"),
        ("GET", "/oauth/introspect", "POST"),
    ] {
        let answer = lab.ask(method, path).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
        if method != "HEAD" {
            assert_eq!(answer.code(), "method_not_allowed");
        }
    }
}

#[tokio::test]
async fn under_a_base_path_everything_is_there_and_nothing_beside_it() {
    let lab = Lab::with_settings("base_path = '/auth'").await;
    let body = json!({"email": email("ada"), "password": crate::lab::PASSWORD});
    assert_eq!(lab.post("/auth/v1/accounts").json(body.clone()).await.status, 201);
    let signed_in = lab.post("/auth/v1/login").json(body.clone()).await;
    assert_eq!(signed_in.status, 200);
    let ticket = &signed_in.cookies()[0];
    assert!(ticket.has("Path=/"), "the cookies are the host's, for the app beside it");
    assert_eq!(lab.get("/auth/v1/verify/x").cookie(&ticket.pair()).await.status, 200);
    assert_eq!(lab.post("/v1/login").json(body).await.status, 404);
    assert_eq!(lab.get("/auth/.well-known/jwks.json").await.status, 200);
    assert_eq!(lab.get("/auth/nothing").await.status, 404);
}

/// F022: generated from the documented routes: GET, HEAD and OPTIONS write nothing, end nothing and spend nothing.
#[tokio::test]
async fn no_safe_method_changes_anything() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let browser = lab.browser();
    let web = browser.login("ada", "web").await;
    let api = browser.login("ada", "api").await;
    lab.advance(60);
    let before = state(&lab, &web.account).await;
    let document = lab.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 15);
    for path in paths.keys().filter(|path| *path != "/v1/revocations") {
        for path in [path.replace("{id}", &web.session), path.replace("{id}", &api.session)] {
            for method in ["GET", "HEAD", "OPTIONS"] {
                browser.ask(method, &path).header("x-cloakroom-passive", "1").await;
                browser
                    .ask(method, &format!("{path}?everywhere=true&app=web"))
                    .header("x-cloakroom-passive", "1")
                    .await;
                let preflight = browser.ask("OPTIONS", &path).header("access-control-request-method", method);
                preflight.await;
            }
        }
    }
    assert_eq!(state(&lab, &web.account).await, before);
    assert_eq!(browser.post("/v1/refresh", json!({})).await.status, 200);
    assert_eq!(browser.get("/v1/verify?app=web").await.status, 200);
}

/// All that a request could have changed.
async fn state(lab: &Lab, account: &str) -> String {
    lab.engine.flush().await.unwrap();
    let stores = lab.engine.stores();
    let id = cloakroom_core::ids::AccountId::parse(account).unwrap();
    let sessions = stores.sessions.list(id, None, 100).await.unwrap();
    let (accounts, head) =
        (stores.accounts.accounts(None, 100).await.unwrap(), stores.accounts.log_head().await.unwrap());
    let kinds: Vec<_> =
        lab.audit().await.iter().map(|line| line.kind).filter(|kind| kind.as_str() != "refused").collect();
    format!("{sessions:?} {accounts:?} {head:?} {:?} {kinds:?}", stores.accounts.services().await.unwrap())
}
