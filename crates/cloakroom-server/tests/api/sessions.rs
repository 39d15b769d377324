//! My devices: list them, end one; and nobody else's.

use serde_json::{Value, json};

use crate::lab::{BY_TICKET, Lab, SignedIn};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

#[tokio::test]
async fn the_list_has_every_field_of_the_contract() {
    let lab = Lab::start().await;
    let api = lab.login("ada", "api").await;
    lab.advance(10);
    let ask = lab.login_request("ada", crate::lab::PASSWORD, "web").header("user-agent", FIREFOX);
    let web = SignedIn::read(&ask.await);
    lab.advance(20);
    let answer = lab.get("/v1/sessions").bearer(web.credential()).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    let [first, second] = &body["sessions"].as_array().unwrap()[..] else { panic!("two: {body}") };
    let expected = json!({
        "id": web.session, "app": "web", "method": "session", "created_at": "2027-01-15T08:00:10Z",
        "last_active_at": "2027-01-15T08:00:10Z", "expires_at": "2027-02-14T08:00:10Z",
        "client": "Firefox on Linux", "address": "127.0.0.1", "current": true,
    });
    assert_eq!(first, &expected, "newest first");
    assert_eq!((&second["id"], &second["method"]), (&json!(api.session), &json!("jwt")));
    assert_eq!(second["current"], false);
}

#[tokio::test]
async fn a_method_without_a_record_has_no_device() {
    let lab = Lab::start().await;
    lab.login("ada", "web").await;
    let ada = lab.login("ada", "stateless").await;
    let body = lab.get("/v1/sessions").bearer(ada.credential()).await.json();
    assert_eq!(apps(&body), ["web"]);
    assert_eq!(body["sessions"][0]["current"], false);
}

#[tokio::test]
async fn only_living_sessions_of_the_own_account_are_listed() {
    let lab = Lab::start().await;
    lab.login("eve", "web").await;
    let ended = lab.login("ada", "api").await;
    let rests = lab.login("ada", "edge").await;
    lab.post("/v1/logout").bearer(ended.credential()).await;
    lab.advance(7 * 86_400);
    let ada = lab.login("ada", "web").await;
    let body = lab.get("/v1/sessions").bearer(ada.credential()).await.json();
    assert_eq!(apps(&body), ["web"], "{} rested too long", rests.session);
}

#[tokio::test]
async fn use_shows_in_the_list() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    lab.advance(7200);
    assert_eq!(lab.verify(ada.credential()).await.status, 200);
    lab.engine.flush().await.unwrap();
    let body = lab.get("/v1/sessions").bearer(ada.credential()).await.json();
    assert_eq!(body["sessions"][0]["last_active_at"], "2027-01-15T10:00:00Z");
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    let id = cloakroom_core::ids::SessionId::parse(&ada.session).unwrap();
    let record = lab.engine.stores().sessions.read(id).await.unwrap().unwrap();
    for n in 0..149_u64 {
        let mut record = record.clone();
        record.created = record.created + std::time::Duration::from_millis(n / 3);
        let id =
            cloakroom_core::ids::SessionId::parse(&data_encoding::BASE64URL_NOPAD.encode(&[n as u8 + 1; 16])).unwrap();
        let _ = lab.engine.stores().sessions.write(id, cloakroom_core::session::Write::Create(record)).await.unwrap();
    }
    let mut seen = std::collections::HashSet::new();
    let mut path = "/v1/sessions".to_owned();
    for page in 0..2 {
        let body = lab.get(&path).bearer(ada.credential()).await.json();
        for session in body["sessions"].as_array().unwrap() {
            assert!(seen.insert(session["id"].as_str().unwrap().to_owned()), "twice on page {page}");
        }
        path = format!("/v1/sessions?before={}", body["next"].as_str().unwrap_or("none"));
    }
    assert_eq!(seen.len(), 150);
    for bad in ["none", "1.2", "-1.x", "99999999999999999999.AAAA"] {
        let answer = lab.get(&format!("/v1/sessions?before={bad}")).bearer(ada.credential()).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{bad}");
    }
}

