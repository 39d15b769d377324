//! `/v1/verify`: who is asking, by itself and as forward-auth for proxies.

use serde_json::json;

use crate::lab::{APPS, Answer, Lab, PASSWORD, START, SignedIn};

const IDENTITY: [&str; 4] = ["x-auth-account", "x-auth-session", "x-auth-app", "x-auth-token"];

#[tokio::test]
async fn verify_answers_who_is_asking_by_each_method() {
    let lab = Lab::start().await;
    for (app, method) in [("web", "session"), ("api", "jwt"), ("edge", "phantom"), ("stateless", "jwt-stateless")] {
        let ada = lab.login("ada", app).await;
        let answer = lab.verify(ada.credential()).await;
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!(body["account"], json!({"id": ada.account}), "a token carries no more");
        assert_eq!(
            (&body["session"], &body["app"], &body["method"]),
            (&json!(ada.session), &json!(app), &json!(method))
        );
        assert_eq!((&body["amr"], &body["auth_time"]), (&json!(["pwd"]), &json!(START)));
        assert!(body["expires_at"].as_str().unwrap().ends_with('Z'));
        assert_eq!(answer.header("x-auth-account"), Some(ada.account.as_str()));
        assert_eq!(answer.header("x-auth-session"), Some(ada.session.as_str()));
        assert_eq!(answer.header("x-auth-app"), Some(app));
        let minted = answer.header("x-auth-token").expect("every identity header is there");
        assert_eq!(minted.is_empty(), app != "edge", "only a phantom's upstream gets a token");
    }
}

#[tokio::test]
async fn a_phantoms_upstream_gets_a_short_token_of_the_same_session() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "edge").await;
    let minted = lab.verify(ada.credential()).await.header("x-auth-token").unwrap().to_owned();
    let claims = claims(&minted);
    assert_eq!((&claims["sub"], &claims["sid"]), (&json!(ada.account), &json!(ada.session)));
    assert_eq!(
        (&claims["aud"], &claims["client_id"], &claims["iss"]),
        (&json!("edge"), &json!("edge"), &json!(lab.url))
    );
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!((57..=60).contains(&life), "{life}");
}

/// An app behind the proxy knows who its users are; it must not be able to sign them out elsewhere.
#[tokio::test]
async fn a_token_for_an_upstream_tells_who_and_does_nothing() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "edge").await;
    let minted = lab.verify(ada.credential()).await.header("x-auth-token").unwrap().to_owned();
    assert_eq!(lab.verify(&minted).await.status, 200);
    assert_eq!(lab.get("/v1/account").bearer(&minted).await.json()["account"]["id"], json!(ada.account));
    for ask in [
        lab.get("/v1/sessions"),
        lab.delete(&format!("/v1/sessions/{}", ada.session)),
        lab.delete("/v1/account").json(json!({"password": PASSWORD})),
        lab.post("/v1/password").json(json!({"current": PASSWORD, "new": "another battery horse staple"})),
        lab.post("/v1/logout"),
        lab.post("/v1/logout").json(json!({"everywhere": true})),
        lab.post("/v1/logout").json(json!({"refresh_token": minted})),
    ] {
        let answer = ask.bearer(&minted).await;
        assert_eq!(answer.refusal(), (401, "credential_invalid".into()));
    }
    assert_eq!(lab.verify(ada.credential()).await.status, 200, "nothing was done");
    // To whom a service shows it, it is an unknown token: nothing ends (RFC 7009 section 2.2).
    let service = lab.service().await;
    assert_eq!(lab.post("/oauth/revoke").basic(&service).form(&[("token", &minted)]).await.status, 200);
    assert_eq!(lab.verify(ada.credential()).await.status, 200);
}

#[tokio::test]
async fn an_access_token_has_the_claims_of_the_contract_and_its_size() {
    let lab = Lab::with_settings("public_url = 'http://localhost:8080'").await;
    for app in ["api", "stateless"] {
        let ada = lab.login("ada", app).await;
        let claims = claims(ada.credential());
        let mut names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected = ["amr", "aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "sid", "sub"];
        assert_eq!(names, expected, "no `epoch` while it is 0");
        assert_eq!((&claims["iss"], &claims["iat"]), (&json!("http://localhost:8080"), &json!(START)));
        assert_eq!(claims["jti"].as_str().unwrap().len(), 8);
        // The size is promised for an audience of 3 bytes; it stands in the token twice, in base64.
        let longer = (app.len() - 3) * 8 / 3 + 2;
        assert!(ada.credential().len() <= 450 + longer, "{}", ada.credential().len());
        let header = part(ada.credential(), 0);
        assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("EdDSA")));
        assert!(header["kid"].as_str().unwrap().len() <= 6);
    }
}

