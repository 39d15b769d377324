//! The connections of one server, how many there may be, and how long anything may take on them.
//!
//! Nothing here waits without a limit (F124): for a free connection and for making one together as long as for connecting,
//! then for a statement as long as for a statement. A read that fails on a connection which is gone is asked again on another;
//! a transaction that others were in the way of is tried again.
//!
//! Whatever may commit goes over a [`Writer`], of which there are few (`commits`). So commits that hang, as on a disk or a standby
//! that does, leave connections for reads.

use std::{
    ops::Deref,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use deadpool::managed::{self, Metrics, Object, RecycleError, RecycleResult, Timeouts};
use tokio::time::timeout;
use tokio_postgres::Row;

use super::{
    commits::{Commit, Commits},
    connection::{Connection, Connector},
    error::{Failure, too_slow},
    value::Value,
};
use crate::{
    store::{Connections, StoreError},
    tasks,
};

/// How often a transaction is tried that others are in the way of.
const ATTEMPTS: u32 = 8;
/// How often a read is asked again on a new connection.
const OTHERS: u32 = 2;
/// By how much PostgreSQL's own limit on a statement may be later than ours, before what is not answered must be its commit.
const MARGIN: Duration = Duration::from_millis(250);
/// A connection that goes back into the pool: at once if nothing is under way on it, and otherwise as soon as that is done.
///
/// Whoever asked may have gone in the middle. Were the connection free again, others would ask on it behind what nobody waits
/// for, and without end if PostgreSQL does not answer at all.
struct Lent {
    /// There until it is dropped.
    object: Option<Object<Manager>>,
    limit: Duration,
}

impl Lent {
    fn connection(&self) -> &Connection {
        self.object.as_deref().unwrap_or_else(|| unreachable!("it is there until it is dropped"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        if !object.is_sound() {
            // Closed now, and not when it is next looked at: what it holds locked is free again.
            drop(Object::take(object));
        } else if object.is_under_way() {
            let limit = self.limit;
            tasks::once("drain", async move {
                if !matches!(timeout(limit, object.drain()).await, Ok(Ok(()))) {
                    object.cancel();
                    drop(Object::take(object));
                }
            });
        }
    }
}

/// A connection to write on. It comes with the right to a commit, and keeps both until PostgreSQL has answered what may have
/// been committed on it, though whoever wrote has gone: no commit is ever told to stop.
pub(super) struct Writer {
    lent: Lent,
    /// There until it is dropped.
    commit: Option<Commit>,
    late: AtomicBool,
}

impl Deref for Writer {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.lent.connection()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.may_be_committing() {
            return;
        }
        let (Some(object), Some(mut commit)) = (self.lent.object.take(), self.commit.take()) else { return };
        let patience = if *self.late.get_mut() { MARGIN } else { self.lent.limit };
        tasks::once("commit", async move {
            {
                let mut answered = pin!(object.drain());
                if timeout(patience, &mut answered).await.is_err() {
                    commit.is_overdue();
                    // Until it is answered, or the connection is closed.
                    let _ = answered.await;
                }
            }
            if !object.is_sound() {
                drop(Object::take(object));
            }
        });
    }
}

/// Whether a statement may be sent again when it is not known whether it was done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Read,
    Write,
}

pub(super) struct Pool {
    connections: managed::Pool<Manager>,
    commits: Commits,
    connect_timeout: Duration,
    statement_timeout: Duration,
}

pub(super) struct Manager(Connector);

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = Failure;

    async fn create(&self) -> Result<Connection, Failure> {
        self.0.connect().await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Failure> {
        if connection.is_sound() { Ok(()) } else { Err(RecycleError::message("it is closed")) }
    }
}

impl Pool {
    pub(super) fn new(connector: Connector, size: usize) -> Result<Self, StoreError> {
        let (connect_timeout, statement_timeout) = (connector.connect_timeout, connector.statement_timeout);
        let connections = managed::Pool::builder(Manager(connector))
            .max_size(size)
            // The one last used is the one that is surely alive.
            .queue_mode(managed::QueueMode::Lifo)
            .build()
            .map_err(|e| StoreError::Unavailable(e.to_string()))?;
        Ok(Self { connections, commits: Commits::among(size), connect_timeout, statement_timeout })
    }

    /// How long it may take until there is a connection.
    pub(super) const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// How long a statement may take.
    pub(super) const fn statement_timeout(&self) -> Duration {
        self.statement_timeout
    }

    /// How many there are.
    pub(super) fn connections(&self) -> Connections {
        let status = self.connections.status();
        Connections {
            limit: status.max_size,
            open: status.size,
            busy: status.size - status.available.min(status.size),
            waiting: status.waiting,
            overdue: self.commits.overdue(),
        }
    }

    async fn lend(&self) -> Result<Lent, Failure> {
        let limits = Timeouts::new();
        let lent = self.connections.timeout_get(&limits);
        let slow = |_| Failure::Final(StoreError::Unavailable("no connection to PostgreSQL became free".to_owned()));
        let object = timeout(self.connect_timeout, lent).await.map_err(slow)?.map_err(|error| match error {
            managed::PoolError::Backend(failure) => Failure::Final(failure.into()),
            _ => Failure::Final(StoreError::Unavailable("the store is closed".to_owned())),
        })?;
        Ok(Lent { object: Some(object), limit: self.statement_timeout })
    }

    /// A connection to write on, which is refused before anything is begun where too many commits are waited for.
    pub(super) async fn writer(&self) -> Result<Writer, Failure> {
        let commit = self.commits.turn(self.connect_timeout).await?;
        Ok(Writer { lent: self.lend().await?, commit: Some(commit), late: AtomicBool::new(false) })
    }

    /// Does work on a connection within the time that a statement has; a connection that fails at it is not used again.
    pub(super) async fn within<T>(
        &self,
        writer: &Writer,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        writer.begin_writing();
        match self.watch(self.statement_timeout, writer, work).await {
            Some(done) => done,
            None if writer.may_be_committing() => {
                writer.late.store(true, Ordering::Relaxed);
                Err(Failure::Final(too_slow("a commit")))
            }
            None => {
                writer.cancel();
                Err(Failure::Final(too_slow("a statement")))
            }
        }
    }

    /// The same for what commits nothing.
    async fn reading<T>(
        &self,
        limit: Duration,
        lent: &Lent,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let connection = lent.connection();
        connection.begin_reading();
        self.watch(limit, connection, work).await.unwrap_or_else(|| {
            connection.cancel();
            Err(Failure::Final(too_slow("a statement")))
        })
    }

    /// `None`: it took too long, and is still under way.
    async fn watch<T>(
        &self,
        limit: Duration,
        connection: &Connection,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Option<Result<T, Failure>> {
        let done = timeout(limit, work).await.ok()?;
        if !connection.end_work() && done.is_ok() {
            let why =
                "somebody has ended the wait for PostgreSQL's synchronous standby: what was done may be on no standby";
            return Some(Err(Failure::Final(StoreError::Unavailable(why.to_owned()))));
        }
        if let Err(Failure::Lost(_)) = &done {
            connection.give_up();
            // After a restart or a failover the others are gone too, and it may not be known yet.
            drop(self.connections.retain(|_, _| false));
        }
        Some(done)
    }

    /// Sends one statement; what it finds or gives back.
    pub(super) async fn rows(
        &self,
        nature: Nature,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let mut attempt = Attempts::new(nature);
        loop {
            let done = match nature {
                Nature::Read => self.read(sql, values).await,
                Nature::Write => self.write(async |writer| writer.rows(sql, values).await).await,
            };
            match done {
                Err(failure) => attempt.again(failure).await?,
                Ok(rows) => return Ok(rows),
            }
        }
    }

    async fn read(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        debug_assert!(changes_nothing(sql), "it is a write: {sql}");
        let lent = self.lend().await?;
        self.reading(self.statement_timeout, &lent, lent.connection().rows(sql, values)).await
    }

    async fn write<T>(&self, work: impl AsyncFnOnce(&Writer) -> Result<T, Failure>) -> Result<T, Failure> {
        let writer = self.writer().await?;
        self.within(&writer, work(&writer)).await
    }

    /// Sends one statement that finds one row at most.
    pub(super) async fn row(
        &self,
        nature: Nature,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(nature, sql, values).await?.into_iter().next())
    }

    /// Sends one statement that changes rows; how many.
    pub(super) async fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut attempt = Attempts::new(Nature::Write);
        loop {
            match self.write(async |writer| writer.execute(sql, values).await).await {
                Err(failure) => attempt.again(failure).await?,
                Ok(changed) => return Ok(changed),
            }
        }
    }

    /// A statement whose text is not a constant.
    pub(super) async fn ad_hoc(&self, nature: Nature, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut attempt = Attempts::new(nature);
        loop {
            let done = match nature {
                Nature::Read => self.read_ad_hoc(sql, values).await,
                Nature::Write => self.write(async |writer| writer.ad_hoc(sql, values).await).await,
            };
            match done {
                Err(failure) => attempt.again(failure).await?,
                Ok(rows) => return Ok(rows),
            }
        }
    }

    async fn read_ad_hoc(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        debug_assert!(changes_nothing(sql), "it is a write: {sql}");
        let lent = self.lend().await?;
        self.reading(self.statement_timeout, &lent, lent.connection().ad_hoc(sql, values)).await
    }

    /// A read that may take long, on a connection for which the server's own limit is lifted.
    pub(super) async fn long_read(&self, sql: &'static str, limit: Duration) -> Result<Vec<Row>, StoreError> {
        debug_assert!(changes_nothing(sql), "it is a write: {sql}");
        let lent = self.lend().await?;
        let lift = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {}", limit.as_millis());
        let connection = lent.connection();
        let transaction = connection.begin();
        let work = async {
            connection.batch(&lift).await?;
            let rows = connection.rows(sql, &[]).await?;
            transaction.undo().await?;
            Ok(rows)
        };
        Ok(self.reading(limit, &lent, work).await?)
    }
}

