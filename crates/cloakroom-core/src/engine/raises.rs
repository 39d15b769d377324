//! 'End all others' of one account: once a second, however often it is asked for.
//!
//! The session that asks goes on, so it could ask a thousand times a second, and each time would be a line in the log that every
//! verifier hears. Requests of one session that wait for their turn share one raise: it begins after all of them were made,
//! so that it ends whatever any of them was to end.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::{
    clock::{Boot, Clock},
    ids::{AccountId, SessionId},
    refusal::Refusal,
};

/// How long one raise of an account comes after another.
const APART: Duration = Duration::from_secs(1);

/// Whose turn it is.
pub(super) struct Raises {
    clock: Clock,
    accounts: Mutex<HashMap<AccountId, Arc<Queue>>>,
}

#[derive(Default)]
struct Queue {
    begun: AtomicU64,
    last: tokio::sync::Mutex<Option<Raise>>,
}

struct Raise {
    number: u64,
    at: Boot,
    session: SessionId,
    done: bool,
}

impl Raise {
    /// How long the next one has to wait.
    fn wait(&self, now: Boot) -> Duration {
        APART.saturating_sub(now.since(self.at))
    }
}

impl Raises {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, accounts: Mutex::default() }
    }

    /// Does this for a session, unless the same was begun and done for it after this call.
    pub(super) async fn once<F: Future<Output = Result<(), Refusal>>>(
        &self,
        account: AccountId,
        session: SessionId,
        raise: impl FnOnce() -> F,
    ) -> Result<(), Refusal> {
        let queue = self.queue(account);
        let before = queue.begun.load(Ordering::SeqCst);
        let mut last = queue.last.lock().await;
        if let Some(last) = last.as_ref() {
            if last.session == session && last.done && last.number > before {
                return Ok(());
            }
            let wait = last.wait(self.clock.boot());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        let number = queue.begun.fetch_add(1, Ordering::SeqCst) + 1;
        // Noted before it is done: a client that hangs up meanwhile is no reason to be faster.
        let raise_of_now = last.insert(Raise { number, at: self.clock.boot(), session, done: false });
        let outcome = raise().await;
        raise_of_now.done = outcome.is_ok();
        outcome
    }

    fn queue(&self, account: AccountId) -> Arc<Queue> {
        let now = self.clock.boot();
        let mut accounts = self.accounts.lock();
        // What nobody waits in, and what is over, is forgotten.
        accounts.retain(|_, queue| {
            let over = |last: &Option<Raise>| last.as_ref().is_none_or(|last| last.wait(now).is_zero());
            Arc::strong_count(queue) > 1 || queue.last.try_lock().is_ok_and(|last| !over(&last))
        });
        Arc::clone(accounts.entry(account).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use futures_util::future::join_all;

    use super::*;
    use crate::{clock::Timestamp, random::Rng};

    /// R1: a thousand requests at once are two raises, and those of another session are its own.
    #[tokio::test]
    async fn requests_of_one_session_that_wait_share_a_raise() {
        let now = Timestamp::from_secs(1_800_000_000);
        let (clock, hands) = Clock::manual(now);
        let (raises, rng, raised) = (Raises::new(clock), Rng::seeded(1), AtomicU32::new(0));
        let account = AccountId::generate(now, &rng);
        let (one, other) = (SessionId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
        let ask = |session| {
            raises.once(account, session, async || {
                raised.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                hands.advance(APART);
                Ok(())
            })
        };
        assert!(join_all((0..1000).map(|_| ask(one))).await.iter().all(Result::is_ok));
        assert_eq!(raised.load(Ordering::SeqCst), 2);
        assert!(join_all([one, other, one].map(ask)).await.iter().all(Result::is_ok));
        assert_eq!(raised.load(Ordering::SeqCst), 5, "what another session does is not shared");
    }

    #[test]
    fn one_raise_comes_a_second_after_another() {
        let raise = |at| Raise { number: 1, at, session: SessionId::from_bytes([1; 16]), done: true };
        let began = Boot::from_millis(5_000);
        for (later, wait) in [(0, 1000), (400, 600), (1000, 0), (9000, 0)] {
            let now = began + Duration::from_millis(later);
            assert_eq!(raise(began).wait(now), Duration::from_millis(wait), "{later} ms later");
        }
    }

    #[tokio::test]
    async fn what_is_over_is_forgotten() {
        let now = Timestamp::from_secs(1_800_000_000);
        let (clock, hands) = Clock::manual(now);
        let (raises, rng) = (Raises::new(clock), Rng::seeded(2));
        let session = SessionId::from_bytes([1; 16]);
        for _ in 0..3 {
            raises.once(AccountId::generate(now, &rng), session, async || Ok(())).await.unwrap();
        }
        assert_eq!(raises.accounts.lock().len(), 3);
        hands.advance(APART);
        raises.once(AccountId::generate(now, &rng), session, async || Ok(())).await.unwrap();
        assert_eq!(raises.accounts.lock().len(), 1);
    }
}
