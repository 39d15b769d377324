//! Rules between settings: lifetimes, the public address, and what `config check` says of them.

use std::time::Duration;

use super::{above, file, mistakes, with};

/// F136: no lifetime can be zero, negative, too large, plain or endless, and each has a bound on both sides.
#[test]
fn no_lifetime_is_zero_negative_overflowing_or_endless() {
    let bounds = [
        ("idle_timeout", "1s", "30d", "31d"),
        ("absolute_timeout", "7d", "400d", "401d"),
        ("access_token_lifetime", "1s", "1h", "3601s"),
        ("refresh_grace", "1s", "5m", "301s"),
        ("max_revocation_lag", "100ms", "5m", "301s"),
    ];
    for (key, least, most, over) in bounds {
        for good in [least, most] {
            with(&format!("{key} = \"{good}\"")).unwrap_or_else(|e| panic!("{e}"));
        }
        for bad in
            ["0s", "0ms", "-1s", "999999999999999999999d", "18446744073709551616ms", "unlimited", "", "300", over]
        {
            let error = mistakes(with(&format!("{key} = \"{bad}\"")));
            assert!(error.starts_with(&format!("`app[0].{key}`: ")), "{key} = {bad}: {error}");
        }
        for bad in ["0", "-1", "300", "1.5", "true", "[]", "{}"] {
            let error = mistakes(with(&format!("{key} = {bad}")));
            assert!(error.starts_with(&format!("`app[0].{key}`: ")), "{key} = {bad}: {error}");
        }
    }
}

#[test]
fn a_short_absolute_timeout_shortens_the_default_idle_one() {
    let config = with("absolute_timeout = \"1h\"").unwrap();
    assert_eq!(config.apps().default_app().idle_timeout, Duration::from_hours(1));
}

#[test]
fn an_http_address_of_another_host_needs_a_proxy_that_ends_tls() {
    assert_eq!(
        mistakes(above("public_url = \"http://auth.example\"")),
        "`public_url`: `http://auth.example` is http, which is for loopback only; write `https://auth.example` and give [tls] \
         a certificate and a key, or set proxy_ends_tls = true where a proxy ends TLS; set in cloakroom.toml line 1"
    );
    // What browsers see behind that proxy is https, so that is what the site is.
    let config = above("public_url = \"http://auth.example\"\nproxy_ends_tls = true").unwrap();
    assert!(config.is_https());
    assert_eq!(config.issuer(), "https://auth.example");
    let app = config.apps().default_app().clone();
    assert_eq!(
        (config.cookie_name(&app).as_str(), &app.origins[..]),
        ("__Host-cloakroom-web", &["https://auth.example".to_owned()][..])
    );
}

#[test]
fn http_on_loopback_is_fine_and_has_plain_cookies() {
    for url in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "http://web.localhost"] {
        let config = above(&format!("public_url = \"{url}/\"")).unwrap();
        assert_eq!((config.origin().as_str(), config.is_https()), (url, false));
        assert_eq!(config.cookie_name(config.apps().default_app()), "cloakroom-web");
    }
}

#[test]
fn an_https_address_needs_somebody_who_ends_tls() {
    let url = "public_url = \"https://auth.example\"\n";
    assert_eq!(
        mistakes(above(&format!("{url}listen = \"0.0.0.0:8080\""))),
        "`public_url`: `https://auth.example` is https, but the server listens on 0.0.0.0:8080 without TLS; give [tls] a \
         certificate and a key, or set proxy_ends_tls = true where a proxy ends TLS; set in cloakroom.toml line 1"
    );
    above(&format!("{url}listen = \"0.0.0.0:8080\"\nproxy_ends_tls = true")).unwrap();
    above(&format!("{url}listen = \"0.0.0.0:443\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"")).unwrap();
    // Whoever reaches a loopback listener from elsewhere does so through a proxy.
    above(&format!("{url}listen = \"127.0.0.1:8080\"")).unwrap();
    assert_eq!(
        mistakes(above("public_url = \"http://localhost:8080\"\ntls = { certificate = \"c.pem\", key = \"k.pem\" }")),
        "`public_url`: `http://localhost:8080` is http, but the server speaks TLS ([tls]); write `https://localhost:8080`; set \
         in cloakroom.toml line 1"
    );
}

/// F140: the server's own address comes from the configuration alone, and has one spelling.
#[test]
fn the_public_address_has_one_spelling_and_the_base_path_stands_apart() {
    let config = above("public_url = \"HTTPS://Auth.Example:443/\"\nbase_path = \"/auth\"").unwrap();
    assert_eq!(config.origin(), "https://auth.example");
    assert_eq!(config.issuer(), "https://auth.example/auth");
    assert_eq!(config.url("/v1/login"), "https://auth.example/auth/v1/login");
    for bad in ["auth", "/", "/auth/", "//auth", "/a//b", "/..", "/a/../b", "/a%2fb", "/a b", "/ä", "/a?b"] {
        assert!(mistakes(above(&format!("base_path = \"{bad}\""))).starts_with("`base_path`: "), "{bad}");
    }
}

#[test]
fn the_report_gives_each_apps_true_bound() {
    let text = "[[app]]\nid = \"web\"\nmethod = \"session\"\n[[app]]\nid = \"api\"\nmethod = \"jwt\"\nmax_revocation_lag = \"500ms\"\n\
        [[app]]\nid = \"edge\"\nmethod = \"phantom\"\non_feed_loss = \"until_expiry\"\n\
        [[app]]\nid = \"strict\"\nmethod = \"jwt-stateless\"\non_feed_loss = \"refuse\"\n";
    let config = file(text).unwrap();
    let report = serde_json::to_value(config.report()).unwrap();
    let bound = |i: usize| report["apps"][i]["revocation"].clone();
    assert_eq!(
        bound(0),
        serde_json::json!({
            "with_feed": "2s",
            "without_feed": "2s",
            "by_signature_alone": null,
            "statement": "an end is heeded within 2s, always: without the feed, requests are refused",
        })
    );
    assert_eq!(
        bound(1),
        serde_json::json!({
            "with_feed": "500ms",
            "without_feed": "5m 5s",
            "by_signature_alone": "5m 5s",
            "statement": "an end is heeded within 500ms; without the feed, an access token goes on until it expires, at most 5m 5s",
        })
    );
    assert_eq!(
        bound(2),
        serde_json::json!({
            "with_feed": "2s",
            "without_feed": "5m",
            "by_signature_alone": "1m 5s",
            "statement": "an end is heeded within 2s; without the feed, what was last read of a session is believed, at most 5m",
        })
    );
    assert_eq!(bound(3)["without_feed"], "2s");
    assert_eq!(report["apps"][0]["algorithm"], serde_json::Value::Null);
    assert_eq!(report["apps"][1]["algorithm"], "EdDSA");
    assert_eq!(report["set"]["app[1].max_revocation_lag"], "in cloakroom.toml line 7");
    assert!(report["budget"]["access_token"].as_u64().unwrap() > 300);
}
