//! Waiting for what others wrote, before it is acknowledged a second time.
//!
//! What PostgreSQL shows is not always as durable as what it has acknowledged: an operator who ends the wait of a commit, or a
//! restart of the primary in the middle of one, shows what no standby has. So whoever finds a thing done already waits for a
//! commit that comes after it in the write-ahead log: one for all who ask at a time.

use super::{
    Postgres,
    gather::Question,
    pool::{Nature::Write, Pool},
};
use crate::store::StoreError;

/// Writes a few bytes into the write-ahead log, and no table: its commit is waited for like any other, as one that changes
/// nothing is not, and it stands in nobody's way.
const SETTLE: &str = "SELECT pg_logical_emit_message(true, 'cloakroom', ''::text)";

/// Somebody waits for what others wrote.
pub(super) struct Settling;

impl Question for Settling {
    type Answer = ();
    const MOST: usize = usize::MAX;
    const AT_ONCE: usize = 1;

    async fn ask(pool: &Pool, questions: &[Self]) -> Result<Vec<()>, StoreError> {
        pool.rows(Write, SETTLE, &[]).await?;
        Ok(vec![(); questions.len()])
    }
}

impl Postgres {
    /// Answers when everything that was visible before is as durable as a write of one's own.
    pub(super) async fn settle_others(&self) -> Result<(), StoreError> {
        self.0.settlings.ask(Settling).await
    }

    /// Whether something was done; if it was done by others, that is waited for.
    pub(super) async fn settled_unless(&self, done: bool) -> Result<bool, StoreError> {
        if !done {
            self.settle_others().await?;
        }
        Ok(done)
    }
}
