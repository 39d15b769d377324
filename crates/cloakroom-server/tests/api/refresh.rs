//! Renewal: rotation and repeats, theft, cookies, and what a refresh never does.

use std::collections::HashSet;

use cloakroom_core::{
    account::AccountState,
    audit::Kind,
    engine::Client,
    ids::{Generation, SessionId},
    session::Write,
};
use serde_json::json;

use crate::{
    lab::{BY_TOKEN, Lab, SignedIn, email},
    verify::claims,
};

#[tokio::test]
async fn a_refresh_answers_as_login_does() {
    let lab = Lab::start().await;
    for app in BY_TOKEN {
        let ada = lab.login("ada", app).await;
        lab.advance(60);
        let answer = lab.refresh(ada.refresh_token()).await;
        assert_eq!(answer.status, 200);
        assert!(answer.cookies().is_empty());
        let body = answer.json();
        assert_eq!((&body["account"], &body["session"]), (&ada.body["account"], &ada.body["session"]));
        assert_eq!(body["token_type"], "Bearer");
        assert_ne!(body["access_token"], ada.body["access_token"]);
        assert_eq!(lab.verify(body["access_token"].as_str().unwrap()).await.status, 200);
        let same = body["refresh_token"] == ada.body["refresh_token"];
        assert_eq!(same, app == "stateless", "a stateless one is not rotated");
    }
}

/// F048: 100 refreshes at once with one token leave one generation step and one successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_refreshes_leave_one_successor() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "api").await;
    lab.advance(60);
    let asks = (0..100).map(|_| {
        let ask = lab.post("/v1/refresh").json(json!({"refresh_token": ada.refresh_token()}));
        tokio::spawn(async move { ask.await })
    });
    let mut successors = HashSet::new();
    for ask in asks.collect::<Vec<_>>() {
        let answer = ask.await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        successors.insert(answer.json()["refresh_token"].as_str().unwrap().to_owned());
    }
    assert_eq!(successors.len(), 1);
    assert_eq!(generation(&lab, &ada).await, 1);
}

/// F049, F050: answers that are lost, and tabs that hold the old token, get the same successor within the grace period.
#[tokio::test]
async fn a_repeat_within_the_grace_period_gets_the_same_successor() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "api").await;
    lab.advance(60);
    let first = lab.refresh(ada.refresh_token()).await.json()["refresh_token"].clone();
    for _ in 0..3 {
        lab.advance(9);
        let again = lab.refresh(ada.refresh_token()).await;
        assert_eq!((again.status, &again.json()["refresh_token"]), (200, &first));
    }
    let unchanged = lab.refresh(first.as_str().unwrap()).await.json();
    assert_eq!(unchanged["refresh_token"], first, "at most one rotation per grace period");
    assert_eq!(generation(&lab, &ada).await, 1);
}

/// F054: the grace period is fixed at the rotation: repeats do not stretch it, and after it the session ends whole, at once,
/// and the account is told.
#[tokio::test]
async fn an_old_token_after_the_grace_period_is_theft() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "api").await;
    lab.advance(60);
    let thief = lab.refresh(ada.refresh_token()).await.json();
    lab.advance(20);
    assert_eq!(lab.refresh(ada.refresh_token()).await.status, 200);
    lab.advance(10);
    assert_eq!(lab.refresh(ada.refresh_token()).await.refusal(), (401, "token_reused".into()));
    let (access, refresh) = (thief["access_token"].as_str().unwrap(), thief["refresh_token"].as_str().unwrap());
    assert_eq!(lab.refresh(refresh).await.refusal(), (401, "session_revoked".into()));
    assert_eq!(lab.verify(access).await.refusal(), (401, "session_revoked".into()));
    let line = lab.audit().await.into_iter().find(|line| line.kind == Kind::Theft).expect("a line of it");
    assert_eq!(line.session.unwrap().to_string(), ada.session);
    assert_eq!(line.account.unwrap().to_string(), ada.account);
    assert_eq!(line.detail.as_deref(), Some("generation 0 of 1"), "F129: with the generations");
    let told = lab.engine.thefts(line.account.unwrap()).await.unwrap();
    assert_eq!(told.len(), 1);
}

