//! The one connection that writes, on a thread of its own.
//!
//! Jobs wait in a bounded queue. The thread takes whatever is waiting, does it all in one transaction, commits once, and
//! answers each (group commit): while one fsync runs the next batch gathers, so nothing waits for others to come. A job
//! that fails leaves the others of its batch standing; when the commit fails, none of them was done.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::lock::DirectoryLock;
use crate::{
    store::{Batches, Gathered, StoreError},
    tasks::{self, Pulse},
};

/// The most jobs that wait; more wait outside, and not for long.
const QUEUE: usize = 4096;
/// The most jobs of one commit.
const BATCH: usize = 512;
/// After this long a batch takes no further job.
const BATCH_TIME: Duration = Duration::from_millis(5);
/// How long a job waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a batch may take before the thread counts as standing still, as on a disk that hangs.
const ROUND: Duration = Duration::from_secs(30);

/// How a job is kept from being half done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// It changes something by one statement at most.
    OneStatement,
    /// It may fail between two statements that change something: it runs in a savepoint.
    Several,
}

/// The way to the writing thread; when it is dropped the thread ends its batch, closes the connection and is waited for.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    batches: Arc<Batches>,
}

impl Writer {
    /// Starts the thread. It holds the lock of the directory for as long as the connection is open.
    pub(super) fn start(connection: Connection, lock: DirectoryLock) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let batches = Arc::new(Batches::default());
        let counted = Arc::clone(&batches);
        // In the order in which they go with the thread: the lock is held for as long as the connection is open.
        let mut held = (connection, lock, queue);
        let life = move |pulse: &Pulse| {
            let (connection, _lock, queue) = &mut held;
            run(connection, queue, &counted, pulse);
        };
        let thread = tasks::thread("sqlite-writer", None, ROUND, life).map_err(|e| super::error::of_io(&e))?;
        Ok(Self { jobs: Some(jobs), thread: Mutex::new(Some(thread)), batches })
    }

    /// What waits, and what has been written.
    pub(super) fn writes(&self) -> Gathered {
        self.batches.with_waiting(self.jobs.as_ref().map_or(0, |jobs| jobs.max_capacity() - jobs.capacity()))
    }

    /// Does `work` on the writing connection; answers when what it did is on the disk.
    pub(super) async fn run<T, F>(&self, shape: Shape, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task { shape, work: Some(work), outcome: None, reply });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send_timeout(job, PATIENCE).await.map_err(|error| match error {
            mpsc::error::SendTimeoutError::Timeout(_) => {
                StoreError::Unavailable("too many writes are waiting".to_owned())
            }
            mpsc::error::SendTimeoutError::Closed(_) => stopped(),
        })?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.lock().take() {
            // It panics nowhere; if it did, there is nothing left to close.
            let _ = thread.join();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

trait Job: Send {
    fn shape(&self) -> Shape;
    /// Does the work and keeps its outcome.
    fn work(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// Answers: the outcome, or why none of it came to the disk.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Task<T, F> {
    shape: Shape,
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn shape(&self) -> Shape {
        self.shape
    }

    fn work(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else { return Err(stopped()) };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)))
            .unwrap_or_else(|_| Err(StoreError::Unavailable("a write failed by a fault of the program".to_owned())));
        self.outcome.insert(outcome).as_ref().map(|_| ()).map_err(StoreError::clone)
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(own)), _) => Err(own),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(stopped()),
        };
        // Whoever asked may have gone; what was asked is done all the same.
        let _ = self.reply.send(outcome);
    }
}

fn run(connection: &Connection, queue: &mut mpsc::Receiver<Box<dyn Job>>, batches: &Batches, pulse: &Pulse) {
    if !connection.is_autocommit() {
        // What a life before this one began and did not end; should this fail, the next `BEGIN` says so.
        let _ = execute(connection, "ROLLBACK");
    }
    let mut batch = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        let round = pulse.begin();
        let committed = transact(connection, first, queue, &mut batch);
        if let Err(error) = &committed {
            tracing::error!(%error, jobs = batch.len(), "a batch of writes was not done");
        }
        batches.add(batch.len());
        for job in batch.drain(..) {
            job.answer(committed.clone());
        }
        round.done();
    }
}

/// One transaction of all that is waiting. An error means that nothing of it was done.
fn transact(
    connection: &Connection,
    first: Box<dyn Job>,
    queue: &mut mpsc::Receiver<Box<dyn Job>>,
    batch: &mut Vec<Box<dyn Job>>,
) -> Result<(), StoreError> {
    batch.push(first);
    // Immediate: a transaction that reads first and then wants to write cannot be made to wait by SQLite (F121).
    execute(connection, "BEGIN IMMEDIATE")?;
    let started = Instant::now();
    let mut next = 0;
    let outcome = loop {
        if let Err(error) = work(connection, &mut *batch[next]) {
            break Err(error);
        }
        next += 1;
        if next >= BATCH || started.elapsed() > BATCH_TIME {
            break Ok(());
        }
        match queue.try_recv() {
            Ok(job) => batch.push(job),
            Err(_) => break Ok(()),
        }
    };
    let outcome = outcome.and_then(|()| execute(connection, "COMMIT"));
    if outcome.is_err() && !connection.is_autocommit() {
        // Should this fail too, the next `BEGIN` says so.
        let _ = execute(connection, "ROLLBACK");
    }
    outcome
}

