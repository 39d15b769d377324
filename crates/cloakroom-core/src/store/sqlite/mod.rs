//! Both stores in one SQLite file, `cloakroom.db`, which belongs to one server.
//!
//! One connection writes, on its own thread, and commits whatever has gathered since the last fsync (`writer`); a few
//! others read (`readers`). That needs a blocking connection whose transactions are in our hands, hence the plain
//! driver and not a pool that hides it. Both stores being one database, an end is one transaction: the log's line, and
//! the record's removal.

mod accounts;
mod audit;
mod columns;
mod error;
mod exchange;
mod keys;
mod lock;
mod log;
mod operate;
mod options;
mod port;
mod readers;
mod schema;
mod sessions;
mod standings;
mod tables;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use lock::DirectoryLock;
pub use options::Options;
use rusqlite::Connection;

use self::{
    readers::Readers,
    standings::Standings,
    writer::{Shape, Writer},
};
use crate::store::{Disk, StoreError, Stores, Vitals};

/// Accounts, sessions and logs in a directory of this machine; cheap to clone.
///
/// The last clone to be dropped ends the writing thread and closes the file, for which it waits.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

// Fields are dropped in this order: the writing connection closes last, and so leaves one file behind.
struct Inner {
    readers: Readers,
    /// `None`: another process has the file, or may have; it is only read here.
    writer: Option<Writer>,
    standings: Arc<Standings>,
    path: PathBuf,
}

impl Sqlite {
    /// The file's name in its directory.
    pub const FILE: &str = "cloakroom.db";

    /// Opens the store of a directory, which is made if it is not there (mode 0700, files 0600). Blocks.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another server has it open, [`StoreError::Foreign`] when it is of a later release.
    pub fn open(directory: &Path, options: &Options) -> Result<Self, StoreError> {
        let lock = DirectoryLock::take(directory)?;
        let path = directory.join(Self::FILE);
        let writer = Writer::start(schema::open_writer(&path, options)?, lock)?;
        let readers = Readers::start(path.clone(), options.clone())?;
        Ok(Self(Arc::new(Inner { readers, writer: Some(writer), standings: Standings::new(), path })))
    }

    /// Opens the store of a directory to be read, beside a server that may have it open; a write is refused as
    /// [`StoreError::ReadOnly`]. For walks and copies: what accounts stand at ([`AccountStore::standing`]) may be told from
    /// memory although the server has changed it. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is none, [`StoreError::Foreign`] when it is of another release.
    ///
    /// [`AccountStore::standing`]: crate::store::AccountStore::standing
    pub fn open_beside(directory: &Path, options: &Options) -> Result<Self, StoreError> {
        let path = directory.join(Self::FILE);
        if !path.exists() {
            return Err(StoreError::Unavailable(format!("there is no store in {}", directory.display())));
        }
        Self::open_file(path, options)
    }

    fn open_file(path: PathBuf, options: &Options) -> Result<Self, StoreError> {
        schema::look(&path, options)?;
        let readers = Readers::start(path.clone(), options.clone())?;
        Ok(Self(Arc::new(Inner { readers, writer: None, standings: Standings::new(), path })))
    }

    /// This store as both stores of a server.
    pub fn stores(&self) -> Stores {
        Stores { accounts: Arc::new(self.clone()), sessions: Arc::new(self.clone()), end_deletes: true }
    }

    fn its_vitals(&self) -> Vec<Vitals> {
        let writes = self.0.writer.as_ref().map(Writer::writes);
        let disk = self.0.path.parent().and_then(Disk::of);
        vec![Vitals { store: "sqlite", own: true, disk, connections: None, writes, reads: None }]
    }

    async fn read_with<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.readers.run(work).await
    }

    async fn read_long<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.readers.run_long(work).await
    }

    async fn write_with<T, F>(&self, shape: Shape, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.writer.as_ref().ok_or(StoreError::ReadOnly)?.run(shape, work).await
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({})", self.0.path.display())
    }
}
