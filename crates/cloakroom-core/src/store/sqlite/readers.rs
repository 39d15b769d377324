//! The connections that read, and who may use one now.
//!
//! Each sees every acknowledged write when it begins, and stands still while it reads (WAL). There are a few of them and
//! waiting for one is bounded.

use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{options::Options, schema};
use crate::store::StoreError;

/// How long a read waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// A few connections; cheap to clone.
#[derive(Clone)]
pub(super) struct Readers(Arc<Pool>);

struct Pool {
    path: PathBuf,
    options: Options,
    turn: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Readers of a file; none is opened yet.
    pub(super) fn new(path: PathBuf, options: Options) -> Self {
        let turn = Arc::new(Semaphore::new(options.readers.max(1)));
        Self(Arc::new(Pool { path, options, turn, idle: Mutex::new(Vec::new()) }))
    }

    /// Reads in one transaction.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = timeout(PATIENCE, Arc::clone(&self.0.turn).acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| StoreError::Unavailable("too many reads are waiting".to_owned()))?;
        let pool = Arc::clone(&self.0);
        spawn_blocking(move || {
            let outcome = pool.read(work);
            drop(turn);
            outcome
        })
        .await
        .map_err(|_| StoreError::Unavailable("a read failed by a fault of the program".to_owned()))?
    }
}

impl Pool {
    /// A connection on which a read failed is closed rather than used again.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle.lock().pop();
        let connection = idle.map_or_else(|| schema::open_reader(&self.path, &self.options), Ok)?;
        let outcome = work(&connection)?;
        self.idle.lock().push(connection);
        Ok(outcome)
    }
}
