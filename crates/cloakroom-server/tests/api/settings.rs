//! Other settings on the same data: another method signs nobody out, a stricter one reaches sessions that exist.

use cloakroom_core::account::AccountState;
use serde_json::json;

use crate::lab::{APPS, Lab, PASSWORD, SignedIn, config, email};

const METHODS: [&str; 4] = ["session", "jwt", "phantom", "jwt-stateless"];

fn one(method: &str, more: &str) -> String {
    format!("[[app]]\nid = 'web'\nmethod = '{method}'\n{more}")
}

/// F071: changing an app's method, in every direction, signs nobody out: running sessions go on by the old one, and new
/// logins are of the new one.
#[tokio::test]
async fn another_method_signs_nobody_out() {
    for from in METHODS {
        for to in METHODS.iter().filter(|to| **to != from) {
            let lab = Lab::with("", &one(from, "")).await;
            let old = lab.login("ada", "web").await;
            let lab = lab.restart("", &one(to, "")).await;
            let answer = lab.verify(old.credential()).await;
            assert_eq!(answer.status, 200, "{from} to {to}: {}", answer.text());
            assert_eq!(answer.json()["method"], from);
            if let Some(token) = old.body["refresh_token"].as_str() {
                lab.advance(60);
                let renewed = lab.refresh(token).await;
                assert_eq!(
                    (renewed.status, &renewed.json()["session"]["method"]),
                    (200, &json!(from)),
                    "{from} to {to}"
                );
                let access = renewed.json()["access_token"].as_str().unwrap().to_owned();
                assert_eq!(lab.verify(&access).await.status, 200);
            }
            let new = lab.login("ada", "web").await;
            assert_eq!(new.body["session"]["method"], **to);
            assert_eq!(lab.verify(new.credential()).await.status, 200);
            if from != "jwt-stateless" {
                let list = lab.get("/v1/sessions").bearer(old.credential()).await.json();
                assert!(list["sessions"].as_array().unwrap().iter().any(|s| s["id"] == json!(old.session)));
            }
            assert_eq!(lab.post("/v1/logout").bearer(old.credential()).await.status, 204);
            assert_eq!(lab.verify(old.credential()).await.refusal(), (401, "session_revoked".into()), "{from} to {to}");
            assert_eq!(lab.verify(new.credential()).await.status, 200);
        }
    }
}

/// F137: a shorter absolute or idle time-out holds for sessions that exist, at their next use.
#[tokio::test]
async fn a_shorter_lifetime_reaches_sessions_that_exist() {
    for method in METHODS {
        for (setting, applies) in
            [("absolute_timeout = '1h'\nidle_timeout = '1h'", true), ("idle_timeout = '1h'", method != "jwt-stateless")]
        {
            let lab = Lab::with("", &one(method, "")).await;
            let ada = lab.login("ada", "web").await;
            lab.advance(3600);
            let lab = lab.restart("", &one(method, setting)).await;
            let answer = match ada.body["refresh_token"].as_str() {
                Some(token) => lab.refresh(token).await,
                None => lab.verify(ada.credential()).await,
            };
            if applies {
                assert_eq!(answer.refusal(), (401, "session_expired".into()), "{method} {setting}");
            } else {
                assert_eq!(answer.status, 200, "without a record nothing knows of its use");
            }
        }
    }
}

/// F137: a longer lifetime does not lengthen a session that exists.
#[tokio::test]
async fn a_longer_lifetime_does_not_lengthen_a_session() {
    let lab = Lab::with("", &one("session", "absolute_timeout = '1h'")).await;
    let ada = lab.login("ada", "web").await;
    let lab = lab.restart("", &one("session", "absolute_timeout = '30d'")).await;
    lab.advance(3600);
    assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_expired".into()));
}

