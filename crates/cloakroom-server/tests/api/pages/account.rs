//! Changing the password, deleting the account.

use crate::lab::{APPS, Lab, PASSWORD, email};

use super::{location, post, somebody};

const NEW: &str = "an unheard-of new passphrase";

#[tokio::test]
async fn a_new_password_ends_all_other_sessions_and_keeps_this_one() {
    let lab = Lab::start().await;
    for app in APPS {
        let ada = format!("ada{app}");
        let browser = somebody(&lab, &ada, app).await;
        let other = lab.login(&ada, "web").await;
        let before = browser.cookie(app).unwrap();
        assert_eq!(browser.get(&format!("/password?app={app}")).await.status, 200);
        let answer = post(&browser, "/password", &[("app", app), ("current", PASSWORD), ("new", NEW)]).await;
        assert_eq!((answer.status, location(&answer)), (303, &*format!("/devices?app={app}&done=password-changed")));
        let page = browser.get(location(&answer)).await;
        assert_eq!(page.status, 200, "{app} {:?}", page.headers);
        assert_eq!(lab.verify(other.credential()).await.status, 401);
        // F064, R6: a new session, to which nothing that was there before leads.
        assert_ne!(browser.cookie(app).unwrap(), before, "{app}");
        assert_eq!(lab.try_login(&ada, PASSWORD, "web").await.status, 401);
        assert_eq!(lab.try_login(&ada, NEW, "web").await.status, 200);
    }
}

#[tokio::test]
async fn a_refused_new_password_shows_the_form_again() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    for (current, new, status, says) in [
        ("quite another one", NEW, 401, "That password is not right."),
        ("", NEW, 401, "That password is not right."),
        (PASSWORD, "short", 400, "too short"),
        (PASSWORD, "password1234", 400, "too easy to guess"),
    ] {
        let answer = post(&browser, "/password", &[("app", "web"), ("current", current), ("new", new)]).await;
        let html = answer.text();
        assert_eq!(answer.status, status, "{says}");
        assert!(html.contains(says) && html.contains("action=\"/password\""), "{says}");
        assert!(current.is_empty() || !html.contains(current));
    }
    assert_eq!(lab.try_login("ada", PASSWORD, "web").await.status, 200);
}

#[tokio::test]
async fn an_account_is_deleted_by_its_password_only() {
    let lab = Lab::start().await;
    for app in APPS {
        let ada = format!("ada{app}");
        let browser = somebody(&lab, &ada, app).await;
        let other = lab.login(&ada, "web").await;
        assert_eq!(browser.get(&format!("/account/delete?app={app}")).await.status, 200);
        let answer = post(&browser, "/account/delete", &[("app", app), ("password", "quite another one")]).await;
        assert_eq!(answer.status, 401);
        assert!(answer.text().contains("That password is not right."));
        let answer = post(&browser, "/account/delete", &[("app", app), ("password", PASSWORD)]).await;
        assert_eq!(location(&answer), format!("/signin?app={app}&done=account-deleted"));
        assert_eq!(browser.cookie(app), None);
        assert!(browser.get(location(&answer)).await.text().contains("Your account has been deleted."));
        assert_eq!(lab.verify(other.credential()).await.status, 401);
        assert_eq!(lab.try_login(&ada, PASSWORD, "web").await.status, 401);
    }
}

#[tokio::test]
async fn whoever_is_signed_out_is_led_to_the_sign_in_page_and_back() {
    let lab = Lab::start().await;
    let browser = lab.browser();
    for (path, next) in [
        ("/devices", "/signin"),
        ("/signout", "/signin"),
        ("/password", "/signin?return_to=%2Fpassword"),
        ("/account/delete", "/signin?return_to=%2Faccount%2Fdelete"),
    ] {
        assert_eq!(location(&browser.get(path).await), next);
    }
    let fields = [("current", PASSWORD), ("new", NEW)];
    assert_eq!(location(&post(&browser, "/password", &fields).await), "/signin?return_to=%2Fpassword");
    let answer = post(&browser, "/account/delete", &[("password", PASSWORD)]).await;
    assert_eq!(location(&answer), "/signin?return_to=%2Faccount%2Fdelete");
    assert_eq!(location(&post(&browser, "/devices/end-others", &[]).await), "/signin");
}

#[tokio::test]
async fn an_idle_session_is_told_why_it_must_sign_in_again() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    lab.advance(8 * 86_400);
    let answer = browser.get("/devices?app=web").await;
    assert_eq!(location(&answer), "/signin?app=web&because=session_expired");
    assert!(answer.cookies().is_empty(), "in another tab the person may have signed in meanwhile");
    assert!(browser.get(location(&answer)).await.text().contains("Your session has expired."));
    assert_eq!(browser.get("/signin?because=nonsense").await.text().matches("role=\"alert\"").count(), 0);
}

#[tokio::test]
async fn the_pages_live_under_a_base_path() {
    let lab = Lab::with_settings("base_path = '/auth'").await;
    let browser = lab.browser();
    for root in ["/auth", "/auth/"] {
        assert_eq!(location(&browser.get(root).await), "/auth/devices");
    }
    assert_eq!(location(&browser.get("/auth/password").await), "/auth/signin?return_to=%2Fauth%2Fpassword");
    let html = browser.get("/auth/signin").await.text();
    let style = html.split("rel=\"stylesheet\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(browser.get(style).await.header("content-type"), Some("text/css; charset=utf-8"));
    let fields = [("email", &*email("ada")), ("password", PASSWORD)];
    let answer = browser.send(lab.post("/auth/signup").on_own_page().form(&fields)).await;
    assert_eq!((answer.status, location(&answer)), (303, "/auth/devices"));
    assert_eq!(browser.get("/auth/devices").await.status, 200);
    assert_eq!(browser.get("/devices").await.status, 404);
}
