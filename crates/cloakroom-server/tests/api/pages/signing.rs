//! Sign up, sign in, sign out.

use crate::lab::{APPS, BY_TICKET, BY_TOKEN, Lab, PASSWORD, email};

use super::{location, post, sign_in, somebody, value_of};

#[tokio::test]
async fn a_person_signs_up_and_is_signed_in_by_each_method() {
    let lab = Lab::start().await;
    for app in APPS {
        let browser = lab.browser();
        let page = browser.get(&format!("/signup?app={app}")).await;
        assert_eq!((page.status, value_of(&page.text(), "app")), (200, Some(app)));
        let name = format!("ada{app}");
        let fields = [("email", &*email(&name)), ("name", "Ada"), ("password", PASSWORD), ("app", app)];
        let answer = post(&browser, "/signup", &fields).await;
        assert_eq!((answer.status, location(&answer)), (303, &*format!("/devices?app={app}")));
        let devices = browser.get(location(&answer)).await;
        assert_eq!(devices.status, 200);
        assert!(devices.text().contains(&email(&name)), "{}", devices.text());
    }
}

/// F016: what sign-out clears is what sign-in set, and the session has ended.
#[tokio::test]
async fn a_person_signs_in_and_out_by_each_method() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    for app in APPS {
        let browser = lab.browser();
        let answer = sign_in(&browser, "ada", app).await;
        let [cookie] = &answer.cookies()[..] else { panic!("one cookie") };
        let same_site = if BY_TICKET.contains(&app) { "SameSite=Lax" } else { "SameSite=Strict" };
        for attribute in ["HttpOnly", "Path=/", same_site] {
            assert!(cookie.has(attribute), "{app} {attribute}");
        }
        assert_eq!(cookie.max_age(), 30 * 86_400);
        let asked = browser.get(&format!("/signout?app={app}")).await;
        assert_eq!(asked.status, 200);
        assert!(browser.cookie(app).is_some(), "asking ends nothing");
        let kept = browser.cookie(app).unwrap();
        let answer = post(&browser, "/signout", &[("app", app)]).await;
        assert_eq!((answer.status, location(&answer)), (303, &*format!("/signin?app={app}&done=signed-out")));
        let [cleared] = &answer.cookies()[..] else { panic!("one cookie") };
        assert_eq!((&*cleared.name, cleared.max_age()), (&*format!("cloakroom-{app}"), 0));
        assert!(cleared.has("Path=/"));
        assert!(browser.get(location(&answer)).await.text().contains("You are signed out."));
        browser.jar.lock().insert(format!("cloakroom-{app}"), kept);
        let devices = browser.get(&format!("/devices?app={app}")).await;
        assert_eq!((devices.status, location(&devices)), (303, &*format!("/signin?app={app}&because=session_revoked")));
    }
}

/// F001, F003: the sign-in over a present session ends that one.
#[tokio::test]
async fn a_second_sign_in_in_one_browser_ends_the_first_session() {
    let lab = Lab::start().await;
    lab.register("bob").await;
    for app in APPS {
        let browser = somebody(&lab, &format!("ada{app}"), app).await;
        let first = browser.cookie(app).unwrap();
        assert_eq!(browser.get(&format!("/signin?app={app}")).await.status, 200, "the form is there all the same");
        sign_in(&browser, "bob", app).await;
        let second = browser.cookie(app).unwrap();
        assert_ne!(first, second);
        assert!(browser.get(&format!("/devices?app={app}")).await.text().contains("bob@example.org"));
        browser.jar.lock().insert(format!("cloakroom-{app}"), first);
        assert_eq!(browser.get(&format!("/devices?app={app}")).await.status, 303, "{app}");
    }
}

/// F077: whatever is wrong reads the same; the address stays in the form, the password does not.
#[tokio::test]
async fn a_failed_sign_in_shows_the_form_again_without_the_password() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let browser = lab.browser();
    let mut pages = vec![];
    for (name, password) in [("ada", "quite another one"), ("nobody", "quite another one"), ("ada", "")] {
        let fields = [("email", &*email(name)), ("password", password), ("app", "web")];
        let answer = post(&browser, "/signin", &fields).await;
        assert_eq!(answer.status, 401);
        assert!(answer.cookies().is_empty());
        let html = answer.text();
        assert_eq!(value_of(&html, "email"), Some(&*email(name)));
        assert!(!html.contains("quite another one"));
        assert_eq!(value_of(&html, "app"), Some("web"));
        pages.push(html.replace(&email(name), ""));
    }
    assert!(pages.iter().all(|page| *page == pages[0]));
    let many = lab.audit().await.into_iter().filter(|line| line.kind.as_str() == "sign_in_refused").count();
    assert_eq!(many, 3);
}

