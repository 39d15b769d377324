//! Requests that a browser was talked into: refused unless they come from a page of the app; for logins too.

use serde_json::json;

use crate::lab::{Ask, Lab, PASSWORD, email};

const TWO: &str = "
[[app]]
id = 'web'
method = 'session'
origins = ['https://shop.example']
[[app]]
id = 'blog'
method = 'session'
origins = ['https://blog.example']
[[app]]
id = 'api'
method = 'jwt'
origins = ['https://shop.example']
";
const PUBLIC: &str = "public_url = 'https://auth.example'";

/// Every route that a browser's cookie could do harm by.
fn unsafe_calls(lab: &Lab) -> Vec<(&'static str, Ask)> {
    let credentials = json!({"email": email("ada"), "password": PASSWORD});
    vec![
        ("register", lab.post("/v1/accounts").json(json!({"email": email("new"), "password": PASSWORD}))),
        ("login", lab.post("/v1/login").json(credentials)),
        ("logout", lab.post("/v1/logout").json(json!({}))),
        ("everywhere", lab.post("/v1/logout").json(json!({"everywhere": true}))),
        ("refresh", lab.post("/v1/refresh").json(json!({}))),
        ("password", lab.post("/v1/password").json(json!({"current": PASSWORD, "new": "seven unlikely otters"}))),
        ("delete", lab.delete("/v1/account").json(json!({"password": PASSWORD}))),
        ("end", lab.delete("/v1/sessions/AAAAAAAAAAAAAAAAAAAAAA")),
    ]
}

/// F019, F023, F050: a state-changing request with a cookie and without proof of its page is refused, and nothing happens.
#[tokio::test]
async fn without_proof_of_its_page_a_request_by_cookie_does_nothing() {
    let lab = Lab::with(PUBLIC, TWO).await;
    let ada = lab.login("ada", "web").await;
    let head = lab.engine.stores().accounts.log_head().await.unwrap();
    let proofs: [&[(&str, &str)]; 9] = [
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "https://shop.example.evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "null"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
        &[("referer", "https://auth.example/signin"), ("x-requested-with", "XMLHttpRequest")],
    ];
    for proof in proofs {
        for (name, mut ask) in unsafe_calls(&lab) {
            ask = ask.cookie(&format!("{}; theme=dark", ada.cookie.as_deref().unwrap())).host("auth.example");
            for (header, value) in proof {
                ask = ask.header(header, value);
            }
            let answer = ask.await;
            assert_eq!(answer.refusal(), (403, "cross_site_request".into()), "{name} {proof:?}");
            assert!(answer.cookies().is_empty());
        }
    }
    assert_eq!(lab.engine.stores().accounts.log_head().await.unwrap(), head);
    assert_eq!(lab.verify(ada.credential()).await.status, 200);
}

/// F023: a stranger's page signs nobody in as the stranger, though the victim has no cookie yet.
#[tokio::test]
async fn a_strangers_page_signs_nobody_in() {
    let lab = Lab::with(PUBLIC, TWO).await;
    lab.register("ada").await;
    for (name, ask) in unsafe_calls(&lab).into_iter().take(2).chain(unsafe_calls(&lab).into_iter().skip(4).take(1)) {
        for (header, value) in
            [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("origin", "")]
        {
            let answer = ask.clone().header(header, value).await;
            assert_eq!(answer.refusal(), (403, "cross_site_request".into()), "{name} {header}: {value}");
        }
    }
    let body = json!({"email": email("ada"), "password": PASSWORD, "app": "blog"});
    for (path, app) in [("/v1/login", "blog"), ("/v1/login?app=web", "blog"), ("/v1/login", "web")] {
        let mut body = body.clone();
        body["app"] = json!(app);
        let other = if app == "web" { "https://blog.example" } else { "https://shop.example" };
        let answer = lab.post(path).header("origin", other).json(body).await;
        assert_eq!(answer.refusal(), (403, "cross_site_request".into()), "a page of another app: {path} {app}");
    }
}

