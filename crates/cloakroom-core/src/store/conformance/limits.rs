//! What the account port promises about limits on failed sign-ins: that they are those of all its servers together.
//!
//! A store that one server has for itself is held to the same, with that one server.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;

use super::{MINUTE, NOW};
use crate::{
    account::EmailAddress,
    clock::{Clock, ManualClock},
    credential::{
        Bucket, BucketKey, Empty, FailureLimits, Familiar, LimitError, LimitKind, LimitSettings, Limited, Network,
        Rate, SharedLimits, UNDECIDED,
    },
    store::AccountStore,
};

type Store = Arc<dyn AccountStore>;

/// Two servers of one store, if it has any number, by one clock.
struct Servers {
    limits: Vec<FailureLimits>,
    hands: ManualClock,
}

impl Servers {
    fn of(store: &Store) -> Self {
        Self::set(store, LimitSettings::default())
    }

    fn set(store: &Store, settings: LimitSettings) -> Self {
        let (clock, hands) = Clock::manual(NOW);
        let count = if store.limits().is_some() { 2 } else { 1 };
        let server = |_| FailureLimits::new(settings, &**store, [7; 16], clock.clone());
        Self { limits: (0..count).map(server).collect(), hands }
    }

    /// Whichever is next.
    fn any(&self, n: u32) -> FailureLimits {
        self.limits[n as usize % self.limits.len()].clone()
    }

    /// Guesses at once, each from elsewhere and at another server; how many passwords were looked at.
    async fn guess(&self, name: &str, times: u32) -> usize {
        let mut guesses = JoinSet::new();
        for n in 0..times {
            let (limits, email) = (self.any(n), address(name));
            guesses.spawn(async move {
                let attempt = limits.begin(Some(&email), elsewhere(n), Familiar::No).await;
                let attempt = attempt.inspect_err(|error| assert_eq!(limited(error).limit, LimitKind::Account)).ok()?;
                tokio::time::sleep(Duration::from_millis(2)).await;
                attempt.wrong();
                Some(())
            });
        }
        guesses.join_all().await.into_iter().flatten().count()
    }
}

fn address(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@example.org")).expect("it is an address")
}

fn elsewhere(n: u32) -> Network {
    Network::from(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)))
}

fn limited(error: &LimitError) -> Limited {
    match error {
        LimitError::Limited(limited) => *limited,
        LimitError::Store(error) => panic!("{error}"),
    }
}

/// F119, F114: guesses at several servers at once are counted one by one, and stop at what one server would allow.
pub(super) async fn guesses_stop_at_the_limit_whichever_server_is_asked(store: Store) {
    let servers = Servers::of(&store);
    assert_eq!(servers.guess("ada", 200).await, 10);
    for server in &servers.limits {
        let refused = server.begin(Some(&address("ada")), elsewhere(999), Familiar::No).await.unwrap_err();
        assert_eq!(limited(&refused), Limited { limit: LimitKind::Account, retry_after: MINUTE });
    }
    assert_eq!(servers.guess("eve", 5).await, 5, "another account is another matter");
    // One more each minute, and never locked for good. What was refused has cost nothing.
    servers.hands.advance(MINUTE);
    assert_eq!(servers.guess("ada", 20).await, 1);
    servers.hands.advance(MINUTE * 10);
    assert_eq!(servers.guess("ada", 20).await, 10);

    // One network, many names: 30, at whatever servers.
    let from = Network::from(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)));
    let mut passed = 0;
    for n in 0..50 {
        if let Ok(attempt) = servers.any(n).begin(Some(&address(&format!("n{n}"))), from, Familiar::No).await {
            attempt.wrong();
            passed += 1;
        }
    }
    assert_eq!(passed, 30);
    for n in 0..LimitSettings::default().registration.burst() {
        servers.any(n).registration(from).await.unwrap();
    }
    let refused = servers.any(1).registration(from).await.unwrap_err();
    assert_eq!(limited(&refused).limit, LimitKind::Registration);
}

