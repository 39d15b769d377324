//! What strangers send to the pages: forged forms, markup, addresses to be led astray to, credentials in addresses.

use crate::lab::{Answer, Lab, PASSWORD, email};

use super::{PAGES, location, post, somebody};

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>' autofocus onfocus='x";

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn assert_inert(answer: &Answer) {
    let html = answer.text();
    for bad in ["<script", "<img", "onfocus='", "\"><i"] {
        assert!(!html.contains(bad), "{bad} in {html}");
    }
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
}

/// F022: looking changes nothing: no session ends, nothing is written down, no token is spent.
#[tokio::test]
async fn a_get_changes_nothing() {
    let lab = Lab::start().await;
    for app in ["web", "api", "edge", "stateless"] {
        let browser = somebody(&lab, &format!("ada{app}"), app).await;
        lab.advance(3600);
        let (cookie, lines) = (browser.cookie(app), lab.audit().await.len());
        let paths = PAGES.into_iter().chain(["/signout", "/devices/end", "/devices/end-others", "/"]);
        for path in paths {
            for method in ["GET", "HEAD", "OPTIONS"] {
                let query = "email=a%40example.org&session=x&new=y&return_to=%2F";
                let answer = browser.send(browser.ask(method, &format!("{path}?app={app}&{query}"))).await;
                assert!(answer.status < 500 && answer.cookies().is_empty(), "{method} {path} {}", answer.status);
            }
        }
        assert_eq!(browser.cookie(app), cookie);
        assert_eq!(lab.audit().await.len(), lines);
        assert_eq!(browser.get(&format!("/devices?app={app}")).await.status, 200);
    }
}

/// F019, F020, F023: a form that is not of a page of ours does nothing, signed in or not.
#[tokio::test]
async fn forms_of_strangers_are_refused_on_every_page() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    let cookie = format!("cloakroom-web={}", browser.cookie("web").unwrap());
    let address = email("ada");
    let fields = [
        ("app", "web"),
        ("email", &*address),
        ("password", PASSWORD),
        ("current", PASSWORD),
        ("new", "an unheard-of new passphrase"),
        ("session", "x"),
    ];
    for path in
        ["/signin", "/signup", "/signout", "/devices/end", "/devices/end-others", "/password", "/account/delete"]
    {
        for (origin, site) in [
            (Some("https://evil.example"), Some("cross-site")),
            (Some("null"), Some("cross-site")),
            (None, Some("cross-site")),
            (Some("https://evil.example"), None),
        ] {
            for with_cookie in [true, false] {
                let mut ask = lab.post(path).form(&fields);
                ask = origin.map_or(ask.clone(), |origin| ask.header("origin", origin));
                ask = site.map_or(ask.clone(), |site| ask.header("sec-fetch-site", site));
                ask = if with_cookie { ask.cookie(&cookie) } else { ask };
                let answer = ask.await;
                assert_eq!(answer.status, 403, "{path} {origin:?} {site:?}");
                assert!(answer.cookies().is_empty());
                assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
                assert!(answer.text().contains("cross_site_request"));
            }
        }
        assert_eq!(lab.post(path).form(&fields).cookie(&cookie).await.status, 403, "{path}: a cookie and no proof");
    }
    assert_eq!(browser.get("/devices?app=web").await.status, 200);
}

/// F023: the page of one app is a stranger to the cookie of another.
#[tokio::test]
async fn the_page_of_another_app_is_a_stranger() {
    let apps = "[[app]]\nid = 'web'\nmethod = 'session'\norigins = ['https://shop.example']\n\
                [[app]]\nid = 'blog'\nmethod = 'session'\norigins = ['https://blog.example']";
    let lab = Lab::with("", apps).await;
    let browser = somebody(&lab, "ada", "web").await;
    let cookie = format!("cloakroom-web={}", browser.cookie("web").unwrap());
    for path in ["/signout", "/devices/end-others"] {
        let ask = |origin: &str| lab.post(path).form(&[]).header("origin", origin).cookie(&cookie);
        assert_eq!(ask("https://blog.example").await.status, 403, "{path}");
        assert_eq!(browser.get("/devices").await.status, 200);
    }
    let ask = lab.post("/signout").form(&[("app", "web")]).header("origin", "https://shop.example").cookie(&cookie);
    assert_eq!(ask.await.status, 303, "the app's own page may sign out");
}