#[tokio::test]
async fn pages_of_the_app_and_of_the_server_may_act() {
    let lab = Lab::with(PUBLIC, TWO).await;
    let proofs: [&[(&str, &str)]; 4] = [
        &[("origin", "https://auth.example")],
        &[("origin", "https://shop.example"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-origin")],
        &[("origin", "null"), ("sec-fetch-site", "same-origin")],
    ];
    for proof in proofs {
        let ada = lab.login("ada", "web").await;
        let mut ask = lab.post("/v1/logout").cookie(ada.cookie.as_deref().unwrap()).host("auth.example");
        for (header, value) in proof {
            ask = ask.header(header, value);
        }
        assert_eq!(ask.await.status, 204, "{proof:?}");
    }
}

/// F020: with `null` and `same-origin` the request's own host must be an allowed one.
#[tokio::test]
async fn same_origin_counts_only_at_a_host_of_ours() {
    let lab = Lab::with(PUBLIC, TWO).await;
    let ada = lab.login("ada", "web").await;
    for host in ["evil.example", "auth.example:444", "auth.example.", "localhost", "auth.example@evil.example"] {
        for origin in [None, Some("null")] {
            let mut ask = lab.post("/v1/logout").cookie(ada.cookie.as_deref().unwrap()).host(host);
            ask = ask.header("sec-fetch-site", "same-origin");
            if let Some(origin) = origin {
                ask = ask.header("origin", origin);
            }
            assert_eq!(ask.await.status, 403, "{host} {origin:?}");
        }
    }
    assert_eq!(lab.verify(ada.credential()).await.status, 200);
}

/// The page of one app does nothing by the cookie of another, at any route, whatever `?app=` says.
#[tokio::test]
async fn a_page_of_another_app_does_nothing_by_this_apps_cookie() {
    let lab = Lab::with(PUBLIC, TWO).await;
    let ada = lab.login("ada", "web").await;
    let api = lab.browser();
    lab.register("eve").await;
    api.send(lab.post("/v1/login").json(json!({
        "email": email("eve"), "password": PASSWORD, "app": "api", "transport": "cookie"
    })))
    .await;
    for (name, ask) in unsafe_calls(&lab).into_iter().skip(2) {
        if name == "refresh" {
            continue;
        }
        let ask = ask.cookie(ada.cookie.as_deref().unwrap()).header("origin", "https://blog.example");
        assert_eq!(ask.await.refusal(), (403, "cross_site_request".into()), "{name}");
    }
    let cookie = format!("__Host-cloakroom-api={}", api.jar.lock()["__Host-cloakroom-api"]);
    for path in ["/v1/refresh", "/v1/refresh?app=api", "/v1/logout", "/v1/logout?app=api"] {
        let ask = lab.post(path).cookie(&cookie).header("origin", "https://blog.example");
        let answer = ask.await;
        assert_eq!(answer.refusal(), (403, "cross_site_request".into()), "{path}");
        assert!(answer.cookies().is_empty(), "{path}");
    }
    assert_eq!(lab.verify(ada.credential()).await.status, 200);
    let ours = lab.post("/v1/refresh").cookie(&cookie).header("origin", "https://shop.example").await;
    assert_eq!(ours.status, 200);
}

/// Signing out by a page of one app leaves what another app's cookie in the same browser holds.
#[tokio::test]
async fn a_page_signs_out_of_its_own_app_only() {
    let lab = Lab::with(PUBLIC, TWO).await;
    let (web, blog) = (lab.login("ada", "web").await, lab.login("ada", "blog").await);
    let both = format!("{}; {}", web.cookie.as_deref().unwrap(), blog.cookie.as_deref().unwrap());
    let answer = lab.post("/v1/logout").cookie(&both).header("origin", "https://blog.example").await;
    assert_eq!(answer.status, 204);
    let cleared: Vec<_> = answer.cookies().into_iter().map(|cookie| cookie.name).collect();
    assert_eq!(cleared, ["__Host-cloakroom-blog"]);
    assert_eq!(lab.verify(web.credential()).await.status, 200);
    assert_eq!(lab.verify(blog.credential()).await.status, 401);
}

/// F019: a script without a cookie, and one with a Bearer credential, needs no proof.
#[tokio::test]
async fn scripts_need_no_proof() {
    let lab = Lab::with(PUBLIC, TWO).await;
    let ada = lab.login("ada", "web").await;
    let stray = lab.post("/v1/logout").cookie("theme=dark").bearer(ada.credential());
    assert_eq!(stray.await.status, 204);
}

/// F019: what a form of another site can declare is no JSON, whatever it holds.
#[tokio::test]
async fn json_is_taken_as_application_json_only() {
    let lab = Lab::with(PUBLIC, TWO).await;
    let ada = lab.login("ada", "web").await;
    let body = json!({"email": email("ada"), "password": PASSWORD}).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"] {
        for path in ["/v1/login", "/v1/accounts", "/v1/logout", "/v1/refresh"] {
            let answer = lab.post(path).body(kind, body.clone()).await;
            assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{path} {kind}");
        }
        let answer = lab.post("/v1/password").bearer(ada.credential()).body(kind, body.clone()).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{kind}");
    }
    for (bad, what) in [
        ("{\"email\":\"a@b.example\",\"email\":\"c@d.example\",\"password\":\"x\"}", "a key twice"),
        ("{\"email\":\"a@b.example\",\"password\":\"x\"} x", "something behind"),
        ("[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", "too deep"),
        ("{", "no JSON"),
        ("", "nothing"),
    ] {
        let answer = lab.post("/v1/login").body("application/json", bad).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{what}");
    }
}

/// F020: CORS names origins that an app lists, and no other: never `null`, never `*`.
#[tokio::test]
async fn cors_is_for_listed_origins() {
    let lab = Lab::with(PUBLIC, TWO).await;
    let preflight = |path: &str, origin: &str| {
        let ask = lab.ask("OPTIONS", path).header("origin", origin);
        ask.header("access-control-request-method", "POST")
    };
    for path in ["/v1/login", "/v1/refresh", "/v1/account", "/v1/sessions/x"] {
        let answer = preflight(path, "https://shop.example").await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        for origin in ["null", "*", "https://evil.example", "http://shop.example", "https://shop.example.evil.example"]
        {
            let answer = preflight(path, origin).await;
            assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{origin}");
            let answer = lab.get("/v1/account").header("origin", origin).await;
            assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{origin}");
        }
    }
    let refused = lab.post("/v1/login").header("origin", "https://shop.example").json(json!({})).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://shop.example"), "a page may read why");
}

/// A page of another app reads nothing by this app's cookie, though its origin is a listed one.
#[tokio::test]
async fn a_page_of_another_app_reads_nothing_by_this_apps_cookie() {
    let lab = Lab::with(PUBLIC, TWO).await;
    let ada = lab.login("ada", "web").await;
    for path in ["/v1/account", "/v1/sessions"] {
        let ask = |origin: &str| lab.get(path).cookie(ada.cookie.as_deref().unwrap()).header("origin", origin);
        assert_eq!(ask("https://shop.example").await.status, 200);
        assert_eq!(ask("https://blog.example").await.refusal(), (403, "cross_site_request".into()), "{path}");
    }
}
