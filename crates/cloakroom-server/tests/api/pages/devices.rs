//! The device list, and ending sessions from it.

use std::time::Duration;

use cloakroom_core::{
    ids::SessionId,
    session::{Record, Write, Written},
};

use crate::lab::{APPS, Lab, email};

use super::{location, post, sign_in, somebody};

fn sessions(html: &str) -> Vec<String> {
    let values = html.split("name=\"session\" value=\"").skip(1).filter_map(|rest| rest.split('"').next());
    values.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_list_shows_each_device_and_which_one_this_is() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let fields = [("email", &*email("ada")), ("password", crate::lab::PASSWORD), ("app", "api")];
    lab.browser().ask("POST", "/signin").header("user-agent", agent).form(&fields).await;
    lab.login("ada", "stateless").await;
    lab.engine.flush().await.unwrap();
    let html = browser.get("/devices?app=web").await.text();
    assert_eq!(sessions(&html).len(), 2);
    for part in ["Firefox on Linux", ">jwt<", ">session<", "127.0.0.1", "This device", "cannot be listed"] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(html.matches("class=\"badge\"").count(), 1);
}

/// F011: exactly the named session ends; another account's, or one that is none, is not found and changes nothing.
#[tokio::test]
async fn exactly_the_named_session_ends() {
    let lab = Lab::start().await;
    for app in ["web", "api", "edge"] {
        let (ada, bob) = (format!("ada{app}"), format!("bob{app}"));
        let browser = somebody(&lab, &ada, app).await;
        let second = lab.login(&ada, "web").await;
        let third = lab.login(&ada, "web").await;
        let bob = lab.login(&bob, "web").await;
        for id in [&*bob.session, "AAAAAAAAAAAAAAAAAAAAAA", "", "../1"] {
            let answer = post(&browser, "/devices/end", &[("app", app), ("session", id)]).await;
            assert_eq!(answer.status, 404, "{id}");
        }
        let answer = post(&browser, "/devices/end", &[("app", app), ("session", &second.session)]).await;
        assert_eq!(location(&answer), format!("/devices?app={app}&done=session-ended"));
        let html = browser.get(location(&answer)).await.text();
        assert!(html.contains("The session has been ended.") && !html.contains(&second.session));
        assert_eq!(lab.verify(second.credential()).await.status, 401);
        assert_eq!(lab.verify(third.credential()).await.status, 200);
        assert_eq!(lab.verify(bob.credential()).await.status, 200);
    }
}

#[tokio::test]
async fn ending_the_own_session_is_a_sign_out() {
    let lab = Lab::start().await;
    for app in ["web", "api", "edge"] {
        let browser = somebody(&lab, &format!("ada{app}"), app).await;
        let html = browser.get(&format!("/devices?app={app}")).await.text();
        let [own] = &sessions(&html)[..] else { panic!("one device") };
        let answer = post(&browser, "/devices/end", &[("app", app), ("session", own)]).await;
        assert_eq!(location(&answer), format!("/signin?app={app}&done=signed-out"));
        assert_eq!(browser.cookie(app), None);
    }
}

#[tokio::test]
async fn ending_all_others_leaves_the_own_session() {
    let lab = Lab::start().await;
    for app in ["web", "api", "edge"] {
        let ada = format!("ada{app}");
        let browser = somebody(&lab, &ada, app).await;
        let mut others = vec![];
        for other in APPS {
            others.push(lab.login(&ada, other).await);
        }
        let answer = post(&browser, "/devices/end-others", &[("app", app)]).await;
        assert_eq!(location(&answer), format!("/devices?app={app}&done=others-ended"));
        let page = browser.get(location(&answer)).await;
        assert_eq!(page.status, 200, "{app} {:?}", page.headers);
        assert_eq!(sessions(&page.text()).len(), 1);
        for other in &others {
            assert_eq!(lab.verify(other.credential()).await.status, 401);
        }
        assert_eq!(lab.refresh(others[3].refresh_token()).await.status, 401);
    }
}

/// A session without a record cannot be left out: the button says so and signs out everywhere.
#[tokio::test]
async fn without_a_record_all_others_are_all() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "stateless").await;
    let other = lab.login("ada", "web").await;
    let html = browser.get("/devices?app=stateless").await.text();
    assert!(html.contains("Sign out everywhere") && !html.contains("End all other sessions"));
    let kept = browser.cookie("stateless").unwrap();
    let answer = post(&browser, "/devices/end-others", &[("app", "stateless")]).await;
    assert_eq!(location(&answer), "/signin?app=stateless&done=everything-ended");
    assert_eq!(browser.cookie("stateless"), None);
    assert_eq!(lab.verify(other.credential()).await.status, 401);
    assert_eq!(lab.refresh(&kept).await.status, 401);
    sign_in(&browser, "ada", "stateless").await;
}

#[tokio::test]
async fn a_long_list_goes_on_over_a_link() {
    let lab = Lab::start().await;
    let browser = somebody(&lab, "ada", "web").await;
    let own = sessions(&browser.get("/devices?app=web").await.text()).remove(0);
    let store = &lab.engine.stores().sessions;
    let record = store.read(SessionId::parse(&own).unwrap()).await.unwrap().unwrap();
    for number in 1..=101 {
        // Seeded through the store's port: a hundred logins would be a hundred hashes.
        let later = Record { created: record.created + Duration::from_secs(number.into()), ..record.clone() };
        let written = store.write(SessionId::from_bytes([number; 16]), Write::Create(later)).await.unwrap();
        assert!(matches!(written, Written::Done(_)));
    }
    let first = browser.get("/devices?app=web").await.text();
    assert_eq!(sessions(&first).len(), 100);
    let older = first.split("href=\"").find(|rest| rest.contains("before=")).and_then(|rest| rest.split('"').next());
    let older = older.unwrap().replace("&#38;", "&");
    let second = browser.get(&older).await.text();
    assert_eq!(sessions(&second).len(), 2);
    assert!(second.contains("This device"));
    assert_eq!(browser.get("/devices?app=web&before=nonsense").await.status, 200);
}
