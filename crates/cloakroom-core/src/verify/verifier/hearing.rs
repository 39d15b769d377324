//! How a verifier hears of what has ended: from its own process at once, and from the log, which gives it its lease.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::sync::watch;

use super::Verifier;
use crate::{
    clock::{Boot, LEAP, Told},
    ids::SessionId,
    method::Check,
    refusal::{Reason, Refusal},
    revocation::{Answer, Entry, Gap, Heard, Position},
    tasks::{Over, Pulse},
};

/// How long the question for what has ended may take, and whoever waits for a lease waits for pages of the answer.
pub(super) const RENEWAL_LIMIT: Duration = Duration::from_secs(1);

/// A wall clock that is further off than this from the store's time is told of.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

impl Verifier {
    /// Takes in what this process has just written into the log, before that is acknowledged.
    pub fn hear(&self, entries: &[Entry]) {
        let now = self.clock.boot();
        let mut vigil = self.vigil.write();
        for entry in entries {
            vigil.hear_own(now, entry);
        }
        drop(vigil);
        self.heard.send_modify(|heard| *heard = heard.wrapping_add(1));
    }

    /// Changes whenever something new was heard.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.heard.subscribe()
    }

    /// Whether this session is known to have ended: within the last hour, and as long as there was room for that.
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.vigil.read().ended().has_session(session)
    }

    /// How far it has heard.
    pub fn position(&self) -> Option<Position> {
        self.vigil.read().position()
    }

    /// Hears the log up to a position that somebody else has heard, if that is not done.
    pub async fn hear_up_to(&self, position: Position) -> Result<(), Refusal> {
        let heard = self.position();
        if heard.is_some_and(|p| p.incarnation == position.incarnation && p.sequence >= position.sequence) {
            return Ok(());
        }
        // Whatever was in any log when this was asked is heard by this question.
        self.renew_lease().await
    }

    /// Follows the log for as long as the task lives: asks again well before the lease of any app runs out, and when
    /// [woken](Self::wake).
    pub async fn follow(&self, pulse: &Pulse) -> Over {
        let lag = self.apps.iter().map(|app| app.lag(Check::Signature)).min().unwrap_or_default();
        loop {
            if let Err(refusal) = pulse.round(self.renew_lease()).await {
                tracing::warn!(reason = refusal.reason.as_str(), "the revocation log does not answer");
            }
            let pause = tokio::time::sleep((lag / 4).max(Duration::from_millis(10)));
            tokio::select! { () = pause => {}, () = self.wake.notified() => {} }
        }
    }

    /// There is something new in the log.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// One round trip to the log, for all who ask at a time. The lease runs from before the question was sent. Where the
    /// answer has many pages, another call goes on where this one had to stop.
    pub async fn renew_lease(&self) -> Result<(), Refusal> {
        self.renewals
            .ask(async || {
                let heard = self.hear_of_ends().await;
                self.deaf.store(heard.is_err(), Ordering::Relaxed);
                heard
            })
            .await
    }

    /// Whether the log answered when it was last asked.
    pub fn hears(&self) -> bool {
        !self.deaf.load(Ordering::Relaxed)
    }

    /// The first lease, however many pages that takes.
    pub async fn take_first_lease(&self) -> Result<(), Refusal> {
        loop {
            let before = self.vigil.read().question();
            match self.renew_lease().await {
                Err(_) if self.vigil.read().question() != before => {}
                taken => return taken,
            }
        }
    }

    async fn hear_of_ends(&self) -> Result<(), Refusal> {
        let lost = || Refusal::from(Reason::LeaseLost).retry_after(RENEWAL_LIMIT);
        let begun = self.clock.boot();
        let mut gaps = 0;
        loop {
            let asked = self.clock.boot();
            if asked.since(begun) >= RENEWAL_LIMIT {
                return Err(lost());
            }
            let since = self.vigil.read().question();
            let question = self.backing.ended_since(since);
            let answer = tokio::time::timeout(RENEWAL_LIMIT, question).await.map_err(|_| lost())??;
            // The keys first: with a killed one among them nothing is signed or published once its end was heard.
            let keys = tokio::time::timeout(RENEWAL_LIMIT, self.backing.follow_keys(&answer)).await;
            let heard = self.hear_answer(asked, &answer);
            if !answer.entries.is_empty() {
                self.heard.send_modify(|heard| *heard = heard.wrapping_add(1));
            }
            if let Err(refusal) = keys.map_err(|_| lost()).flatten() {
                self.vigil.write().lose_lease();
                return Err(refusal);
            }
            match heard {
                Ok(Heard::All) => {
                    self.counts.leases.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Ok(Heard::Page) => {}
                // A gap is answered by a snapshot, so that there is no second one.
                Err(Gap) if gaps > 0 => return Err(lost()),
                Err(Gap) => gaps += 1,
            }
        }
    }

    /// The wall clock judges nothing, but certificates and other programs go by it: one that is off is told.
    fn compare_clocks(&self) {
        let Some(off) = self.clock.wall_offset() else { return };
        self.backing.note_clock_offset(off);
        let is_off = off.unsigned_abs() > CLOCK_TOLERANCE.as_millis() as u64;
        if is_off == self.clock_is_off.swap(is_off, Ordering::Relaxed) {
            return;
        }
        if is_off {
            tracing::warn!(off_by_ms = off, "this machine's clock is off; the store's time is gone by");
        } else {
            tracing::info!("this machine's clock agrees with the store's again");
        }
    }

    fn hear_answer(&self, asked: Boot, answer: &Answer) -> Result<Heard, Gap> {
        let mut vigil = self.vigil.write();
        if self.clock.hear(asked, answer.time) == Told::Leapt {
            tracing::warn!(
                "a clock has leapt by more than {} s against the boot clock: what has ended is taken anew",
                LEAP.as_secs()
            );
            vigil.distrust();
        }
        self.compare_clocks();
        let (now, boot) = self.clock.moment();
        let news = |entry: &&Entry| !answer.snapshot && !vigil.ended().holds(&entry.end);
        let written: Vec<_> = answer.entries.iter().filter(news).filter_map(|entry| entry.at).collect();
        let heard = vigil.hear(asked, boot, answer)?;
        drop(vigil);
        for at in written {
            self.counts.lag.observe(now.since(at));
            self.backing.note_lag(now.since(at));
        }
        Ok(heard)
    }
}
