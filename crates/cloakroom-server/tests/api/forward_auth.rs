//! `/v1/verify` behind proxies: the original request as each proxy tells it, the way to the sign-in page, and what no
//! header of a stranger may do.

use crate::{
    lab::{Ask, Lab},
    verify::assert_nobody,
};

/// The proxy of these tests is loopback itself.
const BEHIND: &str = "public_url = 'https://auth.example'\nproxy_ends_tls = true\ntrusted_proxies = ['127.0.0.1/32']";
const SHOP: &str = "
[[app]]
id = 'web'
method = 'session'
origins = ['https://shop.example']
[[app]]
id = 'blog'
method = 'session'
origins = ['https://blog.example']
";

async fn behind() -> Lab {
    Lab::with(BEHIND, SHOP).await
}

fn browsing(ask: Ask) -> Ask {
    ask.header("accept", "text/html,*/*;q=0.8").header("sec-fetch-mode", "navigate")
}

/// As nginx, Traefik, Caddy and Envoy tell it.
fn asked_for(ask: Ask, method: &str, host: &str, uri: &str) -> Ask {
    ask.header("x-forwarded-method", method)
        .header("x-forwarded-host", host)
        .header("x-forwarded-uri", uri)
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-for", "203.0.113.9")
}

#[tokio::test]
async fn a_person_who_browses_is_sent_to_the_sign_in_page_and_back() {
    let lab = behind().await;
    let ask = asked_for(lab.get("/v1/verify?app=web&redirect=1"), "GET", "shop.example", "/cart?a=b&c=d");
    let answer = browsing(ask).await;
    assert_eq!(answer.status, 302);
    let location = answer.header("location").unwrap();
    assert_eq!(
        location,
        "https://auth.example/signin?app=web&return_to=https%3A%2F%2Fshop.example%2Fcart%3Fa%3Db%26c%3Dd"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// Envoy puts the original address behind whatever it asks: that is the app's, whatever stands in it.
#[tokio::test]
async fn what_follows_of_is_the_original_address_and_nothing_else() {
    let lab = behind().await;
    let ada = lab.login("ada", "web").await;
    let ask = |tail: &str| {
        lab.get(&format!("/v1/verify?app=web&redirect=1&of={tail}")).header("x-forwarded-host", "shop.example")
    };
    for tail in ["/reset?token=abc", "/a?x=1&token=abc", "/a&app=blog", "/a?b&app=none&access_token=x", "", "&app=blog"]
    {
        let answer = ask(tail).bearer(ada.credential()).await;
        assert_eq!((answer.status, answer.header("x-auth-app")), (200, Some("web")), "{tail}");
    }
    for (tail, back) in [
        ("/cart?a=b&c=d", "&return_to=https%3A%2F%2Fshop.example%2Fcart%3Fa%3Db%26c%3Dd"),
        ("/cart&redirect=0", "&return_to=https%3A%2F%2Fshop.example%2Fcart%26redirect%3D0"),
        ("//evil.example/", "&return_to=https%3A%2F%2Fshop.example%2F%2Fevil.example%2F"),
        (".evil.example/", ""),
        ("@evil.example/", ""),
        (":1@evil.example/", ""),
    ] {
        let answer = browsing(ask(tail)).await;
        let expected = format!("https://auth.example/signin?app=web{back}");
        assert_eq!((answer.status, answer.header("location")), (302, Some(&*expected)), "{tail}");
    }
    // Before it a credential has no place, as anywhere else.
    let answer = lab.get("/v1/verify?token=x&of=/").bearer(ada.credential()).await;
    assert_eq!(answer.refusal(), (400, "invalid_request".into()));
}

/// nginx passes no redirect of a question on: where one would lead is told beside the 401, to whoever browses only.
#[tokio::test]
async fn a_401_tells_a_person_who_browses_where_to_sign_in() {
    let lab = behind().await;
    let ask = || asked_for(lab.get("/v1/verify?app=web"), "GET", "shop.example", "/cart?a=b&c=d");
    let answer = browsing(ask()).await;
    assert_eq!(answer.status, 401);
    assert_nobody(&answer);
    assert_eq!(
        answer.header("x-cloakroom-signin"),
        Some("https://auth.example/signin?app=web&return_to=https%3A%2F%2Fshop.example%2Fcart%3Fa%3Db%26c%3Dd")
    );
    assert_eq!(ask().await.header("x-cloakroom-signin"), None, "a program");
}

/// F111: of headers that tell different addresses one came from the client, so none is believed.
#[tokio::test]
async fn addresses_that_disagree_lead_nowhere() {
    let lab = behind().await;
    for (name, value) in [
        ("x-original-uri", "/other"),
        ("x-original-url", "https://shop.example/other"),
        ("x-forwarded-uri", "/other"),
        ("x-forwarded-host", "shop.example:443"),
    ] {
        let ask = asked_for(lab.get("/v1/verify?app=web&redirect=1"), "GET", "shop.example", "/a");
        let answer = browsing(ask.header(name, value)).await;
        let location = answer.header("location").unwrap();
        assert!(!location.contains("other"), "{name}: {location}");
    }
}

/// The app behind a proxy gets its cookies without ours, where the proxy asks for them.
#[tokio::test]
async fn the_cookies_of_the_app_come_back_without_ours() {
    let lab = behind().await;
    let ada = lab.login("ada", "web").await;
    let cookies = format!("theme=dark; {}; lang=ko; __Host-cloakroom-blog=x", ada.cookie.as_deref().unwrap());
    let ask = |path: &str| lab.get(path).cookie(&cookies);
    assert_eq!(ask("/v1/verify?app=web&cookies=1").await.header("cookie"), Some("theme=dark; lang=ko"));
    assert_eq!(ask("/v1/verify?app=web").await.header("cookie"), None);
    assert_eq!(ask("/v1/verify?app=blog&cookies=1").await.header("cookie"), None, "nobody");
}

/// F107: a redirect is no 2xx, and no program and no form is sent anywhere.
#[tokio::test]
async fn whoever_does_not_browse_gets_a_401() {
    let lab = behind().await;
    let verify = || lab.get("/v1/verify?app=web&redirect=1");
    let get = |ask| asked_for(ask, "GET", "shop.example", "/");
    assert_eq!(get(verify()).await.status, 401, "a program");
    assert_eq!(get(verify()).header("accept", "application/json").await.status, 401);
    assert_eq!(get(verify()).header("accept", "text/html").header("sec-fetch-mode", "cors").await.status, 401);
    assert_eq!(browsing(asked_for(verify(), "POST", "shop.example", "/")).await.status, 401, "a form");
    assert_eq!(browsing(get(lab.get("/v1/verify?app=web"))).await.status, 401, "not asked for");
    assert_eq!(browsing(get(lab.get("/v1/verify?app=web&redirect=0"))).await.status, 401);
    assert_eq!(browsing(get(lab.get("/v1/verify?app=shop&redirect=1"))).await.status, 400, "an unknown app");
}

/// F134, F104, F108: the way back leads to an origin of the app, as a configured proxy tells it, or nowhere.
#[tokio::test]
async fn the_way_back_leads_to_the_app_or_nowhere() {
    let lab = behind().await;
    for (host, uri) in [
        ("evil.example", "/"),
        ("shop.example.evil.example", "/"),
        ("blog.example", "/"),
        ("shop.example.", "/"),
        ("shop.example@evil.example", "/"),
        ("shop.example", "\\evil.example"),
        ("shop.example", "@evil.example/"),
        ("shop.example", ".evil.example/"),
        ("shop.example", ":444/"),
        ("shop.example:444", "/"),
    ] {
        let ask = asked_for(lab.get("/v1/verify?app=web&redirect=1"), "GET", host, uri);
        let answer = browsing(ask).await;
        assert_eq!(answer.header("location"), Some("https://auth.example/signin?app=web"), "{host} {uri}");
    }
    for same in ["SHOP.Example", "shop.example:443"] {
        let ask = asked_for(lab.get("/v1/verify?app=web&redirect=1"), "GET", same, "/a");
        let location = browsing(ask).await.header("location").unwrap().to_owned();
        assert!(location.ends_with("return_to=https%3A%2F%2Fshop.example%2Fa"), "{location}");
    }
    let lab = Lab::with("public_url = 'https://auth.example'", SHOP).await;
    let ask = asked_for(lab.get("/v1/verify?app=web&redirect=1"), "GET", "shop.example", "/");
    assert_eq!(browsing(ask).await.header("location"), Some("https://auth.example/signin?app=web"), "a stranger");
}

/// F019: an unsafe original request by cookie must come from a page of the app, as each proxy tells the method.
#[tokio::test]
async fn an_unsafe_original_request_gets_the_cross_site_rule() {
    let lab = behind().await;
    let ada = lab.login("ada", "web").await;
    let ask = |path: &str, method| {
        let ask = lab.ask(method, path).header("x-forwarded-host", "shop.example");
        ask.header("x-forwarded-for", "203.0.113.9").cookie(ada.cookie.as_deref().unwrap())
    };
    for name in ["x-forwarded-method", "x-original-method"] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "post", "GETT", ""] {
            let told = |origin: &str| ask("/v1/verify?app=web", "GET").header(name, method).header("origin", origin);
            let answer = ask("/v1/verify?app=web", "GET").header(name, method).await;
            assert_eq!(answer.refusal(), (403, "cross_site_request".into()), "{name}: {method}");
            assert_nobody(&answer);
            assert_eq!(told("https://evil.example").await.status, 403);
            assert_eq!(told("https://blog.example").await.status, 403, "of another app");
            assert_eq!(told("null").await.status, 403);
            assert_eq!(told("https://shop.example").await.status, 200);
        }
        assert_eq!(ask("/v1/verify", "GET").header(name, "GET").await.status, 200);
    }
    // Envoy sends the original method itself; a safe one in a header does not make it safe.
    assert_eq!(ask("/v1/verify/a", "POST").await.status, 403);
    assert_eq!(ask("/v1/verify/a", "POST").header("x-forwarded-method", "GET").await.status, 403);
    let both = ask("/v1/verify", "GET").header("x-forwarded-method", "GET").header("x-forwarded-method", "POST");
    assert_eq!(both.await.status, 403);
    let by_host = ask("/v1/verify", "POST").header("sec-fetch-site", "same-origin").await;
    assert_eq!(by_host.status, 200, "same-origin, at a host of the app");
}