#[tokio::test]
async fn too_many_failures_are_told_with_the_time_to_wait() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let browser = lab.browser();
    let address = email("ada");
    let fields = [("email", &*address), ("password", "quite another one")];
    let mut last = post(&browser, "/signin", &fields).await;
    for _ in 0..200 {
        if last.status != 401 {
            break;
        }
        last = post(&browser, "/signin", &fields).await;
    }
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().unwrap() > 0));
    assert!(last.text().contains("There were too many attempts. Please try again in "));
}

#[tokio::test]
async fn sign_up_says_what_is_wrong_and_keeps_what_was_typed() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let browser = lab.browser();
    for (address, password, status, says) in [
        ("ada@example.org", PASSWORD, 409, "There is already an account"),
        ("no address", PASSWORD, 400, "That is not an e-mail address."),
        ("new@example.org", "short", 400, "too short"),
        ("new@example.org", "password1234", 400, "too easy to guess"),
    ] {
        let answer = post(&browser, "/signup", &[("email", address), ("name", "N"), ("password", password)]).await;
        let html = answer.text();
        assert_eq!(answer.status, status, "{says}");
        assert!(html.contains(says), "{says}");
        assert_eq!((value_of(&html, "email"), value_of(&html, "name")), (Some(address), Some("N")));
        assert!(answer.cookies().is_empty());
    }
}

#[tokio::test]
async fn a_closed_app_says_so() {
    let lab = Lab::with("", "[[app]]\nid = 'web'\nmethod = 'session'\nregistration = 'closed'").await;
    let browser = lab.browser();
    assert!(!browser.get("/signin").await.text().contains("/signup"));
    for answer in [
        browser.get("/signup").await,
        post(&browser, "/signup", &[("email", "ada@example.org"), ("password", PASSWORD)]).await,
    ] {
        assert_eq!(answer.status, 403);
        assert!(answer.text().contains("New accounts cannot be made here."));
    }
}

#[tokio::test]
async fn an_unknown_app_is_a_page_that_says_so() {
    let lab = Lab::start().await;
    let browser = lab.browser();
    for path in ["/signin", "/signup", "/signout", "/devices", "/password", "/account/delete", "/"] {
        let answer = browser.get(&format!("{path}?app=none")).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(answer.text().contains("There is no such app."));
    }
    let answer = post(&browser, "/signin", &[("app", "none"), ("email", "a@example.org"), ("password", "x")]).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn without_an_app_the_first_one_counts_and_the_first_good_cookie() {
    let lab = Lab::start().await;
    lab.register("ada").await;
    let browser = lab.browser();
    let fields = [("email", &*email("ada")), ("password", PASSWORD)];
    let answer = post(&browser, "/signin", &fields).await;
    assert_eq!(location(&answer), "/devices");
    assert!(browser.cookie("web").is_some());
    assert_eq!(location(&browser.get("/").await), "/devices");
    sign_in(&browser, "ada", "api").await;
    let answer = post(&browser, "/signout", &[]).await;
    assert_eq!(answer.cookies().len(), 2, "without an app this browser is signed out of all");
    assert_eq!(location(&browser.get("/devices").await), "/signin");
}

/// F015: of several cookies of one name a valid one counts, in any order, and a sign-in ends the loop.
#[tokio::test]
async fn of_two_cookies_of_one_name_the_good_one_counts() {
    let lab = Lab::start().await;
    for app in APPS {
        let browser = somebody(&lab, &format!("ada{app}"), app).await;
        let good = browser.cookie(app).unwrap();
        let bad = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for values in [[bad, &good], [&good, bad]] {
            let pairs = values.map(|value| format!("cloakroom-{app}={value}")).join("; ");
            let answer = lab.get(&format!("/devices?app={app}")).cookie(&pairs).await;
            assert_eq!(answer.status, 200, "{app}");
        }
    }
}

/// F049, F050, F022: looking at pages spends no refresh token, however old; a form does, and a repeat inside the grace
/// period is signed out of nothing.
#[tokio::test]
async fn a_refresh_token_is_spent_by_forms_and_not_by_looking() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "api").await;
    let first = browser.cookie("api").unwrap();
    for _ in 0..3 {
        lab.advance(3600);
        let answer = browser.get("/devices?app=api").await;
        assert_eq!(answer.status, 200);
        assert!(answer.cookies().is_empty(), "nothing has changed");
    }
    let fields = [("app", "api"), ("session", "AAAAAAAAAAAAAAAAAAAAAA")];
    let answer = browser.ask("POST", "/devices/end").form(&fields).await;
    assert_eq!(answer.status, 404);
    let [successor] = &answer.cookies()[..] else { panic!("a refusal brings the successor too") };
    assert_ne!(successor.value, first);
    // The answer was lost: the browser still holds the first one, and looks or posts again.
    lab.advance(20);
    for answer in
        [browser.ask("GET", "/devices?app=api").await, browser.ask("POST", "/devices/end").form(&fields).await]
    {
        assert_ne!(answer.status, 303);
        assert_eq!(answer.cookies()[0].value, successor.value, "the same successor again");
    }
}

