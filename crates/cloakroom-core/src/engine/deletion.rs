//! The clock that deletion goes by.
//!
//! A wall clock that is ahead by a month for a minute, be it the store's own, would delete what lives for another month. So
//! what is removed for good goes by a clock that stands in the store and that servers move on, each by no more than the store's
//! time and its own boot clock have both moved since it last saw it; by twice that while it is behind. A clock that is wrong
//! for an hour then costs an hour.

use parking_lot::Mutex;

use super::Engine;
use crate::{
    audit::Filter,
    clock::{Boot, Timestamp},
    store::{DeletionClock, DeletionTime, StoreError},
};

/// What this server saw of the clock last, and when by its boot clock.
#[derive(Default)]
pub(super) struct Deletion(Mutex<Option<(DeletionClock, Boot)>>);

/// No clock of deletion stands before this: it was never set, or by a machine that did not know the time. 2025-01-01.
const NEVER_SET: Timestamp = Timestamp::from_secs(1_735_689_600);

impl Engine {
    /// The moment up to which what is over may be removed. Moves the clock on, if no other server has since this one saw it.
    pub(super) async fn deletion_time(&self) -> Result<DeletionTime, StoreError> {
        let accounts = &self.shared.stores.accounts;
        let seen = *self.deletion.0.lock();
        let asked = self.shared.clock.boot();
        let mut now = accounts.deletion_clock(self.shared.clock.by_hand()).await?;
        let read = self.shared.clock.boot();
        let to = match seen {
            _ if now.stands < NEVER_SET => self.first(now.time).await?,
            Some((seen, then)) if seen.stands == now.stands => seen.moved_on(now.time, asked.since(then)),
            _ => now.stands,
        };
        // Whoever was faster has set it by the same rule.
        if to > now.stands && accounts.move_deletion_clock(now.stands, to).await? {
            now.stands = to;
        }
        *self.deletion.0.lock() = Some((now, read));
        Ok(now.over())
    }

    /// Where the clock begins: at the last event that was written down, for the present may be wrong on just this day.
    async fn first(&self, time: Timestamp) -> Result<Timestamp, StoreError> {
        let last = self.shared.stores.accounts.audit_page(&Filter::default(), 1).await?;
        let last = last.first().map(|stored| stored.at).filter(|at| *at >= NEVER_SET);
        Ok(last.map_or(time, |last| last.min(time)))
    }
}