/// Whether a statement is what [`Nature::Read`] says: one that commits something would go without the right to.
fn changes_nothing(sql: &str) -> bool {
    const CHANGE: [&str; 10] = [
        "INSERT",
        "UPDATE",
        "DELETE",
        "MERGE",
        "TRUNCATE",
        "CREATE",
        "ALTER",
        "DROP",
        "NOTIFY",
        "pg_logical_emit_message",
    ];
    let mut words = sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    !words.any(|word| CHANGE.contains(&word))
}

/// When something is tried again.
pub(super) struct Attempts {
    nature: Nature,
    contended: u32,
    lost: u32,
}

impl Attempts {
    pub(super) fn new(nature: Nature) -> Self {
        Self { nature, contended: 0, lost: 0 }
    }

    /// Waits until it makes sense to try again, or says that it makes none.
    pub(super) async fn again(&mut self, failure: Failure) -> Result<(), StoreError> {
        match failure {
            Failure::Contended if self.contended < ATTEMPTS => {
                self.contended += 1;
                tokio::time::sleep(Duration::from_millis(1 << self.contended)).await;
                Ok(())
            }
            Failure::Lost(_) if self.nature == Nature::Read && self.lost < OTHERS => {
                self.lost += 1;
                Ok(())
            }
            failure => Err(failure.into()),
        }
    }
}
