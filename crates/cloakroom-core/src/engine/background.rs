//! What goes on by itself: following the log, writing activity, sweeping, pruning, rotating keys.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::Engine;
use crate::store::StoreError;

/// The background tasks of an engine. They end when this is dropped.
#[must_use]
pub struct Background(JoinSet<()>);

impl Background {
    /// Ends the tasks, and waits until each has.
    pub async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

const FLUSH_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(30);
const ASSERT_EVERY: Duration = Duration::from_secs(30);
const ROTATE_EVERY: Duration = Duration::from_secs(60);
/// Ends that come together are one question.
const GATHER: Duration = Duration::from_millis(10);
/// Small, so that a sweep never holds the writer for long.
const BATCH: usize = 500;

impl Engine {
    /// Starts the background tasks on the present runtime.
    pub fn spawn(self: &Arc<Self>) -> Background {
        let mut tasks = JoinSet::new();
        let engine = Arc::clone(self);
        tasks.spawn(async move { engine.verifier.follow().await });
        if let Some(mut calls) = self.shared.stores.accounts.log_calls() {
            let engine = Arc::clone(self);
            tasks.spawn(async move {
                while calls.changed().await.is_ok() {
                    engine.verifier.wake();
                    tokio::time::sleep(GATHER).await;
                }
            });
        }
        every(&mut tasks, self, FLUSH_EVERY, |engine| async move { report(engine.shared.flush_touches().await) });
        every(&mut tasks, self, SWEEP_EVERY, |engine| async move { report(engine.sweep().await.map(|_| ())) });
        every(&mut tasks, self, ASSERT_EVERY, |engine| async move { report(engine.assert_ends().await.map(|_| ())) });
        every(&mut tasks, self, ROTATE_EVERY, |engine| async move { engine.tend_keys().await });
        Background(tasks)
    }

    /// Writes what waits: activity and audit lines. Called at shutdown; safe to call at any time.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.shared.flush_touches().await?;
        self.audit.flush().await;
        Ok(())
    }

    /// Removes what nobody can use any more, in small batches: expired sessions, old lines of both logs, counts of attempts
    /// that say nothing any more. How many rows.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let now = self.shared.clock.now();
        let stores = &self.shared.stores;
        let mut removed = 0;
        loop {
            let sessions = stores.sessions.sweep(now, BATCH).await?;
            let log = stores.accounts.prune_log(now, BATCH).await?;
            let audit = stores.accounts.prune_audit(now - self.settings.audit_life, BATCH).await?;
            let limits = self.limits.sweep(BATCH).await?;
            removed += sessions + log + audit + limits;
            if [sessions, log, audit, limits].iter().all(|some| *some < BATCH) {
                return Ok(removed);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Makes the keys that are due.
    pub async fn tend_keys(&self) {
        let shared = &self.shared;
        match shared.keychain.rotate_due(&shared.stores, &shared.clock, &shared.rng).await {
            Ok(made) => self.note_keys(&made),
            Err(error) => tracing::error!(%error, "the keys cannot be rotated"),
        }
    }
}

fn every<F>(
    tasks: &mut JoinSet<()>,
    engine: &Arc<Engine>,
    period: Duration,
    work: impl Fn(Arc<Engine>) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let engine = Arc::clone(engine);
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(period).await;
            work(Arc::clone(&engine)).await;
        }
    });
}

fn report(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::error!(%error, "background work could not be written; it is tried again");
    }
}
