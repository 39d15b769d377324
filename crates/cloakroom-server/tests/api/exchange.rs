//! `POST /v1/exchange`: a session of the app's former method for one of its present method, by all twelve pairs.

use cloakroom_core::audit::Kind;
use serde_json::{Value, json};

use crate::{
    lab::{Answer, Ask, Lab, SignedIn},
    verify::claims,
};

const METHODS: [&str; 4] = ["session", "jwt", "phantom", "jwt-stateless"];

fn one(method: &str, more: &str) -> String {
    format!("[[app]]\nid = 'web'\nmethod = '{method}'\n{more}")
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    METHODS.into_iter().flat_map(|from| METHODS.into_iter().filter(move |to| *to != from).map(move |to| (from, to)))
}

/// An app that had one method and has another, and who signed in before.
async fn changed(from: &str, to: &str) -> (Lab, SignedIn) {
    let lab = Lab::with("", &one(from, "")).await;
    let ada = lab.login("ada", "web").await;
    lab.advance(3600);
    let lab = lab.restart("", &one(to, &format!("migrate_from = ['{from}']"))).await;
    (lab, ada)
}

/// The old long-lived credential: a refresh token in the body, a ticket in its cookie.
fn ask(lab: &Lab, old: &SignedIn) -> Ask {
    let post = lab.post("/v1/exchange");
    match (&old.body["refresh_token"], &old.cookie) {
        (Value::String(token), _) => post.json(json!({"app": "web", "refresh_token": token})),
        (_, Some(cookie)) => post.cookie(cookie).header("origin", lab.url.clone()).json(json!({"app": "web"})),
        _ => panic!("no credential"),
    }
}

async fn exchange(lab: &Lab, old: &SignedIn) -> SignedIn {
    let answer = ask(lab, old).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    SignedIn::read(&answer)
}

fn long_lived(signed_in: &SignedIn) -> String {
    signed_in.body["refresh_token"].as_str().map_or_else(|| signed_in.credential().to_owned(), str::to_owned)
}

#[tokio::test]
async fn every_method_is_exchanged_for_every_other_without_a_password() {
    for (from, to) in pairs() {
        let (lab, old) = changed(from, to).await;
        if from != "jwt" && from != "jwt-stateless" {
            assert_eq!(lab.verify(old.credential()).await.status, 200, "{from} to {to}: it goes on until then");
        }
        let hashes = lab.hashes();
        let new = exchange(&lab, &old).await;
        assert_eq!(lab.hashes(), hashes, "no password was asked for");
        assert_eq!(new.body["session"]["method"], to, "{from} to {to}");
        assert_eq!(
            new.body["session"]["expires_at"], old.body["session"]["expires_at"],
            "{from} to {to}: it lives no longer"
        );
        assert_ne!(new.session, old.session);
        let answer = lab.verify(new.credential()).await;
        assert_eq!(answer.status, 200, "{from} to {to}: {}", answer.text());
        let body = answer.json();
        assert_eq!((&body["auth_time"], &body["amr"]), (&json!(crate::lab::START), &json!(["pwd"])), "{from} to {to}");
        assert_eq!(body["account"]["id"], json!(old.account));
        // The old one has ended, whatever of it is shown.
        let old_token = lab.verify(old.credential()).await;
        assert_eq!(old_token.status, 401, "{from} to {to}");
        if let Some(token) = old.body["refresh_token"].as_str() {
            assert_eq!(lab.refresh(token).await.refusal(), (401, "session_revoked".into()), "{from} to {to}");
        } else {
            assert_eq!(old_token.refusal(), (401, "session_revoked".into()), "{from} to {to}");
        }
        // The new one lives as any of its method.
        lab.advance(60);
        if let Some(token) = new.body["refresh_token"].as_str() {
            let renewed = lab.refresh(token).await;
            assert_eq!(renewed.status, 200, "{from} to {to}: {}", renewed.text());
            let access = renewed.json()["access_token"].as_str().unwrap().to_owned();
            assert_eq!(claims(&access)["auth_time"], json!(crate::lab::START));
        } else {
            assert_eq!(lab.verify(new.credential()).await.status, 200);
        }
        let line = lab.audit().await.into_iter().find(|line| line.kind == Kind::Exchanged).expect("a line of it");
        assert_eq!(line.session.unwrap().to_string(), new.session);
        assert_eq!(line.detail, Some(format!("{from} {}", old.session)));
    }
}