/// F053: reuse is told by generation, not by time: three rotations in one second, then the first token.
#[tokio::test]
async fn a_replay_within_one_second_is_seen() {
    let lab = Lab::with("", "[[app]]\nid = 'api'\nmethod = 'jwt'\nrefresh_grace = '1s'").await;
    let ada = lab.login("ada", "api").await;
    let mut token = ada.refresh_token().to_owned();
    for _ in 0..3 {
        lab.advance(1);
        token = lab.refresh(&token).await.json()["refresh_token"].as_str().unwrap().to_owned();
    }
    assert_eq!(lab.refresh(ada.refresh_token()).await.refusal(), (401, "token_reused".into()));
    assert_eq!(lab.refresh(&token).await.refusal(), (401, "session_revoked".into()));
}

/// A store that lost its last moments: a generation above the stored one, with a good MAC, is taken and logged.
#[tokio::test]
async fn a_generation_that_the_store_has_lost_is_taken() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "api").await;
    lab.advance(60);
    let newer = lab.refresh(ada.refresh_token()).await.json()["refresh_token"].as_str().unwrap().to_owned();
    let id = SessionId::parse(&ada.session).unwrap();
    let back = Write::Rotate { from: Generation(1), to: Generation(0), at: lab.engine.clock().by_hand(), active: None };
    assert!(matches!(
        lab.engine.stores().sessions.write(id, back).await.unwrap(),
        cloakroom_core::session::Written::Done(_)
    ));
    lab.advance(60);
    assert_eq!(lab.refresh(&newer).await.status, 200);
    assert!(lab.audit().await.iter().any(|line| line.kind == Kind::CaughtUp));
}

/// F051: logout and a new login between: the holder of the old token gets a refusal, never anything of the new session.
#[tokio::test]
async fn the_holder_of_an_old_session_gets_nothing_of_a_new_one() {
    let lab = Lab::start().await;
    for app in BY_TOKEN {
        let old = lab.login("ada", app).await;
        lab.post("/v1/logout").bearer(old.credential()).await;
        let new = lab.login("ada", app).await;
        let refused = lab.refresh(old.refresh_token()).await;
        assert_eq!(refused.refusal(), (401, "session_revoked".into()));
        assert!(!refused.text().contains(&new.session));
        assert_eq!(lab.refresh(new.refresh_token()).await.status, 200);
    }
}

/// F052: a refresh beside an end: what it handed out is refused, and the next refresh fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_beside_an_end_outlives_nothing() {
    let lab = Lab::start().await;
    lab.login("ada", "api").await;
    let id = lab.engine.find_account(&email("ada")).await.unwrap().id;
    for app in BY_TOKEN {
        for round in 0..4 {
            let ada = lab.login("ada", app).await;
            lab.advance(60);
            let refresh = lab.post("/v1/refresh").json(json!({"refresh_token": ada.refresh_token()}));
            let refresh = tokio::spawn(async move { refresh.await });
            if round % 2 == 0 {
                lab.engine.end_account(id, &Client::default()).await.unwrap();
            } else {
                assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
            }
            let answer = refresh.await.unwrap();
            let token = answer.json()["refresh_token"].as_str().unwrap_or(ada.refresh_token()).to_owned();
            if answer.status == 200 {
                let access = answer.json()["access_token"].as_str().unwrap().to_owned();
                assert_eq!(lab.verify(&access).await.refusal(), (401, "session_revoked".into()));
            }
            assert_eq!(lab.refresh(&token).await.refusal(), (401, "session_revoked".into()));
        }
    }
}

/// F055: disabled or deleted, an account refreshes, verifies and introspects nothing more, by whatever it holds.
#[tokio::test]
async fn a_disabled_account_goes_on_with_nothing() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let mut held = vec![];
    for app in crate::lab::APPS {
        held.push(lab.login("ada", app).await);
        assert_eq!(lab.verify(held.last().unwrap().credential()).await.status, 200);
    }
    let id = lab.engine.find_account(&email("ada")).await.unwrap().id;
    lab.engine.set_state(id, AccountState::Disabled, &Client::default()).await.unwrap();
    for ada in &held {
        assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_revoked".into()));
        assert_eq!(lab.get("/v1/account").bearer(ada.credential()).await.status, 401);
        assert_eq!(lab.introspect(&service, ada.credential()).await, json!({"active": false}));
        if let Some(token) = ada.body["refresh_token"].as_str() {
            assert_eq!(lab.refresh(token).await.refusal(), (401, "session_revoked".into()));
        }
    }
    lab.engine.set_state(id, AccountState::Active, &Client::default()).await.unwrap();
    for ada in &held {
        assert_eq!(lab.verify(ada.credential()).await.status, 401, "what ended stays ended");
    }
}