/// A replaced refresh token that comes back is theft: the session ends, and the account is told.
#[tokio::test]
async fn the_account_is_told_of_a_theft() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "api").await;
    let stolen = browser.cookie("api").unwrap();
    lab.advance(3600);
    post(&browser, "/devices/end", &[("app", "api"), ("session", "AAAAAAAAAAAAAAAAAAAAAA")]).await;
    lab.advance(3600);
    let thief = lab.get("/devices?app=api").cookie(&format!("cloakroom-api={stolen}")).await;
    assert_eq!(location(&thief), "/signin?app=api&because=token_reused");
    let owner = browser.get("/devices?app=api").await;
    assert_eq!(location(&owner), "/signin?app=api&because=session_revoked");
    assert!(browser.get(location(&thief)).await.text().contains("its key was used twice"));
    sign_in(&browser, "ada", "web").await;
    lab.engine.flush().await.unwrap();
    let told = |html: String| html.contains("A session at api was ended to protect you");
    assert!(told(browser.get("/devices?app=web").await.text()));
    for _ in 0..5 {
        lab.advance(6 * 86_400);
        browser.get("/devices?app=web").await;
    }
    sign_in(&browser, "ada", "web").await;
    assert!(!told(browser.get("/devices?app=web").await.text()), "for 30 days");
}

/// F018: a browser that comes from another site is sent on to the same page by a page of ours, once.
#[tokio::test]
async fn a_link_from_elsewhere_is_followed_once_more_from_a_page_of_ours() {
    let lab = Lab::start().await;
    for site in ["cross-site", "same-site"] {
        let come = |path: &str| lab.get(path).header("sec-fetch-site", site).header("sec-fetch-mode", "navigate");
        for path in ["/devices", "/password", "/account/delete", "/signout"] {
            let answer = come(&format!("{path}?app=api")).await;
            assert_eq!(answer.status, 200);
            let onward = format!("{path}?app=api&#38;onward=1");
            assert!(
                answer.text().contains(&format!("<meta http-equiv=\"refresh\" content=\"0; url={onward}\">")),
                "{}",
                answer.text()
            );
            assert!(answer.cookies().is_empty());
            let again = come(&format!("{path}?app=api&onward=1")).await;
            assert_eq!(again.status, 303, "there is no third time");
            assert!(location(&again).starts_with("/signin?app=api"));
        }
    }
    assert_eq!(lab.get("/devices?app=api").header("sec-fetch-site", "none").await.status, 303);
    for app in BY_TOKEN {
        let browser = somebody(&lab, &format!("ada{app}"), app).await;
        let asked = browser.ask("GET", &format!("/devices?app={app}&onward=1")).header("sec-fetch-mode", "navigate");
        assert_eq!(asked.await.status, 200);
    }
}

#[tokio::test]
async fn after_signing_in_a_person_goes_on_where_they_wanted_to() {
    let lab = Lab::with("", "[[app]]\nid = 'web'\nmethod = 'session'\norigins = ['https://shop.example']").await;
    lab.register("ada").await;
    let browser = lab.browser();
    let asked = browser.get("/password?app=web").await;
    assert_eq!(location(&asked), "/signin?app=web&return_to=%2Fpassword");
    let form = browser.get(location(&asked)).await.text();
    let back = value_of(&form, "return_to").unwrap().to_owned();
    let fields = [("email", &*email("ada")), ("password", PASSWORD), ("app", "web"), ("return_to", &back)];
    let answer = post(&browser, "/signin", &fields).await;
    assert_eq!(location(&answer), format!("{}/password", lab.url));
    let shop = "https://shop.example/cart?a=1";
    let fields = [("email", &*email("ada")), ("password", PASSWORD), ("return_to", shop)];
    assert_eq!(location(&post(&browser, "/signin", &fields).await), shop);
    assert_eq!(location(&post(&browser, "/signout", &[("return_to", shop)]).await), shop);
}
