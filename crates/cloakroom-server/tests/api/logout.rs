//! Signing out: this session or everything, by whatever is presented, at any age; and that it stays so.

use serde_json::json;

use crate::lab::{APPS, BY_TICKET, BY_TOKEN, Lab};

#[tokio::test]
async fn signing_out_ends_this_session_and_no_other() {
    let lab = Lab::start().await;
    for app in APPS {
        let (here, there) = (lab.login("ada", app).await, lab.login("ada", app).await);
        for ada in [&here, &there] {
            assert_eq!(lab.verify(ada.credential()).await.status, 200);
        }
        let answer = lab.post("/v1/logout").bearer(here.credential()).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        for later in [0, 240, 60] {
            lab.advance(later);
            assert_eq!(lab.verify(here.credential()).await.status, 401, "{app}");
        }
        if let Some(token) = here.body["refresh_token"].as_str() {
            assert_eq!(lab.refresh(token).await.refusal(), (401, "session_revoked".into()), "{app}");
            assert_eq!(lab.refresh(there.refresh_token()).await.status, 200);
        } else {
            assert_eq!(lab.verify(there.credential()).await.status, 200);
        }
    }
}

/// F016: the cookie that removes is the one that was set: same name, path, domain and `Secure`.
#[tokio::test]
async fn signing_out_removes_the_cookie_as_it_was_set() {
    for (top, name, secure) in
        [("", "cloakroom-web", false), ("public_url = 'https://auth.example'", "__Host-cloakroom-web", true)]
    {
        let lab = Lab::with_settings(top).await;
        let ada = lab.login("ada", "web").await;
        let ask = lab.post("/v1/logout").header("origin", &lab.url).cookie(ada.cookie.as_deref().unwrap());
        let answer = ask.await;
        assert_eq!(answer.status, 204);
        let [cookie] = &answer.cookies()[..] else { panic!("one cookie") };
        assert_eq!((cookie.name.as_str(), cookie.value.as_str(), cookie.max_age()), (name, "", 0));
        assert!(cookie.has("Path=/") && !cookie.attributes.iter().any(|a| a.starts_with("Domain")));
        assert_eq!(cookie.has("Secure"), secure);
        assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_revoked".into()));
    }
}

#[tokio::test]
async fn a_client_that_holds_its_refresh_token_signs_out_with_it() {
    let lab = Lab::start().await;
    for app in BY_TOKEN {
        let ada = lab.login("ada", app).await;
        let body = json!({"refresh_token": ada.refresh_token()});
        assert_eq!(lab.post("/v1/logout").json(body).await.status, 204);
        assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_revoked".into()));
        assert_eq!(lab.refresh(ada.refresh_token()).await.refusal(), (401, "session_revoked".into()));
    }
}

/// F067: an expired access token and an older refresh token end their own session too.
#[tokio::test]
async fn signing_out_works_with_what_has_expired_or_was_replaced() {
    let lab = Lab::start().await;
    for app in BY_TOKEN {
        let ada = lab.login("ada", app).await;
        lab.advance(3600);
        let newer = lab.refresh(ada.refresh_token()).await.json();
        assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "token_expired".into()));
        assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204, "expired");
        assert_eq!(lab.verify(newer["access_token"].as_str().unwrap()).await.status, 401);
        let eve = lab.login("eve", app).await;
        lab.advance(60);
        let newer = lab.refresh(eve.refresh_token()).await.json();
        lab.advance(60);
        let old = json!({"refresh_token": eve.refresh_token()});
        assert_eq!(lab.post("/v1/logout").json(old).await.status, 204, "replaced");
        assert_eq!(lab.verify(newer["access_token"].as_str().unwrap()).await.status, 401);
    }
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_of_the_account_and_nobody_elses() {
    for app in APPS {
        let lab = Lab::start().await;
        let mut all = vec![];
        for each in APPS {
            all.push(lab.login("ada", each).await);
        }
        let eve = lab.login("eve", "web").await;
        let here = lab.login("ada", app).await;
        let answer = lab.post("/v1/logout").bearer(here.credential()).json(json!({"everywhere": true})).await;
        assert_eq!(answer.status, 204);
        all.push(here);
        for ada in &all {
            assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_revoked".into()), "by {app}");
            if let Some(token) = ada.body["refresh_token"].as_str() {
                assert_eq!(lab.refresh(token).await.refusal(), (401, "session_revoked".into()), "by {app}");
            }
        }
        assert_eq!(lab.verify(eve.credential()).await.status, 200);
        assert_eq!(lab.verify(lab.login("ada", app).await.credential()).await.status, 200);
    }
}