/// F056: a refresh makes no old sign-in look fresh, however often.
#[tokio::test]
async fn a_refresh_does_not_move_the_sign_in() {
    let lab = Lab::start().await;
    for app in BY_TOKEN {
        let begun = lab.now();
        let ada = lab.login("ada", app).await;
        let mut token = ada.refresh_token().to_owned();
        for _ in 0..3 {
            lab.advance(3600);
            let body = lab.refresh(&token).await.json();
            token = body["refresh_token"].as_str().unwrap().to_owned();
            let claims = claims(body["access_token"].as_str().unwrap());
            assert_eq!((&claims["auth_time"], &claims["amr"]), (&json!(begun), &json!(["pwd"])), "{app}");
            assert_eq!(claims["iat"], json!(lab.now()));
            assert_eq!(body["session"]["expires_at"], ada.body["session"]["expires_at"]);
        }
    }
}

/// F008: renewals keep a session alive up to its absolute end, and no token outlives it.
#[tokio::test]
async fn renewals_end_at_the_absolute_end() {
    let lab = Lab::start().await;
    for app in BY_TOKEN {
        let end = lab.now() + 30 * 86_400;
        let mut token = lab.login("ada", app).await.refresh_token().to_owned();
        for _ in 0..5 {
            lab.advance(6 * 86_400 - 12);
            token = lab.refresh(&token).await.json()["refresh_token"].as_str().unwrap().to_owned();
        }
        assert_eq!(end - lab.now(), 60);
        let last = lab.refresh(&token).await.json();
        assert!(claims(last["access_token"].as_str().unwrap())["exp"].as_u64().unwrap() <= end, "{app}");
        assert!(last["expires_in"].as_u64().unwrap() <= 60);
        lab.advance(60);
        assert_eq!(lab.refresh(&token).await.refusal(), (401, "session_expired".into()), "{app}");
    }
}

/// Idle is counted by renewals, but not by those of a poll.
#[tokio::test]
async fn a_session_that_does_not_renew_ends_at_its_idle_timeout() {
    let lab = Lab::start().await;
    let (ada, eve) = (lab.login("ada", "api").await, lab.login("eve", "api").await);
    lab.advance(6 * 86_400);
    let active = lab.refresh(ada.refresh_token()).await.json()["refresh_token"].as_str().unwrap().to_owned();
    let poll = lab.post("/v1/refresh").header("x-cloakroom-passive", "1");
    let polled = poll.json(json!({"refresh_token": eve.refresh_token()})).await.json();
    lab.advance(86_400);
    assert_eq!(lab.refresh(&active).await.status, 200);
    let polled = lab.refresh(polled["refresh_token"].as_str().unwrap()).await;
    assert_eq!(polled.refusal(), (401, "session_expired".into()));
}

#[tokio::test]
async fn a_refresh_by_cookie_moves_the_cookie() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    for app in BY_TOKEN {
        let browser = lab.browser();
        browser.login("ada", app).await;
        let first = browser.cookie(app).unwrap();
        let at_once = browser.send(browser.ask("POST", &format!("/v1/refresh?app={app}"))).await;
        assert_eq!((at_once.status, at_once.cookies().len()), (200, 0), "F006: nothing changed, nothing is sent");
        lab.advance(60);
        let answer = browser.post("/v1/refresh", json!({})).await;
        assert_eq!(answer.status, 200);
        assert!(answer.json()["access_token"].is_string() && answer.json().get("refresh_token").is_none());
        if app == "api" {
            let [cookie] = &answer.cookies()[..] else { panic!("one cookie") };
            assert!(cookie.has("SameSite=Strict") && cookie.value != first);
            assert_eq!(cookie.max_age(), 30 * 86_400 - 60, "F009: the session's end does not move");
        } else {
            assert!(answer.cookies().is_empty());
        }
    }
}

/// F050: two tabs, the same cookie: neither answer signs out or clears anything; a refusal for good clears the cookie.
#[tokio::test]
async fn a_repeat_by_cookie_clears_nothing_and_theft_clears_the_cookie() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let (browser, slow) = (lab.browser(), lab.browser());
    browser.login("ada", "api").await;
    slow.jar.lock().extend(browser.jar.lock().clone());
    lab.advance(60);
    assert_eq!(browser.post("/v1/refresh", json!({})).await.status, 200);
    lab.advance(29);
    assert_eq!(slow.post("/v1/refresh", json!({})).await.status, 200);
    assert_eq!(slow.cookie("api"), browser.cookie("api"), "both have the successor");
    lab.advance(31);
    assert_eq!(browser.post("/v1/refresh", json!({})).await.status, 200);
    lab.advance(31);
    let theft = slow.post("/v1/refresh", json!({})).await;
    assert_eq!(theft.refusal(), (401, "token_reused".into()));
    assert_eq!(slow.cookie("api"), None);
    let over = browser.post("/v1/refresh", json!({})).await;
    assert_eq!(over.refusal(), (401, "session_revoked".into()));
}