#[tokio::test]
async fn any_method_and_any_path_below_is_answered() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    for path in ["/v1/verify", "/v1/verify/", "/v1/verify/a", "/v1/verify/a/b/../c%2f", "/v1/verify?app=web"] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            let with = lab.ask(method, path).bearer(ada.credential()).await;
            assert_eq!(
                (with.status, with.header("x-auth-account")),
                (200, Some(ada.account.as_str())),
                "{method} {path}"
            );
            let without = lab.ask(method, path).await;
            assert_eq!(without.status, 401, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn nobody_is_refused_and_every_identity_header_is_empty() {
    let lab = Lab::start().await;
    let answer = lab.get("/v1/verify").header("x-auth-account", "evil").header("x-auth-token", "evil").await;
    assert_eq!(answer.refusal(), (401, "credential_missing".into()));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_nobody(&answer);
}

/// F010: what is no credential is turned away, and F107: never with a 2xx, whatever the path.
#[tokio::test]
async fn garbage_is_refused_and_never_reaches_a_store() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    let ticket = ada.credential();
    let reads = lab.engine.verifier().counts().facts;
    let last = if ticket.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{last}", &ticket[..46]);
    for bad in ["A", "AAAA", &"A".repeat(47), &"0".repeat(47), &ticket[..46], &format!("{ticket}A"), &forged, "a.b.c"] {
        for ask in [lab.get("/v1/verify").bearer(bad), lab.get("/v1/verify").cookie(&format!("cloakroom-web={bad}"))] {
            let answer = ask.await;
            assert_eq!(answer.refusal(), (401, "credential_invalid".into()), "{bad}");
            assert_nobody(&answer);
        }
    }
    for bad in ["", "\u{e9}\u{e9}", "\"\"", " "] {
        let answer = lab.get("/v1/verify").cookie(&format!("cloakroom-web={bad}")).await;
        assert_eq!(answer.refusal(), (401, "credential_missing".into()), "{bad:?}");
    }
    assert_eq!(lab.engine.verifier().counts().facts, reads, "nothing was remembered of it");
}

/// F014: a name that a sloppy parser would trim, unquote or fold into the credential's is another cookie.
#[tokio::test]
async fn a_cookie_name_is_compared_byte_for_byte() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    let ticket = ada.credential();
    let with = |before: &[u8], name: &str, after: &str| {
        let line = [before, name.as_bytes(), format!("={ticket}{after}").as_bytes()].concat();
        lab.get("/v1/verify").header("cookie", line)
    };
    assert_eq!(with(b"a=b; ", "cloakroom-web", "; c=d").await.status, 200);
    for (before, name, after) in [
        (&b"$Version=1; "[..], "cloakroom-web", ""),
        (b"\xc2\xa0", "cloakroom-web", ""),
        (b"\xc2\x85", "cloakroom-web", ""),
        (b"\x85", "cloakroom-web", ""),
        (b"\xa0", "cloakroom-web", ""),
        (b"a=\"; ", "\"cloakroom-web\"", ""),
        (b"", "Cloakroom-Web", ""),
        (b"", "cloakroom-web ", ""),
        (b"", "__Host-cloakroom-web", ""),
        (b"", "__Host-cloakroom-web", "; a"),
    ] {
        let answer = with(before, name, after).await;
        assert_eq!(answer.status, 401, "{} {name}", before.escape_ascii());
    }
}

/// F015: of several cookies of one name a valid one wins in any order; too many are not all tried.
#[tokio::test]
async fn a_valid_cookie_wins_beside_stale_ones() {
    let lab = Lab::start().await;
    let stale = lab.login("ada", "web").await;
    let ada = lab.login("ada", "web").await;
    lab.post("/v1/logout").bearer(stale.credential()).await;
    let (good, stale) = (ada.cookie.as_deref().unwrap(), stale.cookie.as_deref().unwrap());
    let junk = "cloakroom-web=junk";
    for line in [
        format!("{good}; {stale}"),
        format!("{stale}; {good}"),
        format!("{junk}; {stale}; {good}"),
        format!("{good}; {junk}"),
    ] {
        let answer = lab.get("/v1/verify").cookie(&line).await;
        assert_eq!(answer.header("x-auth-session"), Some(ada.session.as_str()), "{line}");
    }
    let none = lab.get("/v1/verify").cookie(&format!("{junk}; {stale}")).await;
    assert_eq!(none.refusal(), (401, "session_revoked".into()), "the refusal that tells more");
}

#[tokio::test]
async fn an_authorization_header_counts_alone() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    let ask = || lab.get("/v1/verify").cookie(ada.cookie.as_deref().unwrap());
    assert_eq!(ask().await.status, 200);
    assert_eq!(ask().bearer("junk").await.refusal(), (401, "credential_invalid".into()));
    assert_eq!(ask().header("authorization", "Basic YTpi").await.refusal(), (401, "credential_invalid".into()));
    assert_eq!(ask().header("authorization", "").await.refusal(), (401, "credential_invalid".into()));
    let twice = ask().bearer(ada.credential()).bearer(ada.credential()).await;
    assert_eq!(twice.refusal(), (400, "invalid_request".into()));
}