/// F114: the burst is 10, and nine of it are spent; but right passwords give back what they take.
pub(super) async fn parallel_logins_all_succeed_whichever_servers_are_asked(store: Store) {
    let servers = Servers::of(&store);
    assert_eq!(servers.guess("ada", 9).await, 9);
    let mut logins = JoinSet::new();
    for n in 0..20 {
        let limits = servers.any(n);
        logins.spawn(async move {
            let attempt = limits.begin(Some(&address("ada")), elsewhere(5000), Familiar::No).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
            attempt.right();
        });
    }
    logins.join_all().await;
    assert_eq!(servers.guess("ada", 20).await, 1);
}

/// F120: a flood from elsewhere does not stop the owner where they have signed in before, at no server; and that place is no
/// licence to guess either.
pub(super) async fn nobody_is_shut_out_from_where_they_have_been(store: Store) {
    let servers = Servers::of(&store);
    assert_eq!(servers.guess("ada", 30).await, 10);
    let home = elsewhere(5000);
    for server in &servers.limits {
        server.begin(Some(&address("ada")), home, Familiar::Yes).await.unwrap().right();
    }
    let mut passed = 0;
    for n in 0..20 {
        match servers.any(n).begin(Some(&address("ada")), home, Familiar::Yes).await {
            Ok(attempt) => attempt.wrong(),
            Err(error) => {
                assert_eq!(limited(&error).limit, LimitKind::Familiar);
                continue;
            }
        }
        passed += 1;
    }
    assert_eq!(passed, 10);
}

/// F120: a client that hangs up, before or after it was let through, is no guess.
pub(super) async fn what_came_to_nothing_does_not_count(store: Store) {
    let servers = Servers::of(&store);
    for n in 0..40 {
        let limits = servers.any(n);
        if n % 2 == 0 {
            drop(limits.begin(Some(&address("ada")), elsewhere(n), Familiar::No).await.unwrap());
            continue;
        }
        // It is asked, and nobody waits for the answer.
        let ada = address("ada");
        let asking = limits.begin(Some(&ada), elsewhere(n), Familiar::No);
        let _ = tokio::time::timeout(Duration::ZERO, asking).await;
    }
    assert_eq!(servers.guess("ada", 30).await, 10);
}

fn bucket(limit: LimitKind, n: u8) -> Bucket {
    let key = BucketKey::new(limit, [n; 16]);
    Bucket { key, instead: key, rate: Rate::new(3, MINUTE) }
}

async fn take(limits: &dyn SharedLimits, bucket: Bucket, at: crate::clock::Timestamp) -> Result<(), Empty> {
    limits.take(&bucket, None, Some(at)).await.unwrap().first.map(drop)
}

/// What a server had taken when it died is spent, and others soon stop waiting for its word.
pub(super) async fn a_vanished_server_holds_nothing_up(store: Store) {
    let Some(limits) = store.limits() else { return };
    let ada = bucket(LimitKind::Account, 1);
    for _ in 0..3 {
        take(&*limits, ada, NOW).await.unwrap();
    }
    assert_eq!(take(&*limits, ada, NOW).await, Err(Empty::Undecided));
    assert_eq!(take(&*limits, ada, NOW + UNDECIDED).await, Err(Empty::Until(MINUTE.saturating_sub(UNDECIDED))));
    take(&*limits, ada, NOW + MINUTE).await.unwrap();
    // Its late word brings no token twice.
    limits.settle(&[(ada.key, 3, Duration::ZERO)]).await.unwrap();
    assert_eq!(take(&*limits, ada, NOW + MINUTE).await, Err(Empty::Until(MINUTE)));
}