/// F050: a refusal clears the very credential that it refused, and no ticket of another method beside it.
#[tokio::test]
async fn a_refresh_clears_no_ticket() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let browser = lab.browser();
    browser.login("ada", "web").await;
    let answer = browser.post("/v1/refresh", json!({})).await;
    assert_eq!(answer.refusal(), (401, "credential_invalid".into()));
    assert!(answer.cookies().is_empty(), "a ticket is no refresh token, but still good");
    assert_eq!(browser.get("/v1/verify").await.status, 200);
    browser.login("ada", "api").await;
    assert_eq!(
        browser.post("/v1/refresh", json!({})).await.status,
        200,
        "the refresh token is found beside the ticket"
    );
    assert!(browser.cookie("web").is_some());
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let lab = Lab::start().await;
    let (web, api) = (lab.login("ada", "web").await, lab.login("ada", "api").await);
    for bad in [web.credential(), api.credential(), "", "junk", &"A".repeat(52), &"A".repeat(5000)] {
        assert_eq!(lab.refresh(bad).await.refusal(), (401, "credential_invalid".into()), "{}", bad.len());
    }
    assert_eq!(lab.post("/v1/refresh").await.refusal(), (401, "credential_missing".into()));
    assert_eq!(lab.post("/v1/refresh").json(json!({})).await.refusal(), (401, "credential_missing".into()));
    assert_eq!(lab.post("/v1/refresh").json(json!({"refresh_token": 1})).await.status, 400);
    let header = lab.post("/v1/refresh").bearer(api.refresh_token()).await;
    assert_eq!(header.refusal(), (401, "credential_invalid".into()), "it travels in the body or the cookie");
    assert_eq!(lab.refresh(api.refresh_token()).await.status, 200, "none of this ended anything");
}

/// F038: with an app asked for, another app's token is refused and nothing is rotated.
#[tokio::test]
async fn a_token_of_another_app_is_not_renewed() {
    let lab = Lab::start().await;
    for (app, other) in [("api", "stateless"), ("stateless", "api")] {
        let ada = lab.login("ada", app).await;
        lab.advance(60);
        let body = json!({"refresh_token": ada.refresh_token()});
        let answer = lab.post(&format!("/v1/refresh?app={other}")).json(body.clone()).await;
        assert_eq!(answer.refusal(), (401, "wrong_app".into()));
        assert_eq!(lab.post(&format!("/v1/refresh?app={app}")).json(body).await.status, 200);
    }
}

/// An app's list is asked at renewal too; leaving it ends nothing for good.
#[tokio::test]
async fn a_renewal_asks_the_apps_list() {
    let apps = |allow: &str| {
        format!("[[app]]\nid = 'api'\nmethod = 'jwt'\n{allow}\n[[app]]\nid = 'web'\nmethod = 'session'\n{allow}")
    };
    let lab = Lab::with("", &apps("")).await;
    let (api, web) = (lab.login("ada", "api").await, lab.login("ada", "web").await);
    let lab = lab.restart("", &apps("allow = ['eve@example.org']")).await;
    assert_eq!(lab.refresh(api.refresh_token()).await.refusal(), (403, "not_admitted".into()));
    assert_eq!(lab.verify(web.credential()).await.refusal(), (403, "not_admitted".into()));
    let lab = lab.restart("", &apps("allow = ['@example.org']")).await;
    assert_eq!(lab.refresh(api.refresh_token()).await.status, 200);
    assert_eq!(lab.verify(web.credential()).await.status, 200);
}

async fn generation(lab: &Lab, who: &SignedIn) -> u32 {
    let id = SessionId::parse(&who.session).unwrap();
    lab.engine.stores().sessions.read(id).await.unwrap().expect("a record").generation.0
}

#[tokio::test]
async fn a_refresh_token_survives_a_restart() {
    let lab = Lab::start().await;
    let held = [lab.login("ada", "api").await, lab.login("ada", "stateless").await];
    let lab = lab.restart_ready("").await;
    for ada in held {
        assert_eq!(lab.refresh(ada.refresh_token()).await.status, 200);
    }
}
