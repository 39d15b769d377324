//! `serve --explain` at its face: who sees it, who can press its buttons, and what it shows of a sign-in by each method. How it looks,
//! and the whole stories, are seen to in a browser (`tests/browser/explain.test.mjs`).

use crate::lab::{Answer, Ask, Lab};

const SIGN_IN: [(&str, &str); 2] = [("method", "session"), ("do", "sign-in")];

/// Without the flag there is no such page, and nothing that listens.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_not_asked_to_explains_nothing() {
    let lab = Lab::start().await;
    assert_eq!(lab.get("/explain").await.status, 404);
    assert_eq!(lab.post("/explain").form(&[("method", "session"), ("do", "kill-key")]).await.status, 404);
}

/// A proxy says so, or has a name of its own, or speaks as nginx does unless it is told otherwise; a stranger's name that was pointed
/// at our address (DNS rebinding) stands in the host.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_it_through_a_proxy_or_by_a_strangers_name() {
    let lab = Lab::explaining("").await;
    assert_eq!(lab.get("/explain").await.status, 200);
    for name in ["x-forwarded-for", "x-forwarded-proto", "forwarded", "via", "x-real-ip", "cf-connecting-ip"] {
        assert_eq!(lab.get("/explain").header(name, "127.0.0.1").await.status, 404, "{name}");
        assert_eq!(press(&lab, &SIGN_IN).header(name, "127.0.0.1").await.status, 404, "{name}");
    }
    for host in ["auth.example", "localhost.auth.example", "127.0.0.1.auth.example", "192.0.2.1:8080"] {
        assert_eq!(lab.get("/explain").host(host).await.status, 404, "{host}");
        let own = format!("http://{host}");
        let rebound = lab.post("/explain").host(host).header("origin", own).header("sec-fetch-site", "same-origin");
        assert_eq!(rebound.form(&SIGN_IN).await.status, 404, "{host}");
    }
    assert_eq!(lab.get("/explain").by_http_1_0().await.status, 404);
    assert_eq!(press(&lab, &SIGN_IN).by_http_1_0().await.status, 404);
    assert!(is_untouched(&lab).await);
}

/// Pages of other sites, and those that other servers of this machine serve: for a browser `localhost` is one site, whatever the port.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_from_elsewhere_cannot_press_its_buttons_or_read_it() {
    let lab = Lab::explaining("").await;
    let port = lab.address.port();
    let by_address = format!("http://127.0.0.1:{port}");
    for (origin, site) in [
        ("http://localhost:3000", "same-site"),
        ("http://localhost", "same-site"),
        (by_address.as_str(), "cross-site"),
        ("https://evil.example", "cross-site"),
        ("null", "cross-site"),
        ("null", "same-site"),
    ] {
        let pressed = lab.post("/explain").header("origin", origin).header("sec-fetch-site", site);
        assert_eq!(pressed.form(&SIGN_IN).await.status, 403, "{origin} {site}");
        let old_browser = lab.post("/explain").header("origin", origin);
        assert_eq!(old_browser.form(&SIGN_IN).await.status, 403, "{origin}");
    }
    assert_eq!(lab.post("/explain").cookie("theme=dark").form(&SIGN_IN).await.status, 403);
    assert!(is_untouched(&lab).await);
    // A link from elsewhere shows it, and does nothing; a script or a frame from elsewhere gets nothing of it.
    let linked = "/explain?method=session&do=sign-in";
    let shown = lab.get(linked).header("origin", "http://localhost:3000").header("sec-fetch-site", "same-site").await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.header("access-control-allow-origin"), None);
    assert_eq!(shown.header("cross-origin-resource-policy"), Some("same-origin"));
    assert_eq!(shown.header("x-frame-options"), Some("DENY"));
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    assert!(is_untouched(&lab).await);
    // By either name of this machine its own page acts.
    assert_eq!(press(&lab, &SIGN_IN).await.status, 303);
    let own = lab.post("/explain").host(&format!("127.0.0.1:{port}")).header("origin", &by_address);
    assert_eq!(own.header("sec-fetch-site", "same-origin").form(&SIGN_IN).await.status, 303);
    assert!(!is_untouched(&lab).await);
}

/// Also where each request is traced for a collector: neither takes the other's spans away.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_by_each_method_is_shown_with_what_the_server_did() {
    let collected = "telemetry.traces.endpoint = 'http://127.0.0.1:9/v1/traces'\ntelemetry.traces.one_in = 1";
    for settings in ["", collected] {
        let lab = Lab::explaining(settings).await;
        for method in ["session", "jwt", "jwt-stateless", "phantom"] {
            let by = |act| [("method", method), ("do", act)];
            assert_eq!(press(&lab, &by("sign-in")).await.status, 303);
            let shown = page(&lab, method).await;
            assert!(shown.contains("POST /v1/login") && shown.contains("hashes the password"), "{method}: {shown}");
            assert_eq!(shown.contains("keeps a record"), method != "jwt-stateless", "{method}");
            assert_eq!(shown.contains("signs a token"), method.starts_with("jwt"), "{method}");
            // A ticket, the shortest credential, has 47 characters; nothing that long stands on the page.
            let of_credential = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let longest = shown.split(|c| !of_credential(c)).map(str::len).max();
            assert!(longest < Some(41), "{method}: {longest:?}");
            assert_eq!(press(&lab, &by("sign-out")).await.status, 303);
            let log = if method == "jwt-stateless" { "writes the end into the log<" } else { "and deletes the record" };
            assert!(page(&lab, method).await.contains(log), "{method}");
        }
    }
}

fn press(lab: &Lab, form: &[(&str, &str)]) -> Ask {
    lab.post("/explain").on_own_page().form(form)
}

async fn page(lab: &Lab, method: &str) -> String {
    lab.get(&format!("/explain?method={method}")).await.text()
}

/// Nobody has pressed anything.
async fn is_untouched(lab: &Lab) -> bool {
    let shown: Answer = lab.get("/explain?method=session").await;
    assert_eq!(shown.status, 200);
    !shown.text().contains("id=\"latest\"")
}
