use std::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::clock::{ManualClock, Timestamp};

fn limits_with(settings: LimitSettings) -> (FailureLimits, ManualClock) {
    let (clock, hands) = Clock::manual(Timestamp::from_secs(1_800_000_000));
    (FailureLimits::here(settings, [3; 16], clock), hands)
}

impl FailureLimits {
    fn tracked(&self) -> usize {
        let Counts::Here(here) = &self.0.counts else { panic!("it is not shared") };
        here.tracked()
    }
}

fn limited(error: &LimitError) -> Limited {
    let LimitError::Limited(limited) = error else { panic!("{error}") };
    *limited
}

fn limits() -> (FailureLimits, ManualClock) {
    limits_with(LimitSettings::default())
}

fn account(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@example.test")).unwrap()
}

fn network(text: &str) -> Network {
    Network::from(text.parse::<IpAddr>().unwrap())
}

/// Networks that have nothing to do with each other.
fn elsewhere(n: usize) -> Network {
    Network::from(IpAddr::V4((0x0a00_0000 + n as u32).into()))
}

/// Guesses wrong until refused, and says how often that went, and what stopped it.
async fn guess_on(
    limits: &FailureLimits,
    account: &EmailAddress,
    network: Network,
    familiar: Familiar,
) -> (u32, Limited) {
    for n in 0.. {
        match limits.begin(Some(account), network, familiar).await {
            Ok(attempt) => attempt.wrong(),
            Err(error) => return (n, limited(&error)),
        }
    }
    unreachable!()
}

#[tokio::test]
async fn wrong_secrets_for_one_account_stop_at_its_limit() {
    let (limits, hands) = limits();
    let (n, limited) = guess_on(&limits, &account("ada"), network("203.0.113.7"), Familiar::No).await;
    assert_eq!((n, limited.limit, limited.retry_after), (10, LimitKind::Account, Duration::from_mins(1)));
    // One more each minute, and never locked for good.
    hands.advance(Duration::from_mins(1));
    assert_eq!(guess_on(&limits, &account("ada"), network("203.0.113.7"), Familiar::No).await.0, 1);
    hands.advance(Duration::from_mins(10));
    assert_eq!(guess_on(&limits, &account("ada"), network("203.0.113.7"), Familiar::No).await.0, 10);
}

#[tokio::test]
async fn one_network_cannot_try_one_secret_on_everybody() {
    let (limits, hands) = limits();
    let from = network("203.0.113.7");
    for n in 0..30 {
        limits.begin(Some(&account(&format!("person{n}"))), from, Familiar::No).await.unwrap().wrong();
    }
    let refused = limits.begin(Some(&account("another")), from, Familiar::No).await;
    let limited = limited(&refused.unwrap_err());
    assert_eq!((limited.limit, limited.retry_after), (LimitKind::Network, Duration::from_secs(10)));
    limits.begin(None, from, Familiar::No).await.expect_err("what is no address counts for the network");
    limits.begin(Some(&account("another")), from, Familiar::Yes).await.expect_err("at a familiar place too");
    limits.begin(Some(&account("another")), network("203.0.113.8"), Familiar::No).await.unwrap().right();
    hands.advance(Duration::from_secs(10));
    limits.begin(Some(&account("another")), from, Familiar::No).await.unwrap().right();
}

/// F114: a thousand wrong passwords at once are as many as one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn parallel_guesses_stop_at_the_limit() {
    let (limits, _hands) = limits();
    let looked_at = Arc::new(AtomicU32::new(0));
    let guesses: Vec<_> = (0..1000)
        .map(|n| {
            let (limits, looked_at) = (limits.clone(), Arc::clone(&looked_at));
            tokio::spawn(async move {
                let attempt = limits.begin(Some(&account("ada")), elsewhere(n), Familiar::No).await?;
                looked_at.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                attempt.wrong();
                Ok::<(), LimitError>(())
            })
        })
        .collect();
    let mut refused = 0;
    for guess in guesses {
        refused += u32::from(guess.await.unwrap().is_err());
    }
    assert_eq!((looked_at.load(Ordering::Relaxed), refused), (10, 990));
}

