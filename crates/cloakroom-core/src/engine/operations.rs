//! Operations: what has begun is finished, even if the client hangs up.
//!
//! An operation begins with its first write. Until then it may be dropped with its client: nothing was done but the attempt,
//! which is paid for. From then on it runs to its end, because a sign-out that stops between its two writes is forgotten later.
//! So each one runs in a task of its own, which also owns its place and what is [`counted`] for its client: one that hangs up a
//! thousand times holds a thousand places and connections, and no more work is under way than there are of either.

use std::{
    any::Any,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_util::task::TaskTracker;

use super::Engine;
use crate::{
    refusal::{Reason, Refusal},
    tasks,
    trace::Here,
};

/// How long a stop waits for what has begun.
pub const FINISHING: Duration = Duration::from_secs(10);

/// What a face counts for a client, such as its connection; it is counted until this is dropped.
pub type Counted = Arc<dyn Any + Send + Sync>;

tokio::task_local! {
    static COUNTED: Counted;
}

/// Does the work of a request. What is counted for its client stays so until every operation that the request began has ended.
pub async fn counted<T>(counted: Counted, work: impl Future<Output = T>) -> T {
    COUNTED.scope(counted, work).await
}

/// The operations that are under way.
#[derive(Default)]
pub(super) struct Operations(TaskTracker);

/// One that is under way: its place, and whether its client still waits. Only an operation has it, and what writes to a store for
/// somebody asks for it, so that nothing is written that a client who hangs up could cut.
pub(super) struct Underway {
    client: Weak<()>,
    place: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Underway {
    /// Said before the first write.
    ///
    /// # Errors
    /// The client has hung up: nothing was written, and nothing need be.
    pub(super) fn begin(&self) -> Result<(), Refusal> {
        if self.client.strong_count() == 0 { Err(Reason::HungUp.into()) } else { Ok(()) }
    }

    /// Leaves its place to others, because it only waits from here on.
    pub(super) fn leave_place(&self) {
        drop(self.place.lock().take());
    }
}

impl Engine {
    /// Runs an operation, which goes on if the one who awaits this is dropped.
    pub(super) async fn operation<T, E, F>(
        self: &Arc<Self>,
        place: OwnedSemaphorePermit,
        work: impl FnOnce(Arc<Self>, Underway) -> F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Refusal> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let waiting = Arc::new(());
        // Held here, whatever the work does with what it is given.
        let place = Arc::new(Mutex::new(Some(place)));
        let work = work(Arc::clone(self), Underway { client: Arc::downgrade(&waiting), place: Arc::clone(&place) });
        let counted = COUNTED.try_with(Counted::clone).ok();
        let here = Here::get();
        let work = async move {
            let done = match here {
                Some(here) => here.within(work).await,
                None => work.await,
            };
            drop((place, counted));
            done
        };
        let task = self.operations.0.spawn(tasks::guarded("operation", work));
        let done = task.await;
        drop(waiting);
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "an operation did not come to its end");
            Err(Refusal::from(Reason::Fault).into())
        })
    }

    /// How many operations are under way, those whose client has left among them.
    pub fn under_way(&self) -> usize {
        self.operations.0.len()
    }

    /// Waits until every operation that has begun is finished, for [`FINISHING`] at most; how many were left. What is cut then
    /// is what a crash would cut.
    pub async fn finish(&self) -> usize {
        self.operations.0.close();
        if timeout(FINISHING, self.operations.0.wait()).await.is_err() {
            tracing::warn!(
                operations = self.operations.0.len(),
                "operations were still under way when the server stopped"
            );
        }
        self.operations.0.len()
    }
}
