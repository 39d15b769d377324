//! How much is measured.

use std::time::Duration;

/// How much is measured of a rig.
#[derive(Clone, Debug)]
pub struct Extent {
    /// Fewer rigs, fewer curves.
    pub(super) quick: bool,
    /// Rounds of verification and renewal.
    pub(super) rounds: usize,
    /// Rounds of logins.
    pub(super) login_rounds: usize,
    /// How long one of these takes; each client's last login is waited for.
    pub(super) login_lasting: Duration,
    /// How long any other takes.
    pub(super) lasting: Duration,
    /// Keep-alive connections, spread over the servers.
    pub(super) connections: usize,
    /// Clients that sign in at once, all at one server.
    pub(super) hashing: usize,
    /// Live logins of each method whose credentials go round.
    pub(super) credentials: usize,
    /// Refresh tokens of each method; each is used once.
    pub(super) refreshes: usize,
    /// Ends that are timed, of each method in each topology.
    pub(super) ends: usize,
    /// How long one is watched for at most.
    pub(super) watch: Duration,
    /// Numbers of live logins for the curves, ascending.
    pub(super) sizes: Vec<usize>,
    /// Facts that the near-cache holds while the curves are measured.
    pub(super) cache: usize,
    /// How many live logins a store gets to tell its bytes per login.
    pub(super) slope: usize,
    /// How many are signed in when something is killed.
    pub(super) survivors: usize,
}

impl Extent {
    /// In less than ten minutes, on two cores that do nothing else.
    pub fn full() -> Self {
        Self {
            quick: false,
            rounds: 6,
            login_rounds: 4,
            login_lasting: Duration::from_millis(250),
            lasting: Duration::from_millis(400),
            connections: 24,
            hashing: 2,
            credentials: 500,
            refreshes: 8_000,
            ends: 40,
            watch: Duration::from_secs(10),
            sizes: vec![1_000, 10_000, 100_000, 1_000_000],
            cache: 100_000,
            slope: 20_000,
            survivors: 40,
        }
    }

    /// In less than a minute.
    pub fn quick() -> Self {
        Self {
            quick: true,
            rounds: 3,
            login_rounds: 3,
            login_lasting: Duration::from_millis(40),
            hashing: 1,
            lasting: Duration::from_millis(80),
            credentials: 200,
            refreshes: 1_200,
            ends: 6,
            watch: Duration::from_millis(2_500),
            sizes: vec![1_000, 8_000, 20_000],
            cache: 4_000,
            slope: 3_000,
            survivors: 12,
            ..Self::full()
        }
    }

    /// Only to see that everything works: its figures say nothing.
    pub fn smallest() -> Self {
        Self {
            rounds: 2,
            lasting: Duration::from_millis(40),
            credentials: 60,
            refreshes: 200,
            ends: 3,
            sizes: vec![200, 400, 800],
            slope: 400,
            survivors: 6,
            ..Self::quick()
        }
    }
}