/// F038: a credential of one app is none at another, in whichever way it is presented.
#[tokio::test]
async fn with_an_app_asked_for_only_its_credential_counts() {
    let lab = Lab::start().await;
    for app in APPS {
        let ada = lab.login("ada", app).await;
        for asked in APPS {
            let path = format!("/v1/verify?app={asked}");
            let answer = lab.get(&path).bearer(ada.credential()).await;
            if asked == app {
                assert_eq!(answer.status, 200);
            } else {
                assert_eq!(answer.refusal(), (401, "wrong_app".into()), "{app} at {asked}");
                assert_nobody(&answer);
                let ask = lab.get(&path).cookie(&format!("cloakroom-{asked}={}", ada.credential()));
                assert_eq!(ask.await.refusal(), (401, "wrong_app".into()), "{app} in the cookie of {asked}");
                let ask = lab.get(&path).cookie(&format!("cloakroom-{app}={}", ada.credential()));
                assert_eq!(ask.await.refusal(), (401, "credential_missing".into()), "only that app's cookie counts");
            }
        }
    }
    for odd in ["shop", "", "WEB", "web%00"] {
        assert_eq!(lab.get(&format!("/v1/verify?app={odd}")).await.refusal(), (400, "unknown_app".into()), "{odd}");
    }
}

/// F008, F009: active requests keep a session alive up to its absolute end, and not a moment longer.
#[tokio::test]
async fn an_active_session_ends_exactly_at_its_absolute_end() {
    for sessions in ["sqlite", "memory"] {
        for app in ["web", "edge"] {
            let lab = Lab::with_settings(&format!("store.sessions = '{sessions}'")).await;
            let ada = lab.login("ada", app).await;
            for _ in 0..4 {
                lab.advance(7 * 86_400 - 1);
                assert_eq!(lab.verify(ada.credential()).await.status, 200, "{app} {sessions}");
                lab.engine.flush().await.unwrap();
            }
            let end = START + 30 * 86_400;
            lab.advance(end - 1 - lab.now());
            let answer = lab.verify(ada.credential()).await;
            assert_eq!(answer.json()["expires_at"], ada.body["session"]["expires_at"]);
            lab.advance(1);
            assert_eq!(
                lab.verify(ada.credential()).await.refusal(),
                (401, "session_expired".into()),
                "{app} {sessions}"
            );
        }
    }
}

/// F009: one tick past the idle time-out a session is refused, though nothing has been swept.
#[tokio::test]
async fn a_session_that_rests_ends_at_its_idle_timeout() {
    let lab = Lab::start().await;
    for app in ["web", "edge"] {
        let (used, rests) = (lab.login("ada", app).await, lab.login("ada", app).await);
        let ends = [&used, &rests].map(SignedIn::clone);
        lab.advance(7 * 86_400 - 1);
        assert_eq!(lab.verify(ends[0].credential()).await.status, 200);
        lab.advance(1);
        assert_eq!(lab.verify(ends[0].credential()).await.status, 200);
        assert_eq!(lab.verify(ends[1].credential()).await.refusal(), (401, "session_expired".into()));
    }
}

#[tokio::test]
async fn a_poll_does_not_count_as_use() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    lab.advance(6 * 86_400);
    let poll = || lab.get("/v1/verify").bearer(ada.credential()).header("x-cloakroom-passive", "1");
    assert_eq!(poll().await.status, 200);
    lab.advance(86_400);
    assert_eq!(poll().await.refusal(), (401, "session_expired".into()));
}

/// F039: leeway is for clocks that differ; an access token is over five seconds behind its end.
#[tokio::test]
async fn an_access_token_is_over_when_its_time_is() {
    let lab = Lab::start().await;
    for app in ["api", "stateless"] {
        let ada = lab.login("ada", app).await;
        let life = ada.body["expires_in"].as_u64().unwrap();
        lab.advance(life + 4);
        assert_eq!(lab.verify(ada.credential()).await.status, 200);
        lab.advance(1);
        assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "token_expired".into()));
    }
}

/// F104, F109, F140: headers that anybody can send make nobody somebody, and change no answer.
#[tokio::test]
async fn forwarded_headers_of_a_stranger_change_nothing() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    let odd = |ask: crate::lab::Ask| {
        ask.header("x-forwarded-uri", "/public")
            .header("x-original-url", "https://evil.example/")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-prefix", "/evil")
            .header("forwarded", "for=1.2.3.4;host=evil.example")
            .header("x-auth-account", "evil")
            .header("x_auth_account", "evil")
            .host("evil.example")
    };
    assert_eq!(odd(lab.get("/v1/verify")).await.status, 401);
    let answer = odd(lab.get("/v1/verify")).bearer(ada.credential()).await;
    assert_eq!((answer.status, answer.header("x-auth-account")), (200, Some(ada.account.as_str())));
    let login = odd(lab.login_request("ada", PASSWORD, "api")).await;
    assert_eq!(claims(login.json()["access_token"].as_str().unwrap())["iss"], json!(lab.url));
}

pub(crate) fn claims(token: &str) -> serde_json::Value {
    part(token, 1)
}

fn part(token: &str, at: usize) -> serde_json::Value {
    let part = token.split('.').nth(at).expect("a token of three parts");
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

#[track_caller]
pub(crate) fn assert_nobody(answer: &Answer) {
    for name in IDENTITY {
        assert_eq!(answer.header(name), Some(""), "{name}");
    }
}
