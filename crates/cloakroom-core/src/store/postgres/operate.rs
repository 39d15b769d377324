//! What operators are told about the database: how large it is, and what of its settings is not as it should be.

use super::{Postgres, columns::get, pool::Nature::Read};
use crate::store::StoreError;

/// Something about the database that an operator should know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remark {
    /// What could go wrong, and why.
    pub problem: &'static str,
    /// What would help.
    pub remedy: &'static str,
}

const SIZE: &str = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
     WHERE c.relkind = 'r' AND c.relname LIKE 'cloakroom\\_%' AND pg_table_is_visible(c.oid)";
const SETTINGS: &str = "SELECT current_setting('fsync'), current_setting('full_page_writes'),
     current_setting('autovacuum'), current_setting('track_counts'), current_setting('server_version')";

impl Postgres {
    /// How many bytes Cloakroom's tables take, their indexes included.
    ///
    /// # Errors
    /// When the store gives no answer.
    pub async fn size(&self) -> Result<u64, StoreError> {
        let row = self.pool().row(Read, SIZE, &[]).await?;
        row.map_or(Ok(0), |row| super::columns::number(&row, 0))
    }

    /// What of the server's settings could lose data or let the tables grow; nothing, if all is well.
    ///
    /// # Errors
    /// When the store gives no answer.
    pub async fn remarks(&self) -> Result<Vec<Remark>, StoreError> {
        let Some(row) = self.pool().row(Read, SETTINGS, &[]).await? else { return Ok(Vec::new()) };
        let judged = [
            ("fsync is off: a power failure can destroy the database", "set fsync = on in postgresql.conf"),
            (
                "full_page_writes is off: a power failure can damage tables",
                "set full_page_writes = on in postgresql.conf",
            ),
            ("autovacuum is off: the tables grow with every login", "set autovacuum = on in postgresql.conf"),
            ("track_counts is off, and autovacuum with it", "set track_counts = on in postgresql.conf"),
        ];
        let mut remarks = Vec::new();
        for (column, (problem, remedy)) in judged.into_iter().enumerate() {
            if get::<&str>(&row, column)? == "off" {
                remarks.push(Remark { problem, remedy });
            }
        }
        Ok(remarks)
    }

    /// The server's version, as it writes it.
    ///
    /// # Errors
    /// When the store gives no answer.
    pub async fn version(&self) -> Result<String, StoreError> {
        let row = self.pool().row(Read, SETTINGS, &[]).await?;
        row.map_or(Ok(String::new()), |row| get(&row, 4))
    }
}