/// F119: whatever the servers' own clocks say, they count by one that they share: the store's.
pub(super) async fn servers_whose_clocks_differ_count_by_the_stores(store: Store) {
    let Some(limits) = store.limits() else { return };
    let ada = bucket(LimitKind::Account, 1);
    let ask = async || limits.take(&ada, None, None).await.unwrap().first;
    for _ in 0..3 {
        let token = ask().await.unwrap();
        assert!(token.back <= MINUTE * 3 && token.back > Duration::ZERO);
    }
    limits.settle(&[(ada.key, 3, Duration::ZERO)]).await.unwrap();
    let Err(Empty::Until(wait)) = ask().await else { panic!("a fourth guess") };
    assert!(wait <= MINUTE && wait > MINUTE / 2, "{wait:?}");
    // Nothing is full yet, by that clock.
    assert_eq!(limits.sweep(None, 100).await.unwrap().removed, 0);
}

/// What was counted while the shared clock was an hour ahead holds up nobody longer than the rate does.
pub(super) async fn a_clock_that_is_ahead_locks_nobody_out(store: Store) {
    let Some(limits) = store.limits() else { return };
    let ada = bucket(LimitKind::Account, 1);
    for _ in 0..3 {
        take(&*limits, ada, NOW + MINUTE * 60).await.unwrap();
    }
    limits.settle(&[(ada.key, 3, Duration::ZERO)]).await.unwrap();
    assert_eq!(take(&*limits, ada, NOW).await, Err(Empty::Until(MINUTE)));
    take(&*limits, ada, NOW + MINUTE).await.unwrap();
}

pub(super) async fn a_sweep_removes_only_full_buckets(store: Store) {
    let Some(limits) = store.limits() else { return };
    for n in 0..9 {
        take(&*limits, bucket(LimitKind::Account, n), NOW + Duration::from_secs(n.into())).await.unwrap();
    }
    let first = bucket(LimitKind::Network, 1);
    let taken = limits.take(&first, Some(&bucket(LimitKind::Familiar, 1)), Some(NOW)).await.unwrap();
    assert!(taken.first.is_ok() && matches!(taken.then, Some(Ok(_))));
    // Empty, a first bucket keeps the other one from being made.
    for _ in 0..2 {
        take(&*limits, first, NOW).await.unwrap();
    }
    assert_eq!(limits.take(&first, Some(&bucket(LimitKind::Familiar, 2)), Some(NOW)).await.unwrap().then, None);
    let swept = limits.sweep(Some(NOW + MINUTE - Duration::from_millis(1)), 100).await.unwrap();
    assert_eq!((swept.removed, swept.left.iter().map(|(_, left)| left).sum::<u64>()), (0, 11));
    // The first five of the accounts' are full by now, and the familiar one; three at a time.
    let at = NOW + MINUTE + Duration::from_secs(4);
    let mut removed = Vec::new();
    for _ in 0..3 {
        let swept = limits.sweep(Some(at), 3).await.unwrap();
        removed.push((swept.removed, swept.left.iter().map(|(_, left)| left).sum::<u64>()));
    }
    assert_eq!(removed, [(3, 8), (3, 5), (0, 5)]);
    // What is gone was full, and is full again.
    for _ in 0..3 {
        take(&*limits, bucket(LimitKind::Account, 0), at).await.unwrap();
    }
}

/// F118: past the bound, keys that are not known share a few buckets, and known ones keep theirs.
pub(super) async fn past_the_bound_new_keys_share_buckets(store: Store) {
    let settings = LimitSettings { capacity: 50, ..LimitSettings::default() };
    let servers = Servers::set(&store, settings);
    for round in 0..3 {
        for n in 0..100 {
            let name = format!("p{round}x{n}");
            if let Ok(attempt) = servers.any(n).begin(Some(&address(&name)), elsewhere(n), Familiar::No).await {
                attempt.wrong();
            }
        }
        for server in &servers.limits {
            server.sweep(1000).await.unwrap();
        }
    }
    let Some(limits) = store.limits() else { return };
    // Each of two servers may make so many before the first sweep tells it of the other's.
    let left = limits.sweep(Some(NOW), 1000).await.unwrap().left;
    assert!(left.iter().all(|(_, left)| *left <= 2 * 50 + 16), "{left:?}");
    assert_eq!(servers.guess("p0x0", 20).await, 9, "one that is known keeps its own");
}
