//! What a rig's servers and stores tell of themselves.

use std::io;

use rusqlite::{Connection, OpenFlags};

use super::{Rig, Store, Workshop};

impl Workshop {
    /// Bytes that all sessions of a rig take in their store at this moment.
    pub fn store_bytes(&self, rig: &Rig) -> io::Result<u64> {
        match rig.store {
            Store::Memory => rig.first()?.resident(),
            // The pages of the table and of its indices, whatever else is in the file.
            Store::Sqlite => {
                let (path, flags) = (rig.place(0).join("cloakroom.db"), OpenFlags::SQLITE_OPEN_READ_ONLY);
                let file = Connection::open_with_flags(path, flags).map_err(io::Error::other)?;
                let pages = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name LIKE 'session%'";
                let bytes: i64 = file.query_row(pages, [], |row| row.get(0)).map_err(io::Error::other)?;
                Ok(bytes.unsigned_abs())
            }
            Store::Postgres => {
                let size = "SELECT pg_total_relation_size('cloakroom_sessions')";
                self.postgres()?.tell(&rig.name, size)?.parse().map_err(io::Error::other)
            }
            Store::Redis => self.redis()?.used(),
        }
    }
}

impl Rig {
    /// All that the servers have asked of their stores up to now: for sessions, accounts, limits and the revocation log.
    pub fn store_operations(&self) -> io::Result<f64> {
        self.metric("cloakroom_store_operation_seconds_count", "")
    }

    /// Verifications that the near-caches could not answer, up to now.
    pub fn missed(&self) -> io::Result<f64> {
        self.metric("cloakroom_verifications_total", "from=\"source\"")
    }
}
