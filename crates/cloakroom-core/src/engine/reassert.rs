//! Ends done again, where sessions stand apart from the revocation log: a crash can come between an end's line and its
//! deletion, a failover or an older copy can undo the deletion, and another server knows nothing of a record that it does not
//! share.
//!
//! Every record that is read is held against the log as well, so that what came back is refused whether or not it has been
//! found here yet; this removes it for good, before the log forgets. A store that comes from before what the log has forgotten
//! is not used: at a start, and from the moment on at which it is found out under a running server.

use super::{Engine, StartError};
use crate::store::{StoreError, TooOld, behind, forget_ended};

impl Engine {
    /// Deletes again what the log says has ended since the store's watermark, and moves that to the log's last line as it was
    /// before. How many sessions. Nothing is to be done where an end is one transaction with its deletion.
    ///
    /// # Errors
    /// [`StoreError::TooOld`] when the log no longer has all that the store may lack: then the store is not used until this
    /// finds a newer one there, or an empty one. Otherwise as of any store; then the watermark stays, and the next call begins
    /// there.
    pub async fn assert_ends(&self) -> Result<usize, StoreError> {
        if !self.shared.stores.may_diverge() {
            return Ok(0);
        }
        let done = self.catch_up().await;
        match &done {
            Ok(_) if self.watch.sessions.open() => tracing::info!("the store of sessions is used again"),
            Err(StoreError::TooOld(old)) if self.watch.sessions.shut(*old) => {
                // What was read of it in the meantime is believed no longer.
                self.verifier.drop_facts();
                tracing::error!(error = %old, "the store of sessions is not used");
            }
            _ => {}
        }
        done
    }

    /// Why the store of sessions is not used, if it is not.
    pub fn refused_sessions(&self) -> Option<TooOld> {
        self.watch.sessions.why()
    }

    async fn catch_up(&self) -> Result<usize, StoreError> {
        let stores = &self.shared.stores;
        let behind = behind(&*stores.sessions, &*stores.accounts, self.shared.clock.now()).await?;
        let last = behind.log.last_line();
        let done = forget_ended(&*stores.sessions, &*stores.accounts, behind.line).await?;
        // Lines of this log come in order, so that everything up to this one was among what was read.
        if behind.watermark.parts().any(|marks| !marks.contains(&last)) {
            stores.sessions.advance_watermark(&behind.watermark, last).await?;
        }
        Ok(done)
    }

    /// Refuses a store of sessions that comes from a time which the log no longer reaches, and deletes what it may have
    /// lost.
    pub(super) async fn settle_ends(&self) -> Result<(), StartError> {
        self.assert_ends().await?;
        Ok(())
    }
}