/// F024: what stands in the address or in a header comes back as text, if at all.
#[tokio::test]
async fn markup_in_addresses_and_headers_is_inert() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    let bad = encoded(HOSTILE);
    for path in PAGES.into_iter().chain(["/signout", "/nowhere", "/devices/end"]) {
        for name in ["app", "return_to", "done", "because", "error", "before", "onward", "email", "name"] {
            let ask = browser.ask("GET", &format!("{path}?{name}={bad}")).header("accept", "text/html");
            let answer = ask.header("accept-language", HOSTILE).header("user-agent", HOSTILE).await;
            assert_inert(&answer);
        }
    }
    for path in ["/signin", "/signup"] {
        let fields = [("email", HOSTILE), ("name", HOSTILE), ("password", HOSTILE), ("return_to", HOSTILE)];
        let answer = post(&browser, path, &fields).await;
        assert!(answer.status >= 400);
        assert_inert(&answer);
        assert!(answer.text().contains("&#34;&#62;&#60;script&#62;"), "what was typed is kept as text");
    }
}

/// F026: a name and a program's name with markup are inert on the account's pages.
#[tokio::test]
async fn markup_in_a_name_is_inert() {
    let lab = Lab::start().await;
    let browser = lab.browser();
    let fields = [("email", "ada@example.org"), ("name", HOSTILE), ("password", PASSWORD)];
    let ask = browser.ask("POST", "/signup").form(&fields).header("user-agent", HOSTILE);
    assert_eq!(browser.send(ask).await.status, 303);
    for path in ["/devices", "/password", "/account/delete", "/signout"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 200);
        assert_inert(&answer);
        assert!(answer.text().contains("&#60;script&#62;alert(1)"));
    }
}

/// F025, F134: nobody is led to a stranger's page or to a script, by signing in or out.
#[tokio::test]
async fn nobody_is_led_astray() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    let address = email("ada");
    for bad in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "https:evil.example",
        "http:/evil.example",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "VBScript:x",
        "http://localhost@evil.example/",
        "/x\r\nSet-Cookie: a=b",
        "https://evil.example/..;/signin",
    ] {
        let form = browser.get(&format!("/signin?return_to={}", encoded(bad))).await.text();
        assert!(!form.contains("return_to") && !form.contains("evil"), "{bad}");
        let fields = [("email", &*address), ("password", PASSWORD), ("return_to", bad)];
        let answer = post(&browser, "/signin", &fields).await;
        assert_eq!((answer.status, location(&answer)), (303, "/devices"), "{bad}");
        let answer = post(&browser, "/signout", &[("return_to", bad)]).await;
        assert_eq!((answer.status, location(&answer)), (303, "/signin?done=signed-out"), "{bad}");
        let answer = browser.get(&format!("/devices?return_to={}", encoded(bad))).await;
        assert_eq!(location(&answer), "/signin", "{bad}");
    }
}

/// F127: a credential in the address of a page is refused, and not read.
#[tokio::test]
async fn a_credential_in_the_address_of_a_page_is_refused() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    for path in PAGES.into_iter().chain(["/signout", "/"]) {
        for name in ["password", "Password", "token", "refresh_token", "access_token"] {
            let answer = browser.get(&format!("{path}?{name}=abcdefgh")).await;
            assert_eq!(answer.status, 400, "{path}?{name}");
            assert!(!answer.text().contains("abcdefgh"));
        }
    }
    let address = email("ada");
    let answer =
        post(&browser, "/signin?password=x", &[("email", &*address), ("password", PASSWORD), ("app", "web")]).await;
    assert_eq!(answer.status, 400);
}

