//! Signing in: what is answered, by each method; what is refused, and at what cost; what becomes of the session before.

use std::collections::HashSet;

use cloakroom_core::{account::AccountState, engine::Client};
use serde_json::json;

use crate::lab::{APPS, BY_TICKET, BY_TOKEN, Lab, PASSWORD, START, SignedIn, email};

#[tokio::test]
async fn login_answers_the_account_and_the_session_by_each_method() {
    let lab = Lab::start().await;
    for (app, method) in [("web", "session"), ("api", "jwt"), ("edge", "phantom"), ("stateless", "jwt-stateless")] {
        let ada = lab.login("ada", app).await;
        let session = &ada.body["session"];
        assert_eq!((session["app"].as_str(), session["method"].as_str()), (Some(app), Some(method)));
        assert_eq!(session["created_at"], "2027-01-15T08:00:00Z");
        assert_eq!(session["expires_at"], "2027-02-14T08:00:00Z", "30 days");
        assert_eq!(ada.body["account"]["email"], "ada@example.org");
    }
}

#[tokio::test]
async fn the_first_app_is_the_default_one() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let answer = lab.post("/v1/login").json(json!({"email": email("ada"), "password": PASSWORD})).await;
    assert_eq!(answer.json()["session"]["app"], "web");
}

/// F013: on http the cookie has its plain name; what it carries is never in the body. F018: it is `Lax`, so that a link from
/// elsewhere lands signed in.
#[tokio::test]
async fn a_ticket_goes_into_a_cookie_that_script_cannot_read() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    for app in BY_TICKET {
        let answer = lab.try_login("ada", PASSWORD, app).await;
        let [cookie] = &answer.cookies()[..] else { panic!("one cookie") };
        assert_eq!(cookie.name, format!("cloakroom-{app}"));
        assert_eq!(cookie.max_age(), 30 * 86_400, "F009: its life is the session's absolute one");
        for attribute in ["Path=/", "HttpOnly", "SameSite=Lax"] {
            assert!(cookie.has(attribute), "{attribute}");
        }
        assert!(!cookie.has("Secure") && !cookie.attributes.iter().any(|a| a.starts_with("Domain")));
        assert!(!answer.text().contains(&cookie.value));
        assert!(answer.json().get("access_token").is_none() && answer.json().get("refresh_token").is_none());
        assert_eq!(cookie.value.len(), 47);
    }
}

/// F013: behind TLS the name begins with `__Host-`, and the plain name is never read.
#[tokio::test]
async fn on_https_the_cookie_is_a_host_cookie() {
    let lab = Lab::with_settings("public_url = 'https://auth.example'").await;
    let ada = lab.login("ada", "web").await;
    let answer = lab.try_login("ada", PASSWORD, "web").await;
    let [cookie] = &answer.cookies()[..] else { panic!("one cookie") };
    assert_eq!(cookie.name, "__Host-cloakroom-web");
    assert!(cookie.has("Secure") && cookie.has("Path=/") && !cookie.attributes.iter().any(|a| a.starts_with("Domain")));
    let ticket = ada.credential();
    assert_eq!(lab.get("/v1/verify").cookie(&format!("__Host-cloakroom-web={ticket}")).await.status, 200);
    for name in ["cloakroom-web", "__host-cloakroom-web", "__Secure-cloakroom-web", "x__Host-cloakroom-web"] {
        let answer = lab.get("/v1/verify").cookie(&format!("{name}={ticket}")).await;
        assert_eq!(answer.refusal(), (401, "credential_missing".into()), "{name}");
    }
}

#[tokio::test]
async fn tokens_go_into_the_body() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    for app in BY_TOKEN {
        let answer = lab.try_login("ada", PASSWORD, app).await;
        assert!(answer.cookies().is_empty());
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer");
        let life = body["expires_in"].as_u64().unwrap();
        assert!((285..=300).contains(&life), "5 min, less up to 5 %: {life}");
        assert_eq!(body["access_token"].as_str().unwrap().split('.').count(), 3);
        assert!(body["refresh_token"].as_str().unwrap().len() <= 128);
    }
}

#[tokio::test]
async fn a_refresh_token_goes_into_its_cookie_where_that_is_wanted() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    for app in BY_TOKEN {
        let body = json!({"email": email("ada"), "password": PASSWORD, "app": app, "transport": "cookie"});
        let answer = lab.post("/v1/login").json(body).await;
        let [cookie] = &answer.cookies()[..] else { panic!("one cookie") };
        assert_eq!(cookie.name, format!("cloakroom-{app}"));
        assert!(cookie.has("SameSite=Strict") && cookie.has("HttpOnly") && cookie.has("Path=/"));
        assert_eq!(cookie.max_age(), 30 * 86_400);
        assert!(answer.json().get("refresh_token").is_none());
        assert!(answer.json()["access_token"].is_string());
    }
    let odd = json!({"email": email("ada"), "password": PASSWORD, "transport": "pigeon"});
    assert_eq!(lab.post("/v1/login").json(odd).await.refusal(), (400, "invalid_request".into()));
}