/// F011: with two own sessions exactly the named one ends; another account's id is 404 and changes nothing.
#[tokio::test]
async fn exactly_the_named_session_ends() {
    let lab = Lab::start().await;
    for app in ["web", "api", "edge"] {
        let (here, there, eve) =
            (lab.login("ada", app).await, lab.login("ada", app).await, lab.login("eve", app).await);
        let end = |id: &str| lab.delete(&format!("/v1/sessions/{id}")).bearer(here.credential());
        assert_eq!(end(&eve.session).await.refusal(), (404, "not_found".into()));
        assert_eq!(lab.verify(eve.credential()).await.status, 200);
        let answer = end(&there.session).await;
        assert_eq!((answer.status, answer.cookies().len()), (204, 0));
        assert_eq!(lab.verify(there.credential()).await.refusal(), (401, "session_revoked".into()));
        assert_eq!(lab.verify(here.credential()).await.status, 200);
        assert_eq!(end(&there.session).await.refusal(), (404, "not_found".into()), "it is gone");
        assert_eq!(end(&here.session).await.status, 204, "one's own");
        assert_eq!(lab.verify(here.credential()).await.refusal(), (401, "session_revoked".into()));
    }
}

#[tokio::test]
async fn a_session_without_a_record_ends_itself_by_its_id() {
    let lab = Lab::start().await;
    let (ada, eve) = (lab.login("ada", "stateless").await, lab.login("eve", "stateless").await);
    let end = |id: &str| lab.delete(&format!("/v1/sessions/{id}")).bearer(ada.credential());
    assert_eq!(end(&eve.session).await.refusal(), (404, "not_found".into()));
    assert_eq!(lab.verify(eve.credential()).await.status, 200);
    assert_eq!(end(&ada.session).await.status, 204);
    assert_eq!(lab.verify(ada.credential()).await.refusal(), (401, "session_revoked".into()));
    lab.advance(29 * 86_400);
    assert_eq!(lab.refresh(ada.refresh_token()).await.refusal(), (401, "session_revoked".into()));
}

/// F010, F135: what is no id is 404, with nothing of it in the answer.
#[tokio::test]
async fn what_is_no_id_is_not_found() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    for bad in ["x", "A", "AAAAAAAAAAAAAAAAAAAAAA", "%ff%fe", "%00", "a%0d%0aset-cookie:x=y", "..%2f..", "%20", "'"] {
        let answer = lab.delete(&format!("/v1/sessions/{bad}")).bearer(ada.credential()).await;
        assert_eq!(answer.refusal(), (404, "not_found".into()), "{bad}");
        assert!(answer.cookies().is_empty() && answer.header("content-type") == Some("application/problem+json"));
    }
    let without = lab.delete(&format!("/v1/sessions/{}", ada.session)).await;
    assert_eq!(without.refusal(), (401, "credential_missing".into()));
    assert_eq!(lab.delete("/v1/sessions/%ff").await.refusal(), (401, "credential_missing".into()));
    assert_eq!(lab.verify(ada.credential()).await.status, 200);
}

#[tokio::test]
async fn ending_oneself_by_cookie_clears_the_cookie_and_another_does_not() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    for app in BY_TICKET {
        let browser = lab.browser();
        let here = browser.login("ada", app).await;
        let there = lab.login("ada", app).await;
        let end = |id: &str| browser.ask("DELETE", &format!("/v1/sessions/{id}"));
        assert_eq!(browser.send(end(&there.session)).await.status, 204);
        assert!(browser.cookie(app).is_some());
        assert_eq!(browser.send(end(&here.session)).await.status, 204);
        assert_eq!(browser.cookie(app), None);
    }
}

fn apps(body: &Value) -> Vec<&str> {
    body["sessions"].as_array().unwrap().iter().map(|session| session["app"].as_str().unwrap()).collect()
}