/// F130, F131: no page is kept by a cache; the files are, and they set no cookie and read none.
#[tokio::test]
async fn pages_are_never_kept_and_files_always() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    let mut answers = vec![];
    for path in PAGES.into_iter().chain(["/signout", "/", "/signin?app=none", "/devices/end"]) {
        answers.push(browser.get(path).await);
        answers.push(lab.get(path).await);
    }
    answers.push(post(&browser, "/signin", &[("email", "x"), ("password", "y")]).await);
    answers.push(lab.get("/nowhere").header("accept", "text/html").await);
    for answer in answers {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.list("vary").contains("Cookie"), "{:?}", answer.headers);
        assert!(answer.status == 303 || answer.list("vary").contains("Accept-Language"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    }
    let html = browser.get("/signin").await.text();
    for attribute in ["rel=\"stylesheet\" href=\"", "type=\"image/svg+xml\" href=\""] {
        let path = html.split(attribute).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let answer = browser.get(path).await;
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert!(answer.cookies().is_empty() && !answer.list("vary").contains("Cookie"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(browser.get("/assets/style.css").await.status, 404);
    assert_eq!(browser.get("/assets/..%2f..%2fCargo.toml").await.status, 404);
}

/// F135: line breaks in any parameter give a clean answer.
#[tokio::test]
async fn line_breaks_do_not_reach_a_header() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    let bad = "x%0d%0aset-cookie:%20a=b";
    for path in PAGES.into_iter().chain(["/signout", "/"]) {
        for name in ["app", "return_to", "done", "because", "before"] {
            for answer in
                [browser.get(&format!("{path}?{name}={bad}")).await, lab.get(&format!("{path}?{name}={bad}")).await]
            {
                assert!(answer.cookies().is_empty() && answer.status < 500, "{path} {name}");
                assert!(!answer.header("location").unwrap_or_default().contains("set-cookie:"));
            }
        }
    }
}

/// F133: what is no form, or too much of one, is refused with a page.
#[tokio::test]
async fn what_is_no_form_is_refused() {
    let lab = Lab::start().await;
    for (content_type, body, status) in [
        ("application/json", "{\"email\":\"a\"}".to_owned(), 400),
        ("text/plain", "email=a&password=b".to_owned(), 400),
        ("application/x-www-form-urlencoded", "email=a&email=b&password=c".to_owned(), 400),
        ("application/x-www-form-urlencoded", "email=%ff&password=c".to_owned(), 400),
        ("application/x-www-form-urlencoded", "email=a".to_owned(), 400),
        ("application/x-www-form-urlencoded", format!("email=a&password={}", "x".repeat(9000)), 413),
    ] {
        for path in ["/signin", "/signup"] {
            let answer = lab.post(path).on_own_page().body(content_type, body.clone()).await;
            assert_eq!(answer.status, status, "{body:.30}");
            assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        }
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_none_answer_in_the_form_that_was_asked_for() {
    let lab = Lab::start().await;
    let page = lab.get("/nowhere").header("accept", "text/html,*/*;q=0.8").await;
    assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("This page is not here"));
    let problem = lab.get("/nowhere").await;
    assert_eq!((problem.status, problem.header("content-type")), (404, Some("application/problem+json")));
    for (method, path, allow) in
        [("DELETE", "/signin", "GET, HEAD, POST"), ("POST", "/devices", "GET, HEAD"), ("GET", "/devices/end", "POST")]
    {
        let answer = lab.ask(method, path).on_own_page().await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)));
        assert!(answer.text().starts_with("<!doctype html>"));
    }
}

#[tokio::test]
async fn pages_are_in_the_language_that_is_asked_for() {
    let lab = Lab::start().await;
    let answer = lab.get("/signin").header("accept-language", "ko-KR,ko;q=0.9").await;
    assert_eq!(answer.header("content-language"), Some("ko"));
    assert!(answer.text().contains("<html lang=\"ko\">"));
    let answer = lab.get("/nowhere").header("accept-language", "ko").header("accept", "text/html").await;
    assert!(answer.text().contains("페이지를 찾을 수 없어요"));
}

/// F129: a refusal on a page is counted like any other.
#[tokio::test]
async fn refusals_on_pages_are_counted() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let count = async || {
        let text = lab.get("/metrics").await.text();
        let line = text.lines().find(|line| line.contains("reason=\"wrong_password\"")).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    let before = count().await;
    post(&lab.browser(), "/signin", &[("email", &*email("ada")), ("password", "quite another one")]).await;
    assert!(count().await > before);
}