/// F078, F077, F074: whatever is wrong, it costs one run of Argon2 and answers the same, byte for byte.
#[tokio::test]
async fn a_refused_login_costs_one_hash_and_looks_the_same_whatever_was_wrong() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    lab.register("eve").await;
    disable(&lab, "eve").await;
    let mut seen: Option<crate::lab::Answer> = None;
    for (name, password) in [
        ("nobody", PASSWORD),
        ("ada", "wrong horse battery staple"),
        ("ada", ""),
        ("nobody", ""),
        ("ada", &"x".repeat(1025)),
        ("nobody", &"x".repeat(7000)),
        ("eve", PASSWORD),
        ("eve", "wrong horse battery staple"),
        ("not an address", PASSWORD),
    ] {
        let before = lab.hashes();
        let answer = lab.try_login(name, password, "web").await;
        assert_eq!(lab.hashes() - before, 1, "{name} {}", password.len());
        assert_eq!(answer.refusal(), (401, "invalid_credentials".into()));
        let seen = seen.get_or_insert(answer.clone());
        let without_date =
            |a: &crate::lab::Answer| a.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>();
        assert_eq!((without_date(&answer), &answer.body), (without_date(seen), &seen.body), "{name}");
    }
}

/// CWE-208: with a store across a network one round trip more would tell who has an account.
#[tokio::test]
async fn a_refused_login_asks_the_stores_the_same_whether_or_not_there_is_an_account() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let asked = || {
        ["login", "standing", "account", "has_signed_in_from"].map(|name| {
            let operations = lab.engine.store_operations().into_iter().filter(|one| one.operation == name);
            operations.map(|one| one.times.count).sum::<u64>()
        })
    };
    for name in ["ada", "nobody"] {
        for _ in 0..2 {
            let before = asked();
            assert_eq!(lab.try_login(name, "not the right one 55", "web").await.status, 401);
            let after = asked();
            let more: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
            assert_eq!(more, [1, 1, 0, 0], "{name}");
        }
    }
}

/// F078: a password of another type, or none, is refused before anything is looked up or hashed, for whomever.
#[tokio::test]
async fn a_login_without_a_password_is_refused_before_anything_is_done() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let before = lab.hashes();
    for name in ["ada", "nobody"] {
        for password in [json!(null), json!(1), json!(["x"]), json!({"x": 1}), json!(true)] {
            let body = json!({"email": email(name), "password": password});
            assert_eq!(lab.post("/v1/login").json(body).await.refusal(), (400, "invalid_request".into()));
        }
        let body = json!({"email": email(name)});
        assert_eq!(lab.post("/v1/login").json(body).await.refusal(), (400, "invalid_request".into()));
    }
    assert_eq!(lab.hashes(), before);
}

/// F074: a body over 8 KiB is turned away before it is read, and hashes nothing.
#[tokio::test]
async fn a_huge_password_is_too_large() {
    let lab = Lab::start().await;
    let before = lab.hashes();
    for size in [8192, 100_000, 3_000_000] {
        let answer = lab.try_login("ada", &"x".repeat(size), "web").await;
        assert_eq!(answer.refusal(), (413, "too_large".into()), "{size}");
    }
    assert_eq!(lab.hashes(), before);
}

#[tokio::test]
async fn an_unknown_app_is_refused_before_the_password_is_looked_at() {
    let lab = Lab::start().await;
    let before = lab.hashes();
    for app in ["shop", "", "WEB", "web ", "we\u{0}b"] {
        assert_eq!(lab.try_login("ada", PASSWORD, app).await.refusal(), (400, "unknown_app".into()), "{app:?}");
    }
    assert_eq!(lab.hashes(), before);
}

/// F001, F002: login hands out an id never seen before, whatever was sent along, and what was sent is refused from then on.
#[tokio::test]
async fn login_over_a_session_ends_the_old_one_and_gives_a_new_id() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    for app in APPS {
        let browser = lab.browser();
        let first = browser.login("ada", app).await;
        let planted = browser.cookie(app).unwrap();
        let second = browser.login("ada", app).await;
        assert_ne!(first.session, second.session);
        assert_ne!(browser.cookie(app).unwrap(), planted);
        if first.body["access_token"].is_null() {
            assert_eq!(lab.verify(&planted).await.refusal(), (401, "session_revoked".into()));
        } else {
            assert_eq!(lab.refresh(&planted).await.refusal(), (401, "session_revoked".into()));
            assert_eq!(lab.verify(first.credential()).await.refusal(), (401, "session_revoked".into()));
        }
    }
}

