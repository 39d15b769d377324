//! Accounts: register, who am I, change the password, delete me.

use serde_json::{Value, json};

use crate::lab::{APPS, BY_TICKET, Lab, PASSWORD, SignedIn, email};

const NEW_PASSWORD: &str = "seven unlikely otters juggle";

#[tokio::test]
async fn registering_answers_the_account_and_does_not_sign_in() {
    let lab = Lab::start().await;
    let body = json!({"email": "Ada@Example.org", "password": PASSWORD, "name": "Ada Lovelace"});
    let answer = lab.post("/v1/accounts").json(body).await;
    assert_eq!(answer.status, 201);
    assert!(answer.cookies().is_empty());
    let account = &answer.json()["account"];
    assert_eq!(account["email"], "Ada@Example.org", "as it was typed");
    assert_eq!(account["name"], "Ada Lovelace");
    assert_eq!(account["created_at"], "2027-01-15T08:00:00Z");
    let id: uuid::Uuid = account["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
}

#[tokio::test]
async fn whoever_is_signed_in_learns_who_they_are() {
    let lab = Lab::start().await;
    for app in APPS {
        let ada = lab.login("ada", app).await;
        let answer = lab.get("/v1/account").bearer(ada.credential()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["account"]["id"], json!(ada.account));
        assert_eq!(answer.json()["account"]["email"], "ada@example.org");
    }
    assert_eq!(lab.get("/v1/account").await.refusal(), (401, "credential_missing".into()));
}

#[tokio::test]
async fn a_registration_that_is_not_as_it_must_be_is_refused() {
    let lab = Lab::start().await;
    for (body, what) in [
        (json!({"email": "ada", "password": PASSWORD}), "no address"),
        (json!({"email": "ada@example.org\r\nbcc: x@y.example", "password": PASSWORD}), "a line break"),
        (json!({"email": "ada@example.org, eve@example.org", "password": PASSWORD}), "two addresses"),
        (json!({"email": "ada@example.org", "password": "short"}), "a short password"),
        (json!({"email": "ada@example.org", "password": ""}), "no password"),
        (json!({"email": "ada@example.org", "password": "password1234"}), "a weak password"),
        (json!({"email": "ada@example.org", "password": "x".repeat(1025)}), "a long password"),
        (
            json!({"email": "ada@example.org", "password": PASSWORD, "name": "Ada\r\nX-Evil: 1"}),
            "a name with a line break",
        ),
        (json!({"email": "ada@example.org", "password": PASSWORD, "name": "a".repeat(101)}), "a long name"),
        (json!({"email": "ada@example.org"}), "a missing field"),
        (json!({"email": 1, "password": PASSWORD}), "another type"),
        (json!([]), "no object"),
    ] {
        let answer = lab.post("/v1/accounts").json(body).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{what}");
    }
    assert_eq!(lab.audit().await.iter().filter(|line| line.kind.as_str() == "registered").count(), 0);
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused() {
    let lab = Lab::start().await;
    assert_eq!(lab.register("ada").await.status, 201);
    assert_eq!(lab.register("ada").await.refusal(), (409, "email_taken".into()));
    assert_eq!(lab.register("ADA").await.refusal(), (409, "email_taken".into()));
}

#[tokio::test]
async fn an_unknown_app_is_named_as_such() {
    let lab = Lab::start().await;
    let body = json!({"email": email("ada"), "password": PASSWORD, "app": "shop"});
    assert_eq!(lab.post("/v1/accounts").json(body).await.refusal(), (400, "unknown_app".into()));
}

#[tokio::test]
async fn where_registration_is_closed_only_the_operator_adds_accounts() {
    let lab = Lab::with("", "[[app]]\nid = 'web'\nmethod = 'session'\nregistration = 'closed'").await;
    assert_eq!(lab.register("ada").await.refusal(), (403, "not_admitted".into()));
}

#[tokio::test]
async fn an_app_admits_whom_its_list_names() {
    let apps = "[[app]]\nid = 'web'\nmethod = 'session'\n\
                [[app]]\nid = 'staff'\nmethod = 'jwt'\nallow = ['@staff.example', 'ada@example.org']";
    let lab = Lab::with("", apps).await;
    let stranger = json!({"email": email("eve"), "password": PASSWORD, "app": "staff"});
    assert_eq!(lab.post("/v1/accounts").json(stranger).await.refusal(), (403, "not_admitted".into()));
    lab.login("eve", "web").await;
    assert_eq!(lab.try_login("eve", PASSWORD, "staff").await.refusal(), (403, "not_admitted".into()));
    lab.login("ada", "staff").await;
}

/// F079: look-alikes of one address reach one account or none, never another's.
#[tokio::test]
async fn look_alikes_of_an_address_never_reach_another_account() {
    let lab = Lab::start().await;
    let ask = |address: &str, path: &str| lab.post(path).json(json!({"email": address, "password": PASSWORD}));
    let kelvin = ask("kate@example.org", "/v1/accounts").await.json()["account"]["id"].clone();
    for (address, alike) in [
        ("KATE@EXAMPLE.ORG", true),
        ("kate@EXAMPLE.org", true),
        ("\u{212A}ate@example.org", true),
        ("kat\u{0435}@example.org", false),
        ("kate@exampl\u{0435}.org", false),
        ("k\u{0131}te@example.org", false),
    ] {
        let answer = ask(address, "/v1/login").await;
        if answer.status == 200 {
            assert!(alike, "{address} signed in");
            assert_eq!(answer.json()["account"]["id"], kelvin);
        } else {
            assert_eq!(answer.refusal(), (401, "invalid_credentials".into()), "{address}");
        }
    }
    // The dotless i is not the i of another address.
    assert_eq!(ask("mike@example.org", "/v1/accounts").await.status, 201);
    assert_eq!(ask("m\u{0131}ke@example.org", "/v1/login").await.status, 401);
}

/// F064, R6: a changed password ends every session, by every method, and answers with a fresh one.
#[tokio::test]
async fn a_changed_password_ends_all_other_sessions() {
    for app in APPS {
        let lab = Lab::start().await;
        let here = lab.login("ada", app).await;
        let mut others = vec![];
        for other in APPS {
            others.push(lab.login("ada", other).await);
        }
        let answer = change(&lab, &here, PASSWORD, NEW_PASSWORD).await;
        for other in &others {
            assert_eq!(lab.verify(other.credential()).await.refusal(), (401, "session_revoked".into()), "{app}");
            if let Some(token) = other.body["refresh_token"].as_str() {
                assert_eq!(lab.refresh(token).await.refusal(), (401, "session_revoked".into()), "{app}");
            }
        }
        // R6: a fresh session for every method; nothing that was there before leads to it.
        assert_eq!(answer.status, 200);
        let anew = SignedIn::read(&answer);
        assert_ne!(anew.session, here.session, "{app}");
        assert_eq!(lab.verify(anew.credential()).await.status, 200, "{app}");
        if let Some(token) = here.body["refresh_token"].as_str() {
            assert_eq!(lab.refresh(token).await.refusal(), (401, "session_revoked".into()), "{app}");
        }
        assert_eq!(lab.verify(here.credential()).await.refusal(), (401, "session_revoked".into()), "{app}");
        assert_eq!(lab.try_login("ada", PASSWORD, app).await.refusal(), (401, "invalid_credentials".into()));
        assert_eq!(lab.try_login("ada", NEW_PASSWORD, app).await.status, 200);
    }
}

#[tokio::test]
async fn after_a_changed_password_the_device_list_still_knows_where_this_device_is() {
    let lab = Lab::start().await;
    for app in BY_TICKET {
        let ada = lab.login("ada", app).await;
        let anew = SignedIn::read(&change(&lab, &ada, PASSWORD, NEW_PASSWORD).await);
        lab.audit().await;
        let list = lab.get("/v1/sessions").bearer(anew.credential()).await.json();
        assert_eq!(list["sessions"].as_array().unwrap().len(), 1, "the session before it is gone");
        assert_eq!(list["sessions"][0]["address"], "127.0.0.1");
        change(&lab, &anew, NEW_PASSWORD, PASSWORD).await;
    }
}

#[tokio::test]
async fn a_password_changes_only_with_the_current_one_and_to_a_good_one() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    let before = lab.hashes();
    assert_eq!(change(&lab, &ada, "wrong", NEW_PASSWORD).await.refusal(), (401, "invalid_credentials".into()));
    assert_eq!(lab.hashes(), before + 1);
    assert_eq!(change(&lab, &ada, PASSWORD, "short").await.refusal(), (400, "invalid_request".into()));
    assert_eq!(change(&lab, &ada, PASSWORD, "ada@example.org").await.refusal(), (400, "invalid_request".into()));
    assert_eq!(lab.verify(ada.credential()).await.status, 200, "nothing ended");
}

/// F065: what was a deleted account's stays refused after the same address registers anew, under another id.
#[tokio::test]
async fn an_account_deletes_itself_and_nothing_of_it_comes_back() {
    for app in APPS {
        let lab = Lab::start().await;
        let ada = lab.login("ada", app).await;
        let wrong = lab.delete("/v1/account").bearer(ada.credential()).json(json!({"password": "wrong"})).await;
        assert_eq!(wrong.refusal(), (401, "invalid_credentials".into()));
        let gone = lab.delete("/v1/account").bearer(ada.credential()).json(json!({"password": PASSWORD})).await;
        assert_eq!((gone.status, gone.cookies().len()), (204, 0), "no cookie was presented");
        assert_eq!(lab.try_login("ada", PASSWORD, app).await.refusal(), (401, "invalid_credentials".into()));
        assert_eq!(lab.register("ada").await.status, 201);
        let again = lab.login("ada", app).await;
        assert_ne!(again.account, ada.account);
        for later in [0, 301, 90_000] {
            lab.advance(later);
            assert_eq!(lab.verify(ada.credential()).await.status, 401, "{app} after {later} s");
            if let Some(token) = ada.body["refresh_token"].as_str() {
                // A record goes with its account, and a ticket names none: that it ended can no longer be told from expiry.
                assert_eq!(lab.refresh(token).await.status, 401, "{app} after {later} s");
            }
        }
    }
}

#[tokio::test]
async fn deleting_by_cookie_clears_the_cookie() {
    let lab = Lab::start().await;
    let browser = lab.browser();
    lab.register("ada").await;
    browser.login("ada", "web").await;
    let ask = browser.ask("DELETE", "/v1/account").json(json!({"password": PASSWORD}));
    assert_eq!(browser.send(ask).await.status, 204);
    assert_eq!(browser.cookie("web"), None);
}

async fn change(lab: &Lab, who: &SignedIn, current: &str, new: &str) -> crate::lab::Answer {
    let body: Value = json!({"current": current, "new": new});
    lab.post("/v1/password").bearer(who.credential()).json(body).await
}