/// F114: twenty right ones at once all succeed, although the burst is ten.
#[tokio::test(flavor = "multi_thread")]
async fn parallel_right_logins_all_succeed() {
    let (limits, _hands) = limits();
    for _ in 0..9 {
        limits.begin(Some(&account("ada")), network("203.0.113.7"), Familiar::No).await.unwrap().wrong();
    }
    let logins: Vec<_> = (0..20)
        .map(|_| {
            let limits = limits.clone();
            tokio::spawn(async move {
                let attempt = limits.begin(Some(&account("ada")), network("203.0.113.7"), Familiar::No).await?;
                tokio::time::sleep(Duration::from_millis(2)).await;
                attempt.right();
                Ok::<(), LimitError>(())
            })
        })
        .collect();
    for login in logins {
        login.await.unwrap().unwrap();
    }
    assert_eq!(guess_on(&limits, &account("ada"), network("203.0.113.7"), Familiar::No).await.0, 1);
}

#[tokio::test]
async fn one_that_waits_is_refused_when_the_others_were_wrong() {
    let (limits, _hands) = limits();
    let (ada, from) = (account("ada"), network("203.0.113.7"));
    let mut undecided = Vec::new();
    for _ in 0..10 {
        undecided.push(limits.begin(Some(&ada), from, Familiar::No).await.unwrap());
    }
    let waiting = tokio::spawn({
        let (limits, ada) = (limits.clone(), ada.clone());
        async move { limits.begin(Some(&ada), from, Familiar::No).await }
    });
    while limits.0.waiting.taken() == 0 {
        tokio::task::yield_now().await;
    }
    undecided.drain(..).for_each(Attempt::wrong);
    assert_eq!(limited(&waiting.await.unwrap().unwrap_err()).limit, LimitKind::Account);
    assert_eq!(limits.0.waiting.taken(), 0);
}

#[tokio::test]
async fn only_so_many_wait() {
    let (limits, _hands) = limits();
    let (ada, from) = (account("ada"), network("203.0.113.7"));
    let mut undecided = Vec::new();
    for _ in 0..10 {
        undecided.push(limits.begin(Some(&ada), from, Familiar::No).await.unwrap());
    }
    let waiting: Vec<_> = (0..MAX_WAITING)
        .map(|_| {
            let (limits, ada) = (limits.clone(), ada.clone());
            tokio::spawn(async move { limits.begin(Some(&ada), from, Familiar::No).await.map(Attempt::right) })
        })
        .collect();
    while limits.0.waiting.taken() < MAX_WAITING {
        tokio::task::yield_now().await;
    }
    let refused = limits.begin(Some(&ada), from, Familiar::No).await.unwrap_err();
    assert_eq!(limited(&refused).retry_after, Duration::from_secs(1));
    drop(undecided);
    for login in waiting {
        login.await.unwrap().unwrap();
    }
}

/// F115: spellings of one address share a counter, and addresses without an account have one like any other.
#[tokio::test]
async fn all_spellings_of_an_address_count_together() {
    let (limits, _hands) = limits();
    for n in 0..10 {
        let spelling = ["Zoë@Example.test", "ZOË@EXAMPLE.TEST", "zoe\u{308}@example.test"][n % 3];
        let spelling = EmailAddress::parse(spelling).unwrap();
        limits.begin(Some(&spelling), elsewhere(n), Familiar::No).await.unwrap().wrong();
    }
    let other = EmailAddress::parse("zoë@example.test").unwrap();
    limits.begin(Some(&other), elsewhere(99), Familiar::No).await.unwrap_err();
}

/// F117: ten thousand addresses of one /64 share one bucket, and so do the spellings of an IPv4 address.
#[tokio::test]
async fn addresses_of_one_line_count_together() {
    let (limits, _hands) = limits();
    let mut passed = 0;
    for n in 0..10_000u32 {
        let from = network(&format!("2001:db8:1:2:{:x}::{:x}", n >> 8, n & 0xff));
        if let Ok(attempt) = limits.begin(Some(&account(&format!("person{n}"))), from, Familiar::No).await {
            attempt.wrong();
            passed += 1;
        }
    }
    assert_eq!(passed, 30);
    for n in 0..30 {
        let from = network(if n % 2 == 0 { "::ffff:203.0.113.7" } else { "203.0.113.7" });
        limits.begin(None, from, Familiar::No).await.unwrap().wrong();
    }
    limits.begin(None, network("203.0.113.7"), Familiar::No).await.unwrap_err();
}