/// F137: an access token that lives longer than its app now allows is refused; its session renews.
#[tokio::test]
async fn a_shorter_access_token_lifetime_reaches_tokens_that_exist() {
    let lab = Lab::with("", &one("jwt", "access_token_lifetime = '1h'")).await;
    let ada = lab.login("ada", "web").await;
    let lab = lab.restart("", &one("jwt", "access_token_lifetime = '1m'")).await;
    assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "credential_invalid".into()));
    let renewed = lab.refresh(ada.refresh_token()).await.json();
    assert_eq!(lab.verify(renewed["access_token"].as_str().unwrap()).await.status, 200);
}

/// F137: an app that is gone from the configuration takes its sessions along, by each method.
#[tokio::test]
async fn an_app_that_is_gone_takes_its_sessions_along() {
    let lab = Lab::start().await;
    let mut held: Vec<SignedIn> = vec![];
    for app in APPS {
        held.push(lab.login("ada", app).await);
    }
    let lab = lab.restart("", "[[app]]\nid = 'other'\nmethod = 'jwt'").await;
    for ada in &held {
        assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_revoked".into()));
        if let Some(token) = ada.body["refresh_token"].as_str() {
            assert_eq!(lab.refresh(token).await.refusal(), (401, "session_revoked".into()));
        }
        let cookie = format!("cloakroom-other={}", ada.credential());
        assert_eq!(lab.get("/v1/verify").cookie(&cookie).await.status, 401);
    }
    let answer = lab.try_login("ada", PASSWORD, "other").await;
    let list = lab.get("/v1/sessions").bearer(answer.json()["access_token"].as_str().unwrap()).await.json();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
}

/// F137: who was disabled while the server was down is out when it comes back.
#[tokio::test]
async fn what_an_operator_did_holds_after_a_restart() {
    let lab = Lab::start().await;
    let mut held = vec![];
    for app in APPS {
        held.push(lab.login("ada", app).await);
    }
    let id = lab.engine.find_account(&email("ada")).await.unwrap().id;
    let client = cloakroom_core::engine::Client::default();
    lab.engine.set_state(id, AccountState::Disabled, &client).await.unwrap();
    let lab = lab.restart_ready("").await;
    for ada in &held {
        assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_revoked".into()));
    }
}

/// F136: nothing can be set to live without end, or to no life at all.
#[test]
fn no_lifetime_is_unlimited_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for key in ["idle_timeout", "absolute_timeout", "access_token_lifetime", "refresh_grace", "max_revocation_lag"] {
        for value in
            ["'0s'", "0", "-1", "'-1s'", "'never'", "'unlimited'", "'99999999999999999999d'", "'1000d'", "''", "'5'"]
        {
            let refused = config(dir.path(), "", &one("jwt", &format!("{key} = {value}"))).unwrap_err();
            assert!(refused.contains(key), "{key} = {value}: {refused}");
        }
    }
}

/// F138: a misspelt setting stops the start, and a second server is kept out of a data directory.
#[tokio::test]
async fn a_misspelt_setting_stops_the_start_and_so_does_a_second_server() {
    let dir = tempfile::tempdir().unwrap();
    for top in ["stroe.sessions = 'memory'", "store.session = 'memory'", "listn = '127.0.0.1:0'", "password.pases = 5"]
    {
        assert!(config(dir.path(), top, &one("session", "")).is_err(), "{top}");
    }
    let lab = Lab::start().await;
    let second = config(lab.data_dir(), "", &one("session", "")).unwrap();
    let refused = cloakroom_server::Server::bind(second).await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("another"), "{refused}");
}

/// F138: a store that was made under another master secret is not opened with a new one.
#[tokio::test]
async fn a_store_of_another_secret_is_not_opened() {
    let mut lab = Lab::start().await;
    lab.login("ada", "web").await;
    lab.stop().await;
    let file = lab.data_dir().join("master.secret");
    std::fs::remove_file(&file).unwrap();
    let other = config(lab.data_dir(), "", &one("session", "")).unwrap();
    let engine = std::sync::Arc::downgrade(&lab.engine);
    let (dir, refused) = lab.give_up_dir(|| cloakroom_server::Server::bind(other)).await;
    assert!(engine.upgrade().is_none(), "the first server is gone");
    let refused = refused.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("secret"), "{refused}");
    drop(dir);
}