/// F107: a preflight that a proxy asks about is answered like any other request: 2xx only with an identity.
#[tokio::test]
async fn a_preflight_is_let_through_only_with_an_identity() {
    let lab = behind().await;
    for origin in ["https://shop.example", "https://evil.example"] {
        let ask = lab.ask("OPTIONS", "/v1/verify/admin?app=web").header("origin", origin);
        let answer = ask.header("access-control-request-method", "POST").await;
        assert_eq!(answer.status, 401, "{origin}");
        assert_nobody(&answer);
    }
}

/// F105, F106, F111: no path, query or agent opens anything, and what cannot be read is no 2xx.
#[tokio::test]
async fn nothing_but_a_credential_opens_a_path() {
    let lab = behind().await;
    for path in [
        "/v1/verify/healthz",
        "/v1/verify/..;/healthz",
        "/v1/verify/../../healthz",
        "/v1/verify/%2e%2e/%2e%2e/healthz",
        "/v1/verify//healthz",
        "/v1/verify/%23/healthz",
        "/v1/verify/a?x=/healthz",
        "/v1/verify/%ff%fe",
        "/v1/verify/%",
        "/v1/verify/%00",
        "/v1/verify?app=web&app=shop",
        "/v1/verify?%61pp=web",
        "//v1/verify",
        "/v1//verify",
        "/v1/verify;x",
        "/V1/VERIFY",
        "/v1/verify%2f",
    ] {
        for agent in ["kube-probe/1", "curl", "GoogleHC/1.0"] {
            let answer = lab.get(path).header("user-agent", agent).await;
            assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        }
    }
    for (name, value) in [
        ("x-forwarded-uri", &b"\xff\xfe"[..]),
        ("x-original-url", b"http://[::1"),
        ("forwarded", b"for=\"unterminated"),
        ("cookie", b"cloakroom-web=\xff; ="),
        ("cookie", b";;;=;=;"),
        ("authorization", b"\xff"),
        ("connection", b"x-auth-account, cookie"),
    ] {
        for path in ["/v1/verify?app=web", "/v1/verify?app=web&redirect=1"] {
            let answer = browsing(lab.get(path).header(name, value)).await;
            assert!((300..500).contains(&answer.status), "{name}: {}", answer.status);
        }
    }
}

