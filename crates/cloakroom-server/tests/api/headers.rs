//! Headers of every answer: security, caches, and nothing that a client made up.

use serde_json::json;

use crate::lab::{Answer, Lab, PASSWORD, email};

/// Answers of every call, good and bad, by cookie and without.
async fn every_answer(lab: &Lab) -> Vec<(String, Answer)> {
    let service = lab.service().await;
    let ada = lab.login("ada", "web").await;
    let api = lab.login("ada", "api").await;
    let login = json!({"email": email("ada"), "password": PASSWORD});
    let cookie = ada.cookie.clone().unwrap();
    let mut asks = vec![
        ("register".to_owned(), lab.post("/v1/accounts").json(json!({"email": email("new"), "password": PASSWORD}))),
        ("taken".into(), lab.post("/v1/accounts").json(login.clone())),
        ("login".into(), lab.post("/v1/login").json(login)),
        ("bad login".into(), lab.post("/v1/login").json(json!({"email": email("ada"), "password": "x"}))),
        ("bad JSON".into(), lab.post("/v1/login").body("application/json", "{")),
        ("large".into(), lab.post("/v1/login").body("application/json", "x".repeat(9000))),
        ("cross-site".into(), lab.post("/v1/login").header("origin", "https://evil.example").json(json!({}))),
        ("refresh".into(), lab.post("/v1/refresh").json(json!({"refresh_token": api.refresh_token()}))),
        ("introspect".into(), lab.post("/oauth/introspect").basic(&service).form(&[("token", api.credential())])),
        ("introspect by nobody".into(), lab.post("/oauth/introspect").form(&[("token", "x")])),
        ("revoke".into(), lab.post("/oauth/revoke").basic(&service).form(&[("token", "junk")])),
        ("head".into(), lab.get("/v1/revocations/head").basic(&service)),
        ("head by nobody".into(), lab.get("/v1/revocations/head")),
        ("redirect".into(), lab.get("/v1/verify?redirect=1").header("accept", "text/html")),
        ("no path".into(), lab.get("/nothing")),
        ("no method".into(), lab.get("/v1/login")),
        ("preflight".into(), lab.ask("OPTIONS", "/v1/login").header("access-control-request-method", "POST")),
        ("end".into(), lab.delete("/v1/sessions/x").bearer(ada.credential())),
        (
            "password".into(),
            lab.post("/v1/password").bearer(ada.credential()).json(json!({"current": "x", "new": "x"})),
        ),
    ];
    for path in ["/v1/account", "/v1/sessions", "/v1/verify", "/healthz", "/readyz", "/metrics"] {
        asks.push((path.to_owned(), lab.get(path).cookie(&cookie)));
        asks.push((format!("{path} without"), lab.get(path)));
        asks.push((format!("{path} with junk"), lab.get(path).bearer("junk")));
    }
    asks.push(("logout".into(), lab.post("/v1/logout").on_own_page().cookie(&cookie)));
    let mut answers = vec![];
    for (name, ask) in asks {
        answers.push((name, ask.await));
    }
    answers
}

/// F130, F131: what is personal, sets a cookie, holds a token or refuses is kept by no cache, and varies by credential.
#[tokio::test]
async fn no_personal_answer_is_kept() {
    let lab = Lab::start().await;
    for (name, answer) in every_answer(&lab).await {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
        if name.starts_with("/healthz") || name.starts_with("/readyz") {
            continue;
        }
        let vary = answer.list("vary");
        assert!(vary.contains("Cookie") && vary.contains("Authorization"), "{name}: {vary}");
        assert!(answer.status < 500, "{name}: {}", answer.status);
    }
    for path in ["/.well-known/jwks.json", "/openapi.json"] {
        let answer = lab.get(path).cookie("cloakroom-web=x").await;
        assert_eq!((answer.status, answer.cookies().len()), (200, 0));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    }
}

