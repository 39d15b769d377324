//! Limits: on guesses and registrations, by whichever spelling and place; and on hashing.

use serde_json::json;

use crate::lab::{Ask, Lab, PASSWORD, email};

const TIGHT: &str = "trusted_proxies = ['127.0.0.1/32']
limits.failures_per_account.burst = 5
limits.failures_per_account.refill = '60s'
limits.failures_per_familiar_network.burst = 5
limits.failures_per_network.burst = 20
password.queue = 200";

fn from(ask: Ask, address: &str) -> Ask {
    ask.header("x-forwarded-for", address)
}

/// F114: wrong passwords in parallel are counted one by one and stop at the limit; right ones in parallel all succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_guesses_stop_at_the_limit_and_parallel_logins_all_succeed() {
    let lab = Lab::with_settings(TIGHT).await;
    lab.register("ada").await;
    let before = lab.hashes();
    let guesses = (0..30).map(|n| {
        let ask = from(lab.login_request("ada", "wrong", "web"), &format!("203.0.113.{n}"));
        tokio::spawn(async move { ask.await })
    });
    let (mut wrong, mut limited) = (0, 0);
    for guess in guesses.collect::<Vec<_>>() {
        let answer = guess.await.unwrap();
        match answer.status {
            401 => wrong += 1,
            429 => {
                assert_eq!(answer.code(), "rate_limited");
                assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
                limited += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((wrong, limited, lab.hashes() - before), (5, 25, 5));
    let logins = (0..20).map(|n| {
        let ask = from(lab.login_request("eve", PASSWORD, "web"), &format!("198.51.100.{n}"));
        tokio::spawn(async move { ask.await.status })
    });
    lab.register("eve").await;
    for login in logins.collect::<Vec<_>>() {
        assert_eq!(login.await.unwrap(), 200);
    }
}

/// F115: all spellings of an address share one counter.
#[tokio::test]
async fn all_spellings_of_an_address_share_one_counter() {
    let lab = Lab::with_settings(TIGHT).await;
    lab.register("ada").await;
    for (n, spelling) in ["ada@example.org", "ADA@example.org", "ada@EXAMPLE.ORG", "Ada@Example.Org", "aDa@example.org"]
        .iter()
        .enumerate()
    {
        let ask = lab.post("/v1/login").json(json!({"email": spelling, "password": "wrong", "app": "web"}));
        assert_eq!(from(ask, &format!("203.0.113.{n}")).await.status, 401);
    }
    for app in ["web", "api"] {
        let sixth = from(lab.login_request("ada", PASSWORD, app), "203.0.113.99").await;
        assert_eq!(sixth.refusal(), (429, "rate_limited".into()), "{app}");
    }
    let unknown = |n: u32| from(lab.login_request("nobody", "wrong", "web"), &format!("198.51.100.{n}"));
    for n in 0..5 {
        assert_eq!(unknown(n).await.status, 401);
    }
    assert_eq!(unknown(9).await.refusal(), (429, "rate_limited".into()), "an unknown address is counted alike");
}

/// F120: a flood from elsewhere does not stop the owner where they have signed in before; nothing is locked for good.
#[tokio::test]
async fn a_flood_from_elsewhere_does_not_shut_the_owner_out() {
    let lab = Lab::with_settings(TIGHT).await;
    lab.register("ada").await;
    assert_eq!(from(lab.login_request("ada", PASSWORD, "web"), "192.0.2.1").await.status, 200);
    lab.audit().await;
    for n in 0..20 {
        from(lab.login_request("ada", "wrong", "web"), &format!("203.0.113.{n}")).await;
    }
    assert_eq!(from(lab.login_request("ada", PASSWORD, "web"), "203.0.113.200").await.status, 429);
    assert_eq!(from(lab.login_request("ada", PASSWORD, "web"), "192.0.2.1").await.status, 200, "at home");
    lab.advance(61);
    assert_eq!(from(lab.login_request("ada", PASSWORD, "web"), "203.0.113.200").await.status, 200, "a minute later");
}

/// F117: the addresses of one /64 share one bucket, and an IPv4 address is one however it is written.
#[tokio::test]
async fn one_line_has_one_bucket() {
    let lab = Lab::with_settings(TIGHT).await;
    for n in 0..20 {
        let address = format!("2001:db8:1:2:{n:x}::{n:x}");
        assert_eq!(from(lab.login_request(&format!("a{n}"), "wrong", "web"), &address).await.status, 401);
    }
    assert_eq!(from(lab.login_request("b", "wrong", "web"), "2001:db8:1:2:ffff::1").await.status, 429);
    assert_eq!(from(lab.login_request("b", "wrong", "web"), "2001:db8:1:3::1").await.status, 401, "another line");
    for n in 0..20 {
        let address = if n % 2 == 0 { "203.0.113.7" } else { "::ffff:203.0.113.7" };
        assert_eq!(from(lab.login_request(&format!("c{n}"), "wrong", "web"), address).await.status, 401);
    }
    assert_eq!(from(lab.login_request("d", "wrong", "web"), "203.0.113.7").await.status, 429);
}

/// F104, F112: a stranger chooses no address of its own to be counted by.
#[tokio::test]
async fn a_strangers_headers_do_not_change_the_counter() {
    let lab = Lab::with_settings(&TIGHT.replace("trusted_proxies = ['127.0.0.1/32']", "")).await;
    for n in 0..20 {
        let ask = from(lab.login_request(&format!("a{n}"), "wrong", "web"), &format!("203.0.113.{n}"));
        assert_eq!(ask.header("forwarded", format!("for=203.0.113.{n}")).await.status, 401);
    }
    assert_eq!(from(lab.login_request("b", "wrong", "web"), "198.51.100.1").await.status, 429);
}

/// F116: another spelling of the path reaches no handler, and so passes no limit.
#[tokio::test]
async fn another_spelling_of_the_path_reaches_nothing() {
    let lab = Lab::with_settings(TIGHT).await;
    let before = lab.hashes();
    for path in ["//v1/login", "/v1//login", "/v1/login/", "/v1/./login", "/v1/x/../login", "/V1/login", "/v1/login;x"]
    {
        let answer = lab.post(path).json(json!({"email": email("ada"), "password": PASSWORD})).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(lab.hashes(), before);
}

#[tokio::test]
async fn registrations_are_limited_by_network() {
    let lab = Lab::with_settings("limits.registrations_per_network.burst = 2").await;
    lab.register("a").await;
    lab.register("b").await;
    let third = lab.register("c").await;
    assert_eq!(third.refusal(), (429, "rate_limited".into()));
    assert!(third.header("retry-after").is_some());
    assert_eq!(lab.try_login("a", PASSWORD, "web").await.status, 200);
}

/// F120: only wrong secrets count; the password is asked for again with the same limit.
#[tokio::test]
async fn proving_oneself_again_is_limited_alike() {
    let lab = Lab::with_settings(TIGHT).await;
    let ada = lab.login("ada", "web").await;
    lab.audit().await;
    for _ in 0..10 {
        lab.post("/v1/password").bearer(ada.credential()).json(json!({"current": PASSWORD, "new": "x"})).await;
    }
    let mut seen = vec![];
    for _ in 0..12 {
        let wrong = lab.delete("/v1/account").bearer(ada.credential()).json(json!({"password": "wrong"}));
        seen.push(wrong.await.status);
    }
    assert_eq!(seen.iter().filter(|status| **status == 401).count(), 10, "5 of the account, 5 of the familiar place");
    assert_eq!(seen.last(), Some(&429));
}

/// F076: past the bound a login gets 503 with `Retry-After` and hashes nothing, and verification goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_logins_is_turned_away_and_verification_goes_on() {
    let lab = Lab::with_settings("password.queue = 1").await;
    let ada = lab.login("ada", "web").await;
    let before = lab.hashes();
    let storm = (0..150).map(|_| {
        let ask = lab.login_request("ada", PASSWORD, "web");
        tokio::spawn(async move { ask.await })
    });
    let storm: Vec<_> = storm.collect();
    assert_eq!(lab.verify(ada.credential()).await.status, 200);
    let (mut done, mut overloaded) = (0, 0);
    for login in storm {
        let answer = login.await.unwrap();
        if answer.status == 200 {
            done += 1;
        } else {
            assert_eq!(answer.refusal(), (503, "overloaded".into()));
            assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
            overloaded += 1;
        }
    }
    assert!(done >= 3 && overloaded > 0, "{done} {overloaded}");
    assert_eq!(lab.hashes() - before, done);
}