/// A lost answer, or two tabs: one old session has one successor.
#[tokio::test]
async fn a_repeat_within_the_grace_period_gets_the_same_successor() {
    for (from, to) in pairs() {
        let (lab, old) = changed(from, to).await;
        let first = exchange(&lab, &old).await;
        for _ in 0..3 {
            lab.advance(9);
            let again = exchange(&lab, &old).await;
            assert_eq!(again.session, first.session, "{from} to {to}");
            assert_eq!(long_lived(&again), long_lived(&first), "{from} to {to}");
            assert_eq!(again.body["session"]["expires_at"], first.body["session"]["expires_at"], "{from} to {to}");
        }
        lab.advance(3);
        assert_eq!(ask(&lab, &old).await.refusal(), (401, "session_revoked".into()), "{from} to {to}");
        assert_eq!(lab.audit().await.iter().filter(|line| line.kind == Kind::Exchanged).count(), 1, "{from} to {to}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tabs_that_exchange_at_once_get_one_successor() {
    for (from, to) in pairs() {
        let (lab, old) = changed(from, to).await;
        let asks: Vec<_> = (0..8)
            .map(|_| {
                let ask = ask(&lab, &old);
                tokio::spawn(async move { ask.await })
            })
            .collect();
        let mut found = std::collections::HashSet::new();
        for ask in asks {
            let answer: Answer = ask.await.unwrap();
            assert_eq!(answer.status, 200, "{from} to {to}: {}", answer.text());
            found.insert(long_lived(&SignedIn::read(&answer)));
        }
        assert_eq!(found.len(), 1, "{from} to {to}");
        assert_eq!(lab.verify(old.credential()).await.status, 401, "{from} to {to}");
    }
}

/// Signing out by what was exchanged, or by what it was exchanged for, ends both.
#[tokio::test]
async fn signing_out_ends_old_and_new() {
    for (from, to) in pairs() {
        for by_old in [true, false] {
            let (lab, old) = changed(from, to).await;
            let new = exchange(&lab, &old).await;
            let presented = long_lived(if by_old { &old } else { &new });
            let out = lab.post("/v1/logout").json(json!({"refresh_token": presented})).await;
            assert_eq!(out.status, 204, "{from} to {to}");
            assert_eq!(lab.verify(new.credential()).await.refusal(), (401, "session_revoked".into()), "{from} to {to}");
            if let Some(token) = new.body["refresh_token"].as_str() {
                assert_eq!(lab.refresh(token).await.refusal(), (401, "session_revoked".into()), "{from} to {to}");
            }
            assert_eq!(ask(&lab, &old).await.refusal(), (401, "session_revoked".into()), "{from} to {to}: no way back");
        }
    }
}

/// R16: the old one's credentials of every kind and age end what took its place, long after the exchange, too.
#[tokio::test]
async fn what_is_left_of_the_old_session_signs_out_the_new_one() {
    for (from, to) in pairs() {
        for later in [0, 600] {
            let (lab, old) = changed(from, to).await;
            let new = exchange(&lab, &old).await;
            lab.advance(later);
            lab.engine.sweep().await.unwrap();
            let out = match old.body["access_token"].as_str() {
                Some(token) => lab.post("/v1/logout").bearer(token),
                None => lab.post("/v1/logout").json(json!({"refresh_token": old.credential()})),
            };
            assert_eq!(out.await.status, 204, "{from} to {to}");
            assert_eq!(lab.verify(new.credential()).await.status, 401, "{from} to {to} after {later} s");
            if let Some(token) = new.body["refresh_token"].as_str() {
                let refusal = lab.refresh(token).await.refusal();
                assert_eq!(refusal, (401, "session_revoked".into()), "{from} to {to} after {later} s");
            }
        }
    }
}

/// A successor without a record shows up nowhere as a device, and leaves nothing behind.
#[tokio::test]
async fn an_exchange_for_a_stateless_session_keeps_no_record() {
    let (lab, old) = changed("session", "jwt-stateless").await;
    exchange(&lab, &old).await;
    assert_eq!(lab.engine.stores().sessions.count().await.unwrap(), []);
}

/// F060 for an exchange: what ended before, or everything at once, leaves nothing behind.
#[tokio::test]
async fn what_has_ended_is_not_exchanged() {
    for (from, to) in pairs() {
        let (lab, old) = changed(from, to).await;
        lab.post("/v1/logout").json(json!({"refresh_token": long_lived(&old)})).await;
        assert_eq!(ask(&lab, &old).await.refusal(), (401, "session_revoked".into()), "{from} to {to}");
        let other = lab.login("ada", "web").await;
        assert_eq!(
            lab.post("/v1/logout").bearer(other.credential()).json(json!({"everywhere": true})).await.status,
            204
        );
        assert_eq!(ask(&lab, &old).await.status, 401, "{from} to {to}");

        let (lab, old) = changed(from, to).await;
        let new = exchange(&lab, &old).await;
        let other = lab.login("ada", "web").await;
        assert_eq!(
            lab.post("/v1/logout").bearer(other.credential()).json(json!({"everywhere": true})).await.status,
            204
        );
        assert_eq!(lab.verify(new.credential()).await.status, 401, "{from} to {to}");
        assert_eq!(ask(&lab, &old).await.status, 401, "{from} to {to}: not by a repeat either");
    }
}

#[tokio::test]
async fn it_exists_only_where_the_configuration_names_the_old_method() {
    for (from, to) in pairs() {
        let lab = Lab::with("", &one(from, "")).await;
        let ada = lab.login("ada", "web").await;
        let lab = lab.restart("", &one(to, "")).await;
        assert_eq!(ask(&lab, &ada).await.refusal(), (404, "not_found".into()), "{from} to {to}");
        let other = METHODS.into_iter().find(|method| ![from, to].contains(method)).unwrap();
        let lab = lab.restart("", &one(to, &format!("migrate_from = ['{other}']"))).await;
        assert_eq!(ask(&lab, &ada).await.refusal(), (401, "credential_invalid".into()), "{from} to {to}");
        let lab = lab.restart("", &one(to, &format!("migrate_from = ['{other}', '{from}']"))).await;
        exchange(&lab, &ada).await;
    }
}

/// A tab that asks once more, with what another one has got already.
#[tokio::test]
async fn a_session_of_the_present_method_stays_as_it_is() {
    for (from, to) in pairs() {
        let (lab, old) = changed(from, to).await;
        let new = exchange(&lab, &old).await;
        let again = exchange(&lab, &new).await;
        assert_eq!(
            (again.session, &again.body["session"]["expires_at"]),
            (new.session.clone(), &new.body["session"]["expires_at"])
        );
        assert_eq!(lab.verify(again.body["access_token"].as_str().unwrap_or(new.credential())).await.status, 200);
    }
}

/// The cookie carries the successor's ticket, its refresh token where that is asked for, and nothing that has ended.
#[tokio::test]
async fn the_cookie_is_replaced_or_cleared() {
    for (from, to, transport) in [
        ("session", "phantom", "body"),
        ("session", "jwt", "cookie"),
        ("phantom", "jwt-stateless", "cookie"),
        ("session", "jwt", "body"),
    ] {
        let (lab, old) = changed(from, to).await;
        let cookie = old.cookie.clone().unwrap();
        let post = || lab.post("/v1/exchange").cookie(&cookie).json(json!({"app": "web", "transport": transport}));
        assert_eq!(post().await.refusal(), (403, "cross_site_request".into()), "F020: like every unsafe request");
        let foreign = post().header("origin", "https://evil.example").await;
        assert_eq!(foreign.refusal(), (403, "cross_site_request".into()));
        let answer = post().header("origin", lab.url.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let set = &answer.cookies()[0];
        let body = answer.json();
        assert_eq!(set.pair() == "cloakroom-web=", to == "jwt" && transport == "body", "{from} to {to}");
        assert_eq!(body["refresh_token"].is_string(), transport == "body" && to == "jwt", "{from} to {to}");
    }
}

/// Theft is found out here as at renewal: an old generation ends the session instead of exchanging it.
#[tokio::test]
async fn a_spent_refresh_token_is_theft_here_too() {
    let (lab, old) = changed("jwt", "session").await;
    let newer = lab.refresh(old.refresh_token()).await.json()["refresh_token"].as_str().unwrap().to_owned();
    lab.advance(60);
    assert_eq!(ask(&lab, &old).await.refusal(), (401, "token_reused".into()));
    let post = lab.post("/v1/exchange").json(json!({"refresh_token": newer}));
    assert_eq!(post.await.refusal(), (401, "session_revoked".into()));
}

#[tokio::test]
async fn only_long_lived_credentials_of_the_app_are_exchanged() {
    let apps = "[[app]]\nid = 'web'\nmethod = 'session'\nmigrate_from = ['jwt']\n[[app]]\nid = 'api'\nmethod = 'jwt'\n";
    let lab = Lab::with("", apps).await;
    let api = lab.login("ada", "api").await;
    let refused = async |body: Value| lab.post("/v1/exchange").json(body).await.refusal();
    assert_eq!(refused(json!({"refresh_token": api.refresh_token()})).await, (401, "wrong_app".into()));
    assert_eq!(refused(json!({"refresh_token": api.credential()})).await, (401, "credential_invalid".into()));
    assert_eq!(refused(json!({"refresh_token": "garbage"})).await, (401, "credential_invalid".into()));
    assert_eq!(refused(json!({})).await, (401, "credential_missing".into()));
    assert_eq!(refused(json!({"app": "none"})).await, (400, "unknown_app".into()));
    assert_eq!(lab.post("/v1/exchange").bearer(api.credential()).json(json!({})).await.status, 401);
}