/// F112: the client's address is the first hop from the right that is no proxy of ours; from a stranger it is the peer.
#[tokio::test]
async fn the_address_is_what_a_configured_proxy_tells() {
    let lab = behind().await;
    lab.register("ada").await;
    let seen = |headers: Vec<(&'static str, &'static str)>| {
        let mut ask = lab.login_request("ada", crate::lab::PASSWORD, "web");
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        let lab = &lab;
        async move {
            assert_eq!(ask.await.status, 200);
            lab.audit().await[0].address.unwrap().to_string()
        }
    };
    assert_eq!(seen(vec![("x-forwarded-for", "203.0.113.9")]).await, "203.0.113.9");
    assert_eq!(seen(vec![("x-forwarded-for", "6.6.6.6, 203.0.113.9")]).await, "203.0.113.9");
    assert_eq!(seen(vec![("x-forwarded-for", "6.6.6.6, 203.0.113.9, 127.0.0.1")]).await, "203.0.113.9");
    assert_eq!(seen(vec![("x-forwarded-for", "::ffff:203.0.113.9")]).await, "203.0.113.9");
    assert_eq!(seen(vec![("x-forwarded-for", "6.6.6.6, garbage")]).await, "127.0.0.1");
    assert_eq!(seen(vec![("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=7.7.7.7")]).await, "127.0.0.1");
    assert_eq!(seen(vec![]).await, "127.0.0.1");
    let strange = Lab::with("", SHOP).await;
    strange.register("ada").await;
    let ask = strange.login_request("ada", crate::lab::PASSWORD, "web");
    assert_eq!(ask.header("x-forwarded-for", "6.6.6.6").await.status, 200);
    assert_eq!(strange.audit().await[0].address.unwrap().to_string(), "127.0.0.1");
}
