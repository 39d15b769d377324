//! How fast sessions of one account begin: [`AT_ONCE`] at once, then one a second. Whoever is faster waits.
//!
//! Ends are never limited, because an end that is refused leaves a session alive; beginnings are, so that nobody who knows one
//! password fills the stores with sessions, and the log with their ends.

use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::{
    clock::{Boot, Clock},
    ids::AccountId,
    refusal::{Reason, Refusal},
    seats::Seats,
};

/// How many sessions of an account may begin at once.
pub const AT_ONCE: u32 = 100;
/// How long each takes to be made good for.
const EACH: Duration = Duration::from_secs(1);
/// The longest that anybody waits; a turn further away is refused.
pub const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How many may wait.
const WAITING: usize = 1024;
/// How many accounts are remembered; each is forgotten once all its sessions have been made good for.
const ACCOUNTS: usize = 65_536;

/// Until when each account's last sessions are being made good for.
pub(super) struct Births {
    clock: Clock,
    accounts: Mutex<HashMap<AccountId, Boot>>,
    waiting: Seats,
}

impl Births {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, accounts: Mutex::default(), waiting: Seats::new(WAITING) }
    }

    /// Waits until a session of this account may begin; before it waits, it lets go of what others need.
    ///
    /// # Errors
    /// `rate_limited`: its turn is too far away.
    pub(super) async fn turn(&self, account: AccountId, let_go: impl FnOnce()) -> Result<(), Refusal> {
        let refuse = |wait: Duration| Err(Refusal::from(Reason::AccountLimited).retry_after(wait));
        let wait = match self.take(account) {
            Ok(wait) if wait.is_zero() => return Ok(()),
            Ok(wait) => wait,
            Err(wait) => return refuse(wait),
        };
        let Some(_seat) = self.waiting.take() else { return refuse(wait) };
        let_go();
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Takes a turn: how far away it is, or would be.
    fn take(&self, account: AccountId) -> Result<Duration, Duration> {
        let now = self.clock.boot();
        let mut accounts = self.accounts.lock();
        if accounts.len() >= ACCOUNTS && !accounts.contains_key(&account) {
            accounts.retain(|_, until| *until > now);
            if accounts.len() >= ACCOUNTS {
                // As many accounts as these sign in at once: none of them alone is the trouble.
                return Ok(Duration::ZERO);
            }
        }
        let until = accounts.get(&account).copied().unwrap_or(now).max(now) + EACH;
        let wait = until.since(now).saturating_sub(EACH * AT_ONCE);
        if wait > LONGEST_WAIT {
            return Err(wait.saturating_sub(LONGEST_WAIT));
        }
        accounts.insert(account, until);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, random::Rng};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_hundred_begin_at_once_then_one_a_second_and_the_far_away_are_refused() {
        let (clock, hands) = Clock::manual(NOW);
        let births = Births::new(clock);
        let (rng, second) = (Rng::seeded(1), Duration::from_secs(1));
        let (ada, bob) = (AccountId::generate(NOW, &rng), AccountId::generate(NOW, &rng));
        for _ in 0..AT_ONCE {
            assert_eq!(births.take(ada), Ok(Duration::ZERO));
        }
        for n in 1..=20 {
            assert_eq!(births.take(ada), Ok(second * n));
        }
        assert_eq!(births.take(ada), Err(second));
        assert_eq!(births.take(bob), Ok(Duration::ZERO), "another account does not wait");
        hands.advance(second);
        assert_eq!(births.take(ada), Ok(second * 20), "who was refused took no turn");
        hands.advance(second * 120);
        assert_eq!(births.take(ada), Ok(Duration::ZERO));
    }

    #[test]
    fn no_more_accounts_are_remembered_than_have_sessions_to_be_made_good_for() {
        let (clock, hands) = Clock::manual(NOW);
        let (births, rng) = (Births::new(clock), Rng::seeded(2));
        for _ in 0..ACCOUNTS + 10 {
            assert_eq!(births.take(AccountId::generate(NOW, &rng)), Ok(Duration::ZERO));
        }
        assert_eq!(births.accounts.lock().len(), ACCOUNTS);
        hands.advance(EACH);
        assert_eq!(births.take(AccountId::generate(NOW, &rng)), Ok(Duration::ZERO));
        assert_eq!(births.accounts.lock().len(), 1);
    }
}