/// A client that shows both of its tokens is not told that it was refused, because the first of them has ended everything.
#[tokio::test]
async fn signing_out_everywhere_by_both_tokens_is_done() {
    let lab = Lab::start().await;
    for app in BY_TOKEN {
        let ada = lab.login("ada", app).await;
        let body = json!({"everywhere": true, "refresh_token": ada.refresh_token()});
        assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).json(body).await.status, 204, "{app}");
    }
}

/// F061: everything ends by the account's epoch; no index is walked, and of 50 sessions none is missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_parallel_logins_fifty_are_listed_and_fifty_end() {
    let lab = Lab::with_settings("password.queue = 100").await;
    lab.register("ada").await;
    let logins = (0..50).map(|_| {
        let ask = lab.login_request("ada", crate::lab::PASSWORD, "web");
        tokio::spawn(async move { crate::lab::SignedIn::read(&ask.await) })
    });
    let mut all = vec![];
    for login in logins.collect::<Vec<_>>() {
        all.push(login.await.unwrap());
    }
    let list = lab.get("/v1/sessions").bearer(all[0].credential()).await.json();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 50);
    let answer = lab.post("/v1/logout").bearer(all[0].credential()).json(json!({"everywhere": true})).await;
    assert_eq!(answer.status, 204);
    for ada in &all {
        assert_eq!(lab.verify(ada.credential()).await.status, 401);
    }
}

/// Cookies of several apps, one of them stale or of the same account: everything ends, and the browser is signed out.
#[tokio::test]
async fn signing_out_everywhere_by_several_cookies_ends_everything() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let browser = lab.browser();
    let elsewhere = lab.login("ada", "api").await;
    for app in BY_TICKET {
        browser.login("ada", app).await;
    }
    let answer = browser.post("/v1/logout", json!({"everywhere": true})).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!((browser.cookie("web"), browser.cookie("edge")), (None, None));
    assert_eq!(lab.verify(elsewhere.credential()).await.refusal(), (401, "session_revoked".into()));

    let stale = lab.login("ada", "web").await;
    lab.post("/v1/logout").bearer(stale.credential()).await;
    browser.login("ada", "edge").await;
    browser.jar.lock().insert("cloakroom-web".into(), stale.credential().into());
    let elsewhere = lab.login("ada", "api").await;
    assert_eq!(browser.post("/v1/logout", json!({"everywhere": true})).await.status, 204);
    assert_eq!(lab.verify(elsewhere.credential()).await.refusal(), (401, "session_revoked".into()));
}

/// What has ended signs nobody out of everything: a stale credential that leaked somewhere is no lever.
#[tokio::test]
async fn a_stale_credential_does_not_sign_out_everywhere() {
    let lab = Lab::start().await;
    for app in APPS {
        let (stale, alive) = (lab.login("ada", app).await, lab.login("ada", app).await);
        lab.post("/v1/logout").bearer(stale.credential()).await;
        let everywhere = json!({"everywhere": true});
        let answer = lab.post("/v1/logout").bearer(stale.credential()).json(everywhere.clone()).await;
        assert_eq!(answer.refusal(), (401, "session_revoked".into()), "{app}");
        assert_eq!(lab.verify(alive.credential()).await.status, 200);
        if app == "web" {
            let by_cookie = lab.post("/v1/logout").on_own_page().cookie(stale.cookie.as_deref().unwrap());
            let answer = by_cookie.json(everywhere).await;
            assert_eq!(answer.refusal(), (401, "session_revoked".into()));
            assert_eq!(answer.cookies()[0].max_age(), 0, "this browser is signed out all the same");
            let junk = lab.post("/v1/logout").on_own_page().cookie("cloakroom-web=junk");
            assert_eq!(
                junk.json(json!({"everywhere": true})).await.status,
                401,
                "nothing was ended, so nothing is said"
            );
        }
    }
}

#[tokio::test]
async fn signing_out_without_a_credential_is_refused_and_with_a_dead_one_is_not() {
    let lab = Lab::start().await;
    assert_eq!(lab.post("/v1/logout").await.refusal(), (401, "credential_missing".into()));
    assert_eq!(lab.post("/v1/logout").bearer("junk").await.refusal(), (401, "credential_invalid".into()));
    let ada = lab.login("ada", "web").await;
    for _ in 0..2 {
        assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204, "done twice, it is done");
    }
    let stale = lab.post("/v1/logout").on_own_page().cookie("cloakroom-web=junk").await;
    assert_eq!((stale.status, stale.cookies()[0].max_age()), (204, 0), "the browser is signed out");
}