/// F120: a flood of guesses from elsewhere does not stop the owner where the account has been before.
#[tokio::test]
async fn nobody_can_shut_the_owner_out() {
    let (limits, _hands) = limits();
    let (ada, home) = (account("ada"), network("2001:db8:1:2::1"));
    for n in 0..1000 {
        if let Ok(attempt) = limits.begin(Some(&ada), elsewhere(n), Familiar::No).await {
            attempt.wrong();
        }
    }
    limits.begin(Some(&ada), elsewhere(2000), Familiar::No).await.unwrap_err();
    limits.begin(Some(&ada), home, Familiar::Yes).await.unwrap().right();
    // A familiar place is no licence to guess either.
    let (n, limited) = guess_on(&limits, &ada, home, Familiar::Yes).await;
    assert_eq!((n, limited.limit), (10, LimitKind::Familiar));
    // And each familiar place is one of its own.
    limits.begin(Some(&ada), network("198.51.100.9"), Familiar::Yes).await.unwrap().right();
}

/// F120: only wrong secrets count. A client that hangs up, a full pool or a broken store is no guess.
#[tokio::test]
async fn what_came_to_nothing_does_not_count() {
    let (limits, _hands) = limits();
    let (ada, from) = (account("ada"), network("203.0.113.7"));
    for _ in 0..100 {
        drop(limits.begin(Some(&ada), from, Familiar::No).await.unwrap());
        limits.begin(Some(&ada), from, Familiar::No).await.unwrap().right();
    }
    assert_eq!(guess_on(&limits, &ada, from, Familiar::No).await.0, 10);
}

/// A refusal costs nothing, so knocking at a closed door does not keep it closed.
#[tokio::test]
async fn refused_attempts_are_not_counted() {
    let (limits, hands) = limits();
    let (ada, from) = (account("ada"), network("203.0.113.7"));
    assert_eq!(guess_on(&limits, &ada, from, Familiar::No).await.0, 10);
    for _ in 0..100 {
        limits.begin(Some(&ada), from, Familiar::No).await.unwrap_err();
    }
    hands.advance(Duration::from_mins(1));
    limits.begin(Some(&ada), from, Familiar::No).await.unwrap().right();
    assert_eq!(limits.tracked(), 2);
}

/// F118: memory does not grow past the bound.
#[tokio::test]
async fn the_tables_are_bounded() {
    let (limits, _hands) = limits_with(LimitSettings { capacity: 50, ..LimitSettings::default() });
    for n in 0..5000 {
        let familiar = if n % 2 == 0 { Familiar::Yes } else { Familiar::No };
        if let Ok(attempt) = limits.begin(Some(&account(&format!("p{n}"))), elsewhere(n), familiar).await {
            attempt.wrong();
        }
        let _ = limits.registration(elsewhere(n)).await;
    }
    assert!(limits.tracked() <= 4 * 50);
}

#[tokio::test]
async fn registrations_are_limited_for_each_network() {
    let (limits, hands) = limits();
    for _ in 0..20 {
        limits.registration(network("2001:db8:1:2::1")).await.unwrap();
    }
    let limited = limited(&limits.registration(network("2001:db8:1:2:ffff::1")).await.unwrap_err());
    assert_eq!((limited.limit, limited.retry_after), (LimitKind::Registration, Duration::from_mins(3)));
    limits.registration(network("2001:db8:1:3::1")).await.unwrap();
    hands.advance(Duration::from_mins(3));
    limits.registration(network("2001:db8:1:2::1")).await.unwrap();
}

/// F126: neither an address nor the key of the tables is printed.
#[tokio::test]
async fn debug_prints_no_keys() {
    let (limits, _hands) = limits();
    let attempt = limits.begin(Some(&account("ada")), network("203.0.113.7"), Familiar::No).await.unwrap();
    assert_eq!(format!("{attempt:?} {limits:?}"), "Attempt(..) FailureLimits(..)");
}
