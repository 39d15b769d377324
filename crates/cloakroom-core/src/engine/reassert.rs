//! Ends done again, where sessions stand apart from the revocation log: a crash can come between an end's line and its
//! deletion, a failover or an older copy can undo the deletion, and another server knows nothing of a record that it does not
//! share.
//!
//! Every record that is read is held against the log as well, so that what came back is refused whether or not it has been
//! found here yet; this removes it for good, before the log forgets.

use super::{Engine, StartError};
use crate::{
    revocation::Position,
    store::{StoreError, forget_ended, out_of_reach},
};

impl Engine {
    /// Deletes again what the log says has ended since the store's watermark, and moves that to the head as it was before.
    /// How many sessions. Nothing is to be done where an end is one transaction with its deletion.
    ///
    /// # Errors
    /// As of any store; then the watermark stays, and the next call begins there.
    pub async fn assert_ends(&self) -> Result<usize, StoreError> {
        let stores = &self.shared.stores;
        if !stores.may_diverge() {
            return Ok(0);
        }
        let head = stores.accounts.log_head().await?;
        let mark = stores.sessions.watermark().await?;
        self.assert_between(mark, head).await
    }

    async fn assert_between(&self, mark: Option<Position>, head: Position) -> Result<usize, StoreError> {
        let stores = &self.shared.stores;
        let done = forget_ended(&*stores.sessions, &*stores.accounts, since(mark, head)).await?;
        // Lines of this log come in order, so that everything up to this head was among what was read.
        stores.sessions.set_watermark(head).await?;
        Ok(done)
    }

    /// Refuses a store of sessions that comes from a time which the log no longer reaches, and deletes what it may have
    /// lost.
    pub(super) async fn settle_ends(&self) -> Result<(), StartError> {
        let stores = &self.shared.stores;
        if !stores.may_diverge() {
            return Ok(());
        }
        let head = stores.accounts.log_head().await?;
        let mark = stores.sessions.watermark().await?;
        if let Some((seen, pruned)) = out_of_reach(&*stores.accounts, mark, head).await? {
            return Err(StartError::SessionsTooOld { seen, pruned });
        }
        let done = self.assert_between(mark, head).await?;
        if mark.is_none() && done > 0 {
            tracing::warn!(done, "the store of sessions did not say what it had seen of the log; ends were done again");
        }
        Ok(())
    }
}

/// The line from which on ends may be missing.
fn since(mark: Option<Position>, head: Position) -> u64 {
    match mark {
        Some(mark) if mark.incarnation == head.incarnation => mark.sequence.min(head.sequence),
        _ => 0,
    }
}
