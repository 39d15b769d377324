//! How much is allowed.

use std::time::Duration;

/// How the limits are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitSettings {
    /// Wrong secrets for one address, from all places that are not familiar together.
    pub account: Rate,
    /// Wrong secrets from one network.
    pub network: Rate,
    /// Wrong secrets for one account from one familiar network.
    pub familiar: Rate,
    /// Registrations from one network.
    pub registration: Rate,
    /// Keys that each limit keeps apart; further ones share buckets. A key takes some 45 bytes of memory, or some 150 of
    /// PostgreSQL's disk where the counts are shared.
    pub capacity: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            account: Rate::new(10, Duration::from_mins(1)),
            network: Rate::new(30, Duration::from_secs(10)),
            familiar: Rate::new(10, Duration::from_secs(30)),
            registration: Rate::new(20, Duration::from_mins(3)),
            capacity: 100_000,
        }
    }
}

/// How much of something is allowed: a burst, and then one more each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    burst: u32,
    every: Duration,
}

impl Rate {
    /// `burst` at once (1 or more), then one more after each time `every` (1 ms to a day; what is outside is moved in).
    pub fn new(burst: u32, every: Duration) -> Self {
        let every = every.clamp(Duration::from_millis(1), Duration::from_hours(24));
        // Whole milliseconds, as the clock counts.
        Self { burst: burst.max(1), every: Duration::from_millis(every.as_millis() as u64) }
    }

    /// How many at once.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The time after which one more is allowed.
    pub const fn every(self) -> Duration {
        self.every
    }

    /// The time in which an empty bucket becomes full.
    pub const fn capacity(self) -> Duration {
        self.every.saturating_mul(self.burst)
    }

    pub(super) fn shared_by(self, shares: u32) -> Self {
        Self::new(self.burst.saturating_mul(shares), self.every / shares)
    }
}

impl LimitSettings {
    pub(super) const fn rate(&self, limit: super::LimitKind) -> Rate {
        match limit {
            super::LimitKind::Network => self.network,
            super::LimitKind::Account => self.account,
            super::LimitKind::Familiar => self.familiar,
            super::LimitKind::Registration => self.registration,
        }
    }
}