/// Does one job. An error is not the job's own: the whole transaction is lost.
fn work(connection: &Connection, job: &mut dyn Job) -> Result<(), StoreError> {
    let guarded = job.shape() == Shape::Several;
    if guarded {
        execute(connection, "SAVEPOINT job")?;
    }
    let outcome = job.work(connection);
    if connection.is_autocommit() {
        // A full disk, among others, makes SQLite roll everything back by itself.
        return outcome.and_then(|()| Err(StoreError::Unavailable("SQLite gave the transaction up".to_owned())));
    }
    if guarded {
        if outcome.is_err() {
            execute(connection, "ROLLBACK TO job")?;
        }
        execute(connection, "RELEASE job")?;
    }
    Ok(())
}

fn execute(connection: &Connection, statement: &str) -> Result<(), StoreError> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;
    use tokio::task::JoinSet;

    use super::*;

    fn start() -> (TempDir, Arc<Writer>) {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(directory.path().join("some.db")).unwrap();
        connection.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY)").unwrap();
        let lock = DirectoryLock::take(directory.path()).unwrap();
        (directory, Arc::new(Writer::start(connection, lock).unwrap()))
    }

    fn insert(connection: &Connection, number: i64) -> Result<(), StoreError> {
        connection.execute("INSERT INTO t VALUES (?1)", [number])?;
        Ok(())
    }

    async fn numbers(writer: &Writer) -> Vec<i64> {
        let read = |connection: &Connection| -> Result<Vec<i64>, StoreError> {
            let mut statement = connection.prepare("SELECT a FROM t ORDER BY a")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        };
        writer.run(Shape::OneStatement, read).await.unwrap()
    }

    /// Holds the thread up until it is told to go on, so that what is sent meanwhile makes one batch.
    fn hold(writer: &Arc<Writer>) -> (std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), StoreError>>) {
        let (go, wait) = std::sync::mpsc::channel();
        let writer = Arc::clone(writer);
        let (begun, begins) = std::sync::mpsc::channel();
        let held = tokio::spawn(async move {
            let wait = move |_: &Connection| {
                let _ = begun.send(());
                wait.recv().map_err(|_| stopped())
            };
            writer.run(Shape::OneStatement, wait).await
        });
        begins.recv().unwrap();
        (go, held)
    }

    /// Until so many jobs wait behind the one that is held.
    async fn queued(writer: &Writer, count: usize) {
        let jobs = writer.jobs.as_ref().unwrap();
        while jobs.max_capacity() - jobs.capacity() < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_that_fails_midway_is_undone_and_the_others_of_its_batch_stand() {
        let (_directory, writer) = start();
        let (go, held) = hold(&writer);
        let mut jobs = JoinSet::new();
        for n in 0..30 {
            let writer = Arc::clone(&writer);
            jobs.spawn(async move {
                let outcome = writer
                    .run(Shape::Several, move |connection| {
                        insert(connection, n)?;
                        assert_ne!(n % 3, 1, "a fault of the program");
                        if n % 3 == 2 { insert(connection, n) } else { Ok(()) }
                    })
                    .await;
                assert_eq!(outcome.is_ok(), n % 3 == 0, "{outcome:?}");
            });
        }
        queued(&writer, 30).await;
        go.send(()).unwrap();
        held.await.unwrap().unwrap();
        jobs.join_all().await;
        assert_eq!(numbers(&writer).await, (0..30).step_by(3).collect::<Vec<_>>());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn when_a_transaction_is_lost_nobody_of_it_is_told_that_it_was_done() {
        let (_directory, writer) = start();
        let (go, held) = hold(&writer);
        let mut jobs = JoinSet::new();
        for n in 0..20 {
            let writer = Arc::clone(&writer);
            jobs.spawn(async move {
                writer
                    .run(Shape::OneStatement, move |connection| match n {
                        10 => {
                            // What SQLite does by itself on some failures.
                            connection.execute_batch("ROLLBACK")?;
                            Err(StoreError::Full)
                        }
                        n => insert(connection, n),
                    })
                    .await
                    .map(|()| n)
            });
        }
        queued(&writer, 20).await;
        go.send(()).unwrap();
        let _ = held.await.unwrap();
        let outcomes = jobs.join_all().await;
        let mut done: Vec<_> = outcomes.iter().flatten().copied().collect();
        done.sort_unstable();
        assert_eq!(numbers(&writer).await, done);
        let lost: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        assert!(!lost.is_empty() && lost.iter().all(|error| *error == StoreError::Full), "{lost:?}");
        writer.run(Shape::OneStatement, |connection| insert(connection, 99)).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_asked_is_done_though_nobody_waits_for_it() {
        let (_directory, writer) = start();
        let (go, held) = hold(&writer);
        let asked = {
            let writer = Arc::clone(&writer);
            tokio::spawn(async move { writer.run(Shape::OneStatement, |connection| insert(connection, 1)).await })
        };
        queued(&writer, 1).await;
        asked.abort();
        go.send(()).unwrap();
        held.await.unwrap().unwrap();
        assert_eq!(numbers(&writer).await, [1]);
    }
}
