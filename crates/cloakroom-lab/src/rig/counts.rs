//! What a rig's servers and stores tell of themselves.

use std::io;

use cloakroom_core::method::Method;
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
    /// Operations of all servers on their stores for checks of a method, up to now: each look-up that the near-cache could not
    /// answer, and each look at the head of the revocation log.
    pub fn store_operations(&self, method: Method) -> io::Result<f64> {
        let leases = self.metric("cloakroom_leases_renewed_total", "")?;
        // A token that is not in the near-cache is checked by its signature.
        let reads = if method.has_tokens() { 0.0 } else { self.missed()? };
        Ok(leases + reads)
    }

    /// Verifications that the near-caches could not answer, up to now.
    pub fn missed(&self) -> io::Result<f64> {
        self.metric("cloakroom_verifications_total", "from=\"source\"")
    }
}
