//! The connections of one server, how many there may be, and how long anything may take on them.
//!
//! Nothing here waits without a limit (F124): for a free connection and for making one together as long as for connecting,
//! then for a statement as long as for a statement. A read that fails on a connection which is gone is asked again on another;
//! a transaction that others were in the way of is tried again.

use std::{ops::Deref, sync::Arc, time::Duration};

use deadpool::managed::{self, Metrics, Object, RecycleError, RecycleResult, Timeouts};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_postgres::Row;

use super::{
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
/// One of so many connections is kept from writes.
pub(super) const RESERVED: usize = 4;

/// A connection that goes back into the pool: at once if nothing is under way on it, and otherwise as soon as that is done.
///
/// Whoever asked may have gone in the middle. Were the connection free again, others would ask on it behind what nobody waits
/// for, and without end if PostgreSQL does not answer at all.
pub(super) struct Lent {
    /// There until it is dropped.
    object: Option<Object<Manager>>,
    /// The right to one more that writes.
    write: Option<OwnedSemaphorePermit>,
    limit: Duration,
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.object.as_deref().unwrap_or_else(|| unreachable!("it is there until it is dropped"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        if object.is_under_way() && object.is_sound() {
            let (limit, write) = (self.limit, self.write.take());
            tasks::once("drain", async move {
                let _write = write;
                if !matches!(timeout(limit, object.drain()).await, Ok(Ok(()))) {
                    object.cancel();
                }
            });
        }
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
    /// A part of the connections is for reads and ends only: writes that hang, as on a disk that does, stop no verification.
    writes: Arc<Semaphore>,
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
        let writes = Arc::new(Semaphore::new(size - size / RESERVED));
        Ok(Self { connections, writes, connect_timeout, statement_timeout })
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
        }
    }

    /// A connection for what must not wait behind hanging writes: reads, ends, and what goes on behind the answers.
    pub(super) async fn lend(&self) -> Result<Lent, Failure> {
        self.lend_for(Nature::Read).await
    }

    async fn lend_for(&self, nature: Nature) -> Result<Lent, Failure> {
        let lent = async {
            let write = match nature {
                Nature::Read => None,
                Nature::Write => Arc::clone(&self.writes).acquire_owned().await.ok(),
            };
            self.connections.timeout_get(&Timeouts::new()).await.map(|object| (object, write))
        };
        let slow = |_| Failure::Final(StoreError::Unavailable("no connection to PostgreSQL became free".to_owned()));
        let (object, write) =
            timeout(self.connect_timeout, lent).await.map_err(slow)?.map_err(|error| match error {
                managed::PoolError::Backend(failure) => Failure::Final(failure.into()),
                _ => Failure::Final(StoreError::Unavailable("the store is closed".to_owned())),
            })?;
        Ok(Lent { object: Some(object), write, limit: self.statement_timeout })
    }

    /// Does work on a connection within the time that a statement has; a connection that fails at it is not used again.
    pub(super) async fn within<T>(
        &self,
        connection: &Connection,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.within_time(self.statement_timeout, connection, work).await
    }

    async fn within_time<T>(
        &self,
        limit: Duration,
        connection: &Connection,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        connection.begin_work();
        let done = timeout(limit, work).await;
        connection.end_work();
        match done {
            Ok(Err(Failure::Lost(error))) => {
                connection.give_up();
                // After a restart or a failover the others are gone too, and it may not be known yet.
                drop(self.connections.retain(|_, _| false));
                Err(Failure::Lost(error))
            }
            Ok(done) => done,
            Err(_) => {
                connection.cancel();
                Err(Failure::Final(too_slow("a statement")))
            }
        }
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
            let done = match self.lend_for(nature).await {
                Ok(lent) => self.within(&lent, lent.rows(sql, values)).await,
                Err(failure) => Err(failure),
            };
            match done {
                Err(failure) => attempt.again(failure).await?,
                Ok(rows) => return Ok(rows),
            }
        }
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
            let done = match self.lend_for(Nature::Write).await {
                Ok(lent) => self.within(&lent, lent.execute(sql, values)).await,
                Err(failure) => Err(failure),
            };
            match done {
                Err(failure) => attempt.again(failure).await?,
                Ok(changed) => return Ok(changed),
            }
        }
    }

    /// A read whose text is not a constant.
    pub(super) async fn ad_hoc(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut attempt = Attempts::new(Nature::Read);
        loop {
            let done = match self.lend().await {
                Ok(lent) => self.within(&lent, lent.ad_hoc(sql, values)).await,
                Err(failure) => Err(failure),
            };
            match done {
                Err(failure) => attempt.again(failure).await?,
                Ok(rows) => return Ok(rows),
            }
        }
    }

    /// A read that may take long, on a connection for which the server's own limit is lifted.
    pub(super) async fn long_read(&self, sql: &'static str, limit: Duration) -> Result<Vec<Row>, StoreError> {
        let lent = self.lend().await?;
        let lift = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {}", limit.as_millis());
        let transaction = lent.begin();
        let work = async {
            lent.batch(&lift).await?;
            let rows = lent.rows(sql, &[]).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        Ok(self.within_time(limit, &lent, work).await?)
    }
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
