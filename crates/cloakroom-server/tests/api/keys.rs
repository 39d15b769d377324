//! Keys: a rotation that nobody notices, and a kill that everybody does.

use cloakroom_core::{engine::Client, key::Purpose, token::Algorithm};
use serde_json::Value;

use crate::lab::{APPS, BY_TICKET, BY_TOKEN, Lab, SignedIn};

const SIGNING: Purpose = Purpose::Sign(Algorithm::EdDsa);

async fn kids(lab: &Lab) -> Vec<String> {
    let set = lab.get("/.well-known/jwks.json").await.json();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid_of(token: &str) -> String {
    let header = data_encoding::BASE64URL_NOPAD.decode(token.split('.').next().unwrap().as_bytes()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

/// F045: the next key is published for longer than any cache may keep the set before it is used, and the last one stays
/// until its last token has ended; F041: what the new one signs is accepted at once.
#[tokio::test]
async fn a_rotation_leaves_no_gap() {
    let lab = Lab::start().await;
    let before = lab.login("ada", "api").await;
    let old = kid_of(before.credential());
    let new = lab.engine.rotate_key(SIGNING).await.unwrap().unwrap().to_string();
    assert_eq!(kids(&lab).await.len(), 2, "published at once");
    lab.advance(899);
    let meanwhile = lab.login("ada", "api").await;
    assert_eq!(kid_of(meanwhile.credential()), old, "not used yet: the set may be kept for 300 s");
    lab.advance(1);
    let after = lab.login("ada", "api").await;
    assert_eq!(kid_of(after.credential()), new);
    for token in [&meanwhile, &after] {
        assert_eq!(lab.verify(token.credential()).await.status, 200);
    }
    assert!(kids(&lab).await.contains(&old), "its last token is alive");
    lab.advance(290);
    assert_eq!(
        lab.verify(meanwhile.credential()).await.status == 200,
        meanwhile.body["expires_in"].as_u64() > Some(286)
    );
    lab.advance(16);
    assert_eq!(kids(&lab).await, [new], "its last token has ended");
}

/// Rotations by themselves, for longer than any session lives, sign nobody out.
#[tokio::test]
async fn rotations_sign_nobody_out() {
    let lab = Lab::with_settings("keys.rotation = '7d'").await;
    let mut held: Vec<SignedIn> = vec![];
    for app in APPS {
        held.push(lab.login("ada", app).await);
    }
    let mut refresh: Vec<String> = BY_TOKEN.map(|app| at(&held, app).refresh_token().to_owned()).into();
    for day in 1..=29 {
        lab.advance(86_400);
        lab.engine.tend_keys().await;
        for app in BY_TICKET {
            assert_eq!(lab.verify(at(&held, app).credential()).await.status, 200, "{app} day {day}");
        }
        for token in &mut refresh {
            let body = lab.refresh(token).await.json();
            assert_eq!(lab.verify(body["access_token"].as_str().unwrap()).await.status, 200, "day {day}");
            *token = body["refresh_token"].as_str().unwrap().to_owned();
        }
    }
    assert!(kids(&lab).await.len() <= 2);
}

/// F042: a killed key's tokens are refused at once, and its sessions go on under the next one.
#[tokio::test]
async fn a_killed_signing_key_signs_nothing_that_is_accepted() {
    let lab = Lab::start().await;
    let mut held = vec![];
    for app in BY_TOKEN {
        held.push(lab.login("ada", app).await);
        assert_eq!(lab.verify(held.last().unwrap().credential()).await.status, 200);
    }
    let stolen = lab.engine.keys().into_iter().find(|key| key.purpose == SIGNING).unwrap().kid;
    lab.engine.kill_key(stolen, &Client::default()).await.unwrap();
    assert!(!kids(&lab).await.contains(&stolen.to_string()));
    for ada in &held {
        assert_eq!(lab.verify(ada.credential()).await.status, 401);
        let anew = lab.refresh(ada.refresh_token()).await.json();
        assert_eq!(lab.verify(anew["access_token"].as_str().unwrap()).await.status, 200);
    }
    assert_eq!(lab.verify(lab.login("ada", "api").await.credential()).await.status, 200);
    let lab = lab.restart_ready("").await;
    assert!(!kids(&lab).await.contains(&stolen.to_string()));
    for ada in &held {
        assert_eq!(lab.verify(ada.credential()).await.status, 401);
    }
}

/// F042: a killed MAC key ends every ticket and refresh token that it made, for good; new logins live.
#[tokio::test]
async fn a_killed_mac_key_ends_what_it_made() {
    let lab = Lab::start().await;
    let mut held = vec![];
    for app in APPS {
        held.push(lab.login("ada", app).await);
        assert_eq!(lab.verify(held.last().unwrap().credential()).await.status, 200);
    }
    let stolen = lab.engine.keys().into_iter().find(|key| key.purpose == Purpose::Mac).unwrap().kid;
    lab.engine.kill_key(stolen, &Client::default()).await.unwrap();
    for ada in &held {
        if let Some(token) = ada.body["refresh_token"].as_str() {
            assert_eq!(lab.refresh(token).await.status, 401);
        } else {
            assert_eq!(lab.verify(ada.credential()).await.status, 401);
        }
    }
    for app in APPS {
        assert_eq!(lab.verify(lab.login("ada", app).await.credential()).await.status, 200, "{app}");
    }
}

fn at<'s>(held: &'s [SignedIn], app: &str) -> &'s SignedIn {
    held.iter().find(|ada| ada.body["session"]["app"] == app).unwrap()
}
