//! How many commits may be under way, and what happens when they are not answered.
//!
//! A commit that PostgreSQL does not answer is never told to stop: PostgreSQL would end the wait, not the transaction, and then
//! show what no standby has. So it is waited for, on its connection, for as long as it takes, though whoever asked has been told
//! that it took too long. A quarter of the connections at most can wait so. While commits are answered, writes wait for their
//! turn; once all that there may be are overdue, nothing more is begun.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

use crate::store::StoreError;

/// One of so many connections may wait for a commit.
const SHARE: usize = 4;

/// The commits of one pool.
pub(super) struct Commits {
    most: usize,
    turns: Arc<Semaphore>,
    overdue: watch::Sender<usize>,
}

impl Commits {
    /// Those of so many connections.
    pub(super) fn among(connections: usize) -> Self {
        let most = (connections / SHARE).max(1);
        Self { most, turns: Arc::new(Semaphore::new(most)), overdue: watch::Sender::new(0) }
    }

    /// The right to one, which is held until it has been answered.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it was no one's turn within `patience`, or all that there may be are overdue.
    pub(super) async fn turn(&self, patience: Duration) -> Result<Commit, StoreError> {
        let mut overdue = self.overdue.subscribe();
        let turn = async {
            tokio::select! {
                biased;
                turn = Arc::clone(&self.turns).acquire_owned() => {
                    turn.map_err(|_| StoreError::Unavailable("the store is closed".to_owned()))
                }
                _ = overdue.wait_for(|overdue| *overdue >= self.most) => Err(StoreError::Unavailable(format!(
                    "PostgreSQL has left {} commits unanswered, and no more are begun: is its synchronous standby there, and is \
                     there room on its disk?",
                    self.most
                ))),
            }
        };
        let slow = |_| StoreError::Unavailable("too many writes wait for PostgreSQL".to_owned());
        let turn = timeout(patience, turn).await.map_err(slow)??;
        Ok(Commit { overdue: None, all: self.overdue.clone(), _turn: turn })
    }

    /// How many are overdue.
    pub(super) fn overdue(&self) -> usize {
        *self.overdue.borrow()
    }
}

/// The right to one commit.
pub(super) struct Commit {
    overdue: Option<Overdue>,
    all: watch::Sender<usize>,
    // Given back after it has been counted out of those that are overdue.
    _turn: OwnedSemaphorePermit,
}

impl Commit {
    /// It is waited for, and has taken longer than it may.
    pub(super) fn is_overdue(&mut self) {
        if self.overdue.is_none() {
            tracing::warn!("PostgreSQL does not answer a commit, which is waited for on its connection");
            self.all.send_modify(|overdue| *overdue += 1);
            self.overdue = Some(Overdue(self.all.clone()));
        }
    }
}

/// One that is counted among those that are overdue.
struct Overdue(watch::Sender<usize>);

impl Drop for Overdue {
    fn drop(&mut self) {
        self.0.send_modify(|overdue| *overdue -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn there_is_one_at_least_and_a_quarter_of_the_connections_at_most() {
        for (connections, most) in [(1, 1), (3, 1), (4, 1), (7, 1), (8, 2), (32, 8)] {
            let commits = Commits::among(connections);
            let mut held = Vec::new();
            while let Some(turn) = pin!(commits.turn(MINUTE)).now_or_never() {
                held.push(turn.unwrap());
            }
            assert_eq!(held.len(), most, "of {connections}");
        }
    }

    /// R13: a burst waits for its turn; nobody waits for what is not coming.
    #[tokio::test]
    async fn writes_wait_for_their_turn_and_are_refused_while_all_commits_are_overdue() {
        let commits = Commits::among(8);
        let [mut first, mut second] = [commits.turn(MINUTE).await.unwrap(), commits.turn(MINUTE).await.unwrap()];
        let mut waiting = pin!(commits.turn(MINUTE));
        assert!(waiting.as_mut().now_or_never().is_none());
        first.is_overdue();
        first.is_overdue();
        assert_eq!(commits.overdue(), 1);
        assert!(waiting.as_mut().now_or_never().is_none(), "the other is answered in time");
        second.is_overdue();
        for refused in [waiting.await, commits.turn(MINUTE).await] {
            assert!(matches!(refused.err(), Some(StoreError::Unavailable(why)) if why.contains("2 commits")));
        }
        drop(first);
        assert_eq!(commits.overdue(), 1);
        assert!(commits.turn(MINUTE).await.is_ok(), "one was answered");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_turn_for_ever() {
        let commits = Commits::among(1);
        let _held = commits.turn(MINUTE).await.unwrap();
        let refused = commits.turn(Duration::from_millis(5)).await.err();
        assert!(matches!(refused, Some(StoreError::Unavailable(why)) if why.contains("too many writes")));
    }
}