/// F001: an id that somebody else planted in the browser does not become the signed-in one, and dies with the login.
#[tokio::test]
async fn a_planted_ticket_does_not_survive_the_login() {
    let lab = Lab::start().await;
    let eve = lab.login("eve", "web").await;
    lab.register("ada").await;
    let ask = lab.login_request("ada", PASSWORD, "web").on_own_page().cookie(eve.cookie.as_deref().unwrap());
    let ada = SignedIn::read(&ask.await);
    assert_ne!(ada.session, eve.session);
    assert_eq!(lab.verify(eve.credential()).await.refusal(), (401, "session_revoked".into()));
    let seen = lab.verify(ada.credential()).await.json();
    assert_eq!(seen["account"]["id"], json!(ada.account));
}

/// F001: made-up ids in the cookie never come to life.
#[tokio::test]
async fn a_made_up_ticket_is_never_adopted() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let made_up = "A".repeat(47);
    let ask = lab.login_request("ada", PASSWORD, "web").on_own_page();
    let ada = SignedIn::read(&ask.cookie(&format!("cloakroom-web={made_up}")).await);
    assert_ne!(ada.credential(), made_up);
    assert_eq!(lab.verify(&made_up).await.refusal(), (401, "credential_invalid".into()));
}

/// F003: two people at one browser, one after the other, with any cookies removed between, share no id, and what ended
/// stays ended.
#[tokio::test]
async fn the_next_person_at_a_browser_gets_nothing_of_the_last_one() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    lab.register("eve").await;
    let (mut ids, mut tickets) = (HashSet::new(), vec![]);
    for removed in [vec![], vec!["web"], vec!["edge"], vec!["web", "edge"]] {
        for signs_out in [true, false] {
            let browser = lab.browser();
            for name in ["ada", "eve"] {
                for app in BY_TICKET {
                    let who = browser.login(name, app).await;
                    assert!(ids.insert(who.session.clone()), "an id came twice");
                    assert!(!tickets.contains(&who.credential().to_owned()));
                    tickets.push(who.credential().to_owned());
                }
                for app in BY_TICKET {
                    let seen = browser.get(&format!("/v1/verify?app={app}")).await.json();
                    let account = lab.engine.find_account(&email(name)).await.unwrap().id.to_string();
                    assert_eq!(seen["account"]["id"], json!(account));
                }
                if signs_out {
                    assert_eq!(browser.post("/v1/logout", json!({})).await.status, 204);
                }
                for app in &removed {
                    browser.jar.lock().remove(&format!("cloakroom-{app}"));
                }
            }
        }
    }
}

/// F012: a request that is sent the moment the login's answer arrives is signed in.
#[tokio::test]
async fn the_next_request_sees_the_login() {
    let lab = Lab::start().await;
    for app in APPS {
        for _ in 0..3 {
            let ada = lab.login("ada", app).await;
            assert_eq!(lab.verify(ada.credential()).await.status, 200);
        }
    }
}

/// F055, F090: who was disabled cannot sign in, by any app, and is told no more than any stranger.
#[tokio::test]
async fn a_disabled_account_does_not_get_in() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    disable(&lab, "ada").await;
    for app in APPS {
        assert_eq!(lab.try_login("ada", PASSWORD, app).await.refusal(), (401, "invalid_credentials".into()));
    }
    let reasons: Vec<_> = lab.audit().await.into_iter().filter_map(|line| line.reason).collect();
    assert_eq!(reasons, vec!["account_disabled"; 4], "the operator is told more");
}

/// F090, F060: disabled, or ended everywhere, while the password is being checked: no living session comes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_beside_an_end_of_everything_is_ended_or_refused() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let id = lab.engine.find_account(&email("ada")).await.unwrap().id;
    for app in APPS {
        for delay in [0, 5, 15, 30] {
            let ask = lab.login_request("ada", PASSWORD, app);
            let login = tokio::spawn(async move { ask.await });
            tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
            let running = !login.is_finished();
            lab.engine.end_account(id, &Client::default()).await.unwrap();
            let answer = login.await.unwrap();
            if answer.status == 200 && running {
                let ada = SignedIn::read(&answer);
                // It began before the end, unless its password check had not begun by then.
                let epoch_after = lab.verify(ada.credential()).await.status;
                assert!(delay == 0 || epoch_after == 401, "{app} {delay}");
            }
        }
    }
}

/// F070: tokens of one moment renew at moments that are spread over the jitter window, fixed at issue.
#[tokio::test]
async fn renewals_of_one_moment_are_spread() {
    let lab = Lab::start().await;
    let mut lives = HashSet::new();
    for _ in 0..12 {
        let ada = lab.login("ada", "api").await;
        let life = ada.body["expires_in"].as_u64().unwrap();
        let seen = lab.verify(ada.credential()).await.json();
        let expires = cloakroom_core::clock::Timestamp::from_secs(START + life).to_string();
        assert_eq!(seen["expires_at"], json!(expires), "what the client is told is what the token says");
        lives.insert(life);
    }
    assert!(lives.len() >= 3, "{lives:?}");
}

async fn disable(lab: &Lab, name: &str) {
    let id = lab.engine.find_account(&email(name)).await.unwrap().id;
    lab.engine.set_state(id, AccountState::Disabled, &Client::default()).await.unwrap();
}