/// F131: only a login, a rotation and an end touch cookies.
#[tokio::test]
async fn cookies_are_set_by_logins_and_ends_alone() {
    let lab = Lab::start().await;
    for (name, answer) in every_answer(&lab).await {
        let expected = usize::from(matches!(name.as_str(), "login" | "logout"));
        assert_eq!(answer.cookies().len(), expected, "{name}");
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    for (top, https) in [("", false), ("public_url = 'https://auth.example'", true)] {
        let lab = Lab::with_settings(top).await;
        let mut answers = vec![];
        for path in ["/nothing", "/v1/account", "/healthz", "/v1/verify", "/v1/verify/x", "/openapi.json", "/v1/login"]
        {
            answers.push((path.to_owned(), lab.get(path).await));
        }
        if !https {
            answers.extend(every_answer(&lab).await);
        }
        for (name, answer) in answers {
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
            assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{name}");
            assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{name}");
            assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{name}");
            let policy = answer.header("content-security-policy").unwrap_or_default();
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{name}: {policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{name}");
            assert_eq!(answer.header("strict-transport-security").is_some(), https, "{name}");
            assert!(answer.header("server").is_none() && answer.header("x-powered-by").is_none());
        }
    }
}

#[tokio::test]
async fn refusals_are_problem_details() {
    let lab = Lab::start().await;
    for (name, answer) in every_answer(&lab).await {
        if answer.status < 400 || name.starts_with("introspect") {
            continue;
        }
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
        let body = answer.json();
        assert_eq!(body["status"], json!(answer.status), "{name}");
        assert_eq!(body["type"], format!("urn:cloakroom:problem:{}", body["code"].as_str().unwrap()));
        assert!(body["title"].is_string());
        assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401, "{name}");
    }
}

/// F127: a credential in a URL is refused at every route that reads one, good as it may be.
#[tokio::test]
async fn a_credential_in_a_url_is_refused() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let api = lab.login("ada", "api").await;
    for name in ["access_token", "refresh_token", "token", "password", "TOKEN", "%74oken", "ticket", "client_secret"] {
        for path in ["/v1/verify", "/v1/account", "/v1/sessions"] {
            let answer = lab.get(&format!("{path}?{name}=x")).bearer(api.credential()).await;
            assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{path} {name}");
        }
        for path in ["/v1/login", "/v1/accounts"] {
            let body = json!({"email": email("ada"), "password": PASSWORD});
            assert_eq!(lab.post(&format!("{path}?{name}=x")).json(body).await.status, 400, "{path} {name}");
        }
        let body = json!({"refresh_token": api.refresh_token()});
        for path in ["/v1/refresh", "/v1/logout"] {
            assert_eq!(lab.post(&format!("{path}?{name}=x")).json(body.clone()).await.status, 400, "{path} {name}");
        }
        let ask = lab.post(&format!("/oauth/introspect?{name}=x")).basic(&service).form(&[("token", "x")]);
        assert_eq!(ask.await.status, 400);
        assert_eq!(lab.get(&format!("/v1/revocations/head?{name}=x")).basic(&service).await.status, 400);
    }
}

/// F135: nothing that a client sent stands in a header of the answer, and line breaks make no header.
#[tokio::test]
async fn line_breaks_make_no_header() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    let evil = "x%0d%0aset-cookie:evil=1%0d%0a%0d%0a<script>";
    for path in [
        format!("/v1/verify?app={evil}"),
        format!("/v1/verify?redirect=1&x={evil}"),
        format!("/v1/verify/{evil}"),
        format!("/v1/sessions?before={evil}"),
        format!("/v1/account?{evil}"),
        format!("/{evil}"),
        format!("/healthz?{evil}"),
    ] {
        let answer = lab.get(&path).bearer(ada.credential()).header("accept", "text/html").await;
        assert!(answer.cookies().is_empty(), "{path}");
        assert!(!answer.headers.iter().any(|(_, value)| value.contains("evil")), "{path}");
        assert!(!answer.text().contains("<script>"), "{path}");
    }
    let agent = lab.get("/v1/account").bearer(ada.credential()).header("user-agent", b"a\tb\xff<script>").await;
    assert_eq!(agent.status, 200);
    let body =
        json!({"email": "x\r\nset-cookie: evil=1@example.org", "password": PASSWORD, "app": "x\r\nset-cookie: evil=1"});
    let answer = lab.post("/v1/login").json(body).await;
    assert!(answer.status == 400 && !answer.text().contains("evil"));
}
