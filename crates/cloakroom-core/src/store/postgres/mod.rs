//! Both stores in PostgreSQL (13 or later), which many servers share.
//!
//! One pool of connections (`pool`), whose statements are one exchange each; what many ask at a time, and ends, are gathered
//! into few of them (`gather`); news of other servers' ends comes by `LISTEN` (`listen`). Names of tables begin with `cloakroom_` and are found
//! on the connection's search path. It must be the primary, and must not acknowledge what it has not written
//! (`connection`). With both stores in one database an end is one transaction: the log's line, and the record's removal.

mod accounts;
mod audit;
mod columns;
mod commits;
mod connection;
mod ends;
mod error;
mod exchange;
mod gather;
mod keys;
mod limits;
mod lineage;
mod listen;
mod log;
mod operate;
mod plan;
mod pool;
mod pooler;
mod port;
mod schema;
mod sessions;
mod settled;
mod tables;
mod tls;
mod url;
mod value;
mod watermark;

use std::{fmt, sync::Arc};

use tokio::sync::watch;

pub use operate::Remark;
pub use url::Url;

use self::{
    accounts::StandingOf,
    connection::Connector,
    ends::Ending,
    gather::Gather,
    listen::Listener,
    pool::Pool,
    sessions::{Look, Swap},
    settled::Settling,
};
use crate::store::{StoreError, Stores, Vitals};

/// Accounts, sessions and logs in a PostgreSQL database; cheap to clone.
///
/// When the last clone is dropped its connections are closed.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    ends: Gather<Ending>,
    reads: Gather<Look>,
    rotations: Gather<Swap>,
    settlings: Gather<Settling>,
    standings: Gather<StandingOf>,
    pool: Arc<Pool>,
    listener: Option<Listener>,
    url: Url,
}

impl Postgres {
    /// Opens the store of a database, and makes its tables where they are missing. Needs a runtime, for as long as it is
    /// used.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be reached, [`StoreError::Foreign`] when it is not what it must be: too old,
    /// of another encoding, without durable commits, or its tables of a later release.
    pub async fn open(url: &Url) -> Result<Self, StoreError> {
        let connector = Connector::new(url)?;
        let around = Connector::new(url)?;
        let pool = Arc::new(Pool::new(connector, url.pool_size)?);
        // In boxes: making a connection is a long walk, and whoever opens a store holds all of it.
        let writer = Box::pin(pool.writer()).await?;
        pool.within(&writer, Box::pin(schema::migrate(&writer))).await?;
        let listener = Listener::start(&around, &url.listen, writer.is_pooled());
        drop(writer);
        Ok(Self(Arc::new(Inner {
            ends: Gather::new(Arc::clone(&pool)),
            reads: Gather::new(Arc::clone(&pool)),
            rotations: Gather::new(Arc::clone(&pool)),
            settlings: Gather::new(Arc::clone(&pool)),
            standings: Gather::new(Arc::clone(&pool)),
            pool,
            listener,
            url: url.clone(),
        })))
    }

    /// This store as both stores of a server.
    pub fn stores(&self) -> Stores {
        Stores { accounts: Arc::new(self.clone()), sessions: Arc::new(self.clone()), end_deletes: true }
    }

    /// Whether another store is the same database, however its URL is written.
    ///
    /// # Errors
    /// When one of them gives no answer.
    pub async fn is_same(&self, other: &Self) -> Result<bool, StoreError> {
        Ok(self.head().await?.incarnation == other.head().await?.incarnation)
    }

    fn pool(&self) -> &Pool {
        &self.0.pool
    }

    fn its_vitals(&self) -> Vec<Vitals> {
        let inner = &self.0;
        vec![Vitals {
            store: "postgres",
            own: false,
            disk: None,
            connections: Some(inner.pool.connections()),
            writes: Some(inner.ends.gathered() + inner.rotations.gathered()),
            reads: Some(inner.reads.gathered() + inner.standings.gathered()),
        }]
    }

    fn calls(&self) -> Option<watch::Receiver<u64>> {
        self.0.listener.as_ref().map(Listener::calls)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.0.url)
    }
}