/// Whoever holds one old credential cannot fill the log with it, nor what every verifier must hold.
#[tokio::test]
async fn signing_out_again_writes_nothing_anew() {
    let lab = Lab::start().await;
    for app in APPS {
        let ada = lab.login("ada", app).await;
        assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
        let head = lab.engine.stores().accounts.log_head().await.unwrap();
        let held = lab.engine.verifier().counts().ended;
        for _ in 0..5 {
            lab.advance(1);
            lab.post("/v1/logout").bearer(ada.credential()).await;
        }
        assert_eq!(lab.engine.stores().accounts.log_head().await.unwrap(), head, "{app}");
        assert_eq!(lab.engine.verifier().counts().ended, held, "{app}");
    }
}

/// R15: a verifier holds every end for 65 minutes, whatever has ended: no access token lives longer. What lives longer is asked of
/// the log at each renewal.
#[tokio::test]
async fn an_end_is_held_as_long_as_it_must_be() {
    let lab = Lab::start().await;
    for app in APPS {
        let ada = lab.login("ada", app).await;
        lab.post("/v1/logout").bearer(ada.credential()).await;
    }
    // As the server does every half second: what it has written is heard back, and held from then on.
    lab.engine.verifier().renew_lease().await.unwrap();
    assert_eq!(lab.engine.verifier().counts().ended, 4);
    lab.advance(64 * 60);
    lab.engine.verifier().renew_lease().await.unwrap();
    assert_eq!(lab.engine.verifier().counts().ended, 4);
    lab.advance(2 * 60);
    lab.engine.verifier().renew_lease().await.unwrap();
    assert_eq!(lab.engine.verifier().counts().ended, 0);
}

/// F006: an answer that was under way may bring the old cookie back; what it holds is refused.
#[tokio::test]
async fn a_cookie_that_comes_back_after_signing_out_is_refused() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let browser = lab.browser();
    browser.login("ada", "web").await;
    let before = browser.cookie("web").unwrap();
    for path in ["/v1/verify", "/v1/account", "/v1/sessions"] {
        assert!(browser.get(path).await.cookies().is_empty(), "{path}: no cookie is sent when nothing changed");
    }
    browser.post("/v1/logout", json!({})).await;
    browser.jar.lock().insert("cloakroom-web".into(), before);
    for path in ["/v1/verify", "/v1/account", "/v1/sessions"] {
        assert_eq!(browser.get(path).await.refusal(), (401, "session_revoked".into()), "{path}");
    }
}

/// F058: each way to end sessions is in force the moment it is answered, for each method.
#[tokio::test]
async fn what_has_ended_stays_ended_after_a_restart_and_with_a_full_day_between() {
    let lab = Lab::start().await;
    let mut held = vec![];
    for app in APPS {
        let ada = lab.login("ada", app).await;
        assert_eq!(lab.verify(ada.credential()).await.status, 200);
        assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
        held.push(ada);
    }
    let mut lab = lab.restart_ready("").await;
    for later in [0, 60, 300, 100_000] {
        lab.advance(later);
        lab.engine.sweep().await.unwrap();
        for ada in &held {
            assert_eq!(lab.verify(ada.credential()).await.status, 401, "after {later} s");
            if let Some(token) = ada.body["refresh_token"].as_str() {
                assert_eq!(lab.refresh(token).await.status, 401, "after {later} s");
            }
        }
    }
    lab.stop().await;
}

/// F059: issue, end everything, issue again, all in one moment of a clock that stands: the first is refused and the second
/// accepted, by each method; and the end is held for as long as anything of the first could be shown.
#[tokio::test]
async fn an_end_and_a_login_of_one_second_are_told_apart() {
    let lab = Lab::start().await;
    for app in APPS {
        let first = lab.login("ada", app).await;
        let everywhere = lab.post("/v1/logout").bearer(first.credential()).json(json!({"everywhere": true}));
        assert_eq!(everywhere.await.status, 204);
        let second = lab.login("ada", app).await;
        for later in [0, 240] {
            lab.advance(later);
            assert_eq!(lab.verify(first.credential()).await.status, 401, "{app} after {later} s");
            assert_eq!(lab.verify(second.credential()).await.status, 200, "{app} after {later} s");
        }
        lab.advance(29 * 86_400);
        if let Some(token) = first.body["refresh_token"].as_str() {
            assert_eq!(lab.refresh(token).await.status, 401, "{app}");
        }
    }
}
