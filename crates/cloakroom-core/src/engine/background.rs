//! What goes on by itself: following the log, writing activity, sweeping, pruning, rotating keys.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{Engine, standstill::BEAT};
use crate::{
    store::StoreError,
    tasks::{self, Kept, Over},
};

/// The background tasks of an engine. They end when this is dropped.
#[must_use]
pub struct Background(Vec<Kept>);

impl Background {
    /// Ends the tasks, and waits until each has.
    pub async fn stop(self) {
        join_all(self.0.into_iter().map(Kept::stop)).await;
    }
}

const FLUSH_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(30);
const ASSERT_EVERY: Duration = Duration::from_secs(30);
const ROTATE_EVERY: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a round of a task may take before the task counts as standing still: well above what the stores may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Much may wait to be swept, or to be ended again.
const LONG_PATIENCE: Duration = Duration::from_secs(600);
/// Ends that come together are one question.
const GATHER: Duration = Duration::from_millis(10);
/// Connections to a store of sessions that are made anew together are one look at how far it is.
const GATHER_TAKEOVERS: Duration = Duration::from_secs(1);
/// Small, so that a sweep never holds the writer for long.
const BATCH: usize = 500;

impl Engine {
    /// Starts the background tasks on the present runtime.
    pub fn spawn(self: &Arc<Self>) -> Background {
        let engine = Arc::clone(self);
        let follow = tasks::keep("follow", PATIENCE, move |pulse| {
            let engine = Arc::clone(&engine);
            async move { engine.verifier.follow(&pulse).await }
        });
        let mut kept = vec![
            follow,
            self.every("activity", [FLUSH_EVERY, PATIENCE], |engine| async move {
                report(engine.shared.flush_touches().await);
            }),
            self.every("sweep", [SWEEP_EVERY, LONG_PATIENCE], |engine| async move {
                report(engine.sweep().await.map(|_| ()));
            }),
            self.every("ends", [ASSERT_EVERY, LONG_PATIENCE], |engine| async move { engine.assert_and_report().await }),
            // A server of the release before changes keys without a word; so the rows are read now and then anyway. Where a key is
            // wanted and cannot be made, that is tried again after a while.
            self.every("keys", [FLUSH_EVERY, ROTATE_EVERY + PATIENCE], |engine| async move {
                let _ = tokio::time::timeout(ROTATE_EVERY, engine.shared.keychain.wants_keys()).await;
                engine.tend_keys().await;
            }),
            self.every("beat", [BEAT, PATIENCE], |engine| async move { engine.standstill.beat() }),
            self.every("look", [LOOK_EVERY, PATIENCE], |engine| async move { engine.look_around().await }),
        ];
        if let Some(calls) = self.shared.stores.accounts.log_calls() {
            let engine = Arc::clone(self);
            kept.push(tasks::keep("calls", PATIENCE, move |_| {
                let (engine, mut calls) = (Arc::clone(&engine), calls.clone());
                async move {
                    while calls.changed().await.is_ok() {
                        engine.verifier.wake();
                        tokio::time::sleep(GATHER).await;
                    }
                    Over
                }
            }));
        }
        if let Some(takeovers) = self.shared.stores.sessions.takeovers() {
            let engine = Arc::clone(self);
            kept.push(tasks::keep("takeovers", LONG_PATIENCE, move |_| {
                let (engine, mut takeovers) = (Arc::clone(&engine), takeovers.clone());
                async move {
                    while takeovers.changed().await.is_ok() {
                        engine.assert_and_report().await;
                        // A server that comes and goes is looked at once a second.
                        tokio::time::sleep(GATHER_TAKEOVERS).await;
                    }
                    Over
                }
            }));
        }
        Background(kept)
    }

    fn every<F>(
        self: &Arc<Self>,
        name: &'static str,
        times: [Duration; 2],
        work: impl Fn(Arc<Self>) -> F + Clone + Send + Sync + 'static,
    ) -> Kept
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let engine = Arc::clone(self);
        tasks::every(name, times, move || work(Arc::clone(&engine)))
    }

    /// Writes what waits: activity and audit lines. Called at shutdown; safe to call at any time.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.shared.flush_touches().await?;
        self.audit.flush().await;
        Ok(())
    }

    /// Removes what nobody can use any more, in small batches: expired sessions, old lines of both logs, keys whose
    /// last credential is over, counts of attempts that say nothing any more. All but the counts go by the clock of deletion.
    /// How many rows.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let now = self.deletion_time().await?;
        let stores = &self.shared.stores;
        let mut removed = self.shared.keychain.forget(now, stores).await?;
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

    async fn assert_and_report(&self) {
        match self.assert_ends().await {
            // It says so itself, once.
            Err(StoreError::TooOld(_)) => {}
            done => report(done.map(drop)),
        }
    }

    /// Reads the keys, and makes those that are due.
    pub async fn tend_keys(&self) {
        let shared = &self.shared;
        match shared.keychain.rotate_due(&shared.stores, &shared.clock, &shared.rng).await {
            Ok(made) => self.note_keys(&made),
            Err(error) => tracing::error!(%error, "the keys cannot be rotated"),
        }
    }
}

fn report(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::error!(%error, "background work could not be written; it is tried again");
    }
}
