//! The connections that read, each on a thread of its own.
//!
//! Each read sees every write that was acknowledged when it began, and stands still while it reads (WAL). A few threads
//! take reads from one queue: they keep the disk's waits away from the runtime, and under load they cost what reading in
//! place would, a third of what a thread pool's task per read does. What takes long reads on a connection for itself.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::timeout,
};

use super::{options::Options, schema};
use crate::{
    store::StoreError,
    tasks::{self, Pulse},
};

/// The most reads that wait; more wait outside.
const QUEUE: usize = 1024;
/// How long a read may take, its waiting included.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a read may take before its thread counts as standing still, as on a disk that hangs.
const ROUND: Duration = Duration::from_secs(30);

/// Does a read on a connection that could, or could not, be opened; whether the connection is sound.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> bool + Send>;

/// The way to the reading threads; when it is dropped they close their connections and are waited for.
pub(super) struct Readers {
    jobs: Option<mpsc::Sender<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    file: Arc<File>,
}

struct File {
    path: PathBuf,
    options: Options,
}

impl Readers {
    /// Starts the threads.
    pub(super) fn start(path: PathBuf, options: Options) -> Result<Self, StoreError> {
        let count = options.readers.max(1);
        let file = Arc::new(File { path, options });
        let (jobs, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let (file, queue) = (Arc::clone(&file), Arc::clone(&queue));
            let life = move |pulse: &Pulse| work(&file, &queue, pulse);
            let thread = tasks::thread("sqlite-read", Some(number), ROUND, life);
            threads.push(thread.map_err(|e| super::error::of_io(&e))?);
        }
        Ok(Self { jobs: Some(jobs), threads: Mutex::new(threads), file })
    }

    /// Reads a little.
    pub(super) async fn run<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let outcome = connection.and_then(read);
            let sound = outcome.is_ok();
            // Whoever asked may have gone.
            let _ = reply.send(outcome);
            sound
        });
        let jobs = self.jobs.as_ref().ok_or_else(fault)?;
        let waited = timeout(PATIENCE, async {
            jobs.send(job).await.map_err(|_| fault())?;
            answer.await.map_err(|_| fault())?
        });
        waited.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a read took too long".to_owned())))
    }

    /// Reads a lot, for as long as it takes, on a connection that nobody else waits for.
    pub(super) async fn run_long<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let file = Arc::clone(&self.file);
        let work = spawn_blocking(move || read(&schema::open_reader(&file.path, &file.options)?));
        work.await.map_err(|_| fault())?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.lock().drain(..) {
            // It panics nowhere; if it did, there is nothing left to close.
            let _ = thread.join();
        }
    }
}

/// One thread. A connection on which a read failed is closed rather than used again.
fn work(file: &File, queue: &Mutex<mpsc::Receiver<Job>>, pulse: &Pulse) {
    let mut idle = None;
    loop {
        let next = queue.lock().blocking_recv();
        let Some(job) = next else { return };
        let round = pulse.begin();
        let connection = match idle.take() {
            Some(connection) => Ok(connection),
            None => schema::open_reader(&file.path, &file.options),
        };
        let sound = catch_unwind(AssertUnwindSafe(|| job(connection.as_ref().map_err(StoreError::clone))));
        if matches!(sound, Ok(true)) {
            idle = connection.ok();
        }
        round.done();
    }
}

fn fault() -> StoreError {
    StoreError::Unavailable("a read failed by a fault of the program".to_owned())
}
