//! What operators are told about the database: how large it is, and what of its settings is not as it should be.

use super::{Postgres, columns::get, pool::Nature::Read, value::Value};
use crate::store::{LEAP, StoreError};

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
     current_setting('autovacuum'), current_setting('track_counts'), current_setting('server_version'),
     current_setting('synchronous_standby_names') <> '', current_setting('synchronous_commit')";

const SERVERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
     AND application_name IN ('cloakroom', 'cloakroom (listening)')";
/// To where the floor of all epochs is lifted by the next writer of the log.
const RAISE: &str = "UPDATE cloakroom_accounts
     SET epoch = least(greatest(epoch + $1, extract(epoch FROM clock_timestamp())::bigint + 3600), 4294967294)";

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
        let problem = match get::<&str>(&row, 6)? {
            "local" => Some(
                "synchronous_commit is local: commits do not wait for the standby, which can lack the last of them",
            ),
            "remote_write" => Some(
                "synchronous_commit is remote_write: a standby that loses its power as it takes over lacks the last commits",
            ),
            _ => None,
        };
        if let Some(problem) = problem.filter(|_| matches!(get(&row, 5), Ok(true))) {
            remarks
                .push(Remark { problem, remedy: "ALTER ROLE … SET synchronous_commit = on for the role in the URL" });
        }
        Ok(remarks)
    }

    /// How many connections of running servers this database has, as far as they tell PostgreSQL what they are. To be asked
    /// over a URL of [`Url::for_operators`](super::Url::for_operators).
    ///
    /// # Errors
    /// When the store gives no answer.
    pub async fn servers(&self) -> Result<u64, StoreError> {
        let row = self.pool().row(Read, SERVERS, &[]).await?;
        row.map_or(Ok(0), |row| super::columns::number(&row, 0))
    }

    /// Gives the log another incarnation: for a database that was put back from a copy of the disk.
    ///
    /// # Errors
    /// As of any write.
    pub async fn new_incarnation(&self) -> Result<(), StoreError> {
        let number = i64::from_be_bytes(crate::random::Rng::system().bytes());
        self.pool().execute("UPDATE cloakroom_log_head SET incarnation = $1", &[Value::Int(number)]).await?;
        Ok(())
    }

    /// Raises every account's epoch by more than it can have risen since any backup, and deletes every record. How many
    /// accounts.
    ///
    /// # Errors
    /// As of any write.
    pub async fn leap(&self) -> Result<u64, StoreError> {
        self.pool().execute("TRUNCATE cloakroom_sessions", &[]).await?;
        self.pool().execute(RAISE, &[Value::Int(LEAP.into())]).await
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
