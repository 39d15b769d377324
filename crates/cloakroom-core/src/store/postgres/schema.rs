//! How the tables come to be, and which releases may use them.
//!
//! Migrations are numbered SQL files, embedded, all done in one transaction under an advisory lock, so that of several
//! servers that start at once one does them. They only add: a server of an older release goes on beside newer tables, which
//! say which release's servers still may (`min_reader`). Every new connection looks at that.

use tokio_postgres::Client;

use super::{connection::Connection, error::Failure, lineage, value::Value};
use crate::{random::Rng, store::StoreError};

/// A step, and the least version whose servers may go on after it.
struct Migration {
    sql: &'static str,
    min_reader: i32,
}

const MIGRATIONS: [Migration; VERSION as usize] = [
    Migration { sql: include_str!("migrations/0001_first.sql"), min_reader: 1 },
    Migration { sql: include_str!("migrations/0002_limits.sql"), min_reader: 1 },
    Migration { sql: include_str!("migrations/0003_corners.sql"), min_reader: 1 },
];

/// What this release knows.
const VERSION: i32 = 3;

/// Any number, as long as all servers take the same: `Clokroom`.
const LOCK: i64 = 0x436c_6f6b_726f_6f6d;

/// Whether there are tables. Asked of the catalogue's table: `to_regclass` may remember, while the advisory lock is waited
/// for, that there was none.
const THERE: &str =
    "SELECT 1 FROM pg_class WHERE relname = 'cloakroom_schema' AND relkind = 'r' AND pg_table_is_visible(oid)";

/// Makes the tables what they must be.
pub(super) async fn migrate(connection: &Connection) -> Result<(), Failure> {
    if version(connection).await? >= VERSION {
        return settle(connection).await;
    }
    let transaction = connection.begin();
    // A server that does this beside us is waited for; what it has made is seen then.
    transaction.start(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
    let done = version(connection).await?;
    for (number, migration) in (1..).zip(&MIGRATIONS).filter(|(number, _)| *number > done) {
        connection.batch(migration.sql).await.map_err(|failure| refused(failure, number))?;
        connection
            .rows(
                "INSERT INTO cloakroom_schema (one, version, min_reader) VALUES (1, $1, $2)
                 ON CONFLICT (one) DO UPDATE SET version = excluded.version, min_reader = excluded.min_reader",
                &[Value::Number(number), Value::Number(migration.min_reader)],
            )
            .await?;
    }
    transaction.commit().await?;
    settle(connection).await
}

/// Refuses tables that a server of this release must not use.
pub(super) async fn still_readable(client: &Client) -> Result<(), Failure> {
    // Asked of the catalogue first, because there may be no table yet; in one statement it could not be both.
    if client.query_typed_opt(THERE, &[]).await?.is_none() {
        return Ok(());
    }
    let row = client.query_typed_opt("SELECT version, min_reader FROM cloakroom_schema", &[]).await?;
    let Some(row) = row else { return Ok(()) };
    let (version, min_reader): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
    if min_reader > VERSION {
        return Err(Failure::Final(StoreError::Foreign(format!(
            "the tables in PostgreSQL are of a later release (version {version}, for servers that know {min_reader} or more; \
             this one knows {VERSION}): start that release, or restore a backup from before the upgrade"
        ))));
    }
    Ok(())
}

/// The version of the tables; 0 if there are none.
async fn version(connection: &Connection) -> Result<i32, Failure> {
    let there = connection.ad_hoc(THERE, &[]).await?;
    if there.is_empty() {
        return Ok(0);
    }
    let rows = connection.ad_hoc("SELECT version FROM cloakroom_schema", &[]).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.try_get(0))?)
}

/// Gives a new store its id, and a log of its own.
async fn settle(connection: &Connection) -> Result<(), Failure> {
    let rng = Rng::system();
    let id = uuid::Builder::from_random_bytes(rng.bytes()).into_uuid();
    let statement = "WITH head AS (
             INSERT INTO cloakroom_log_head (one, incarnation) VALUES (1, $2) ON CONFLICT DO NOTHING
         )
         INSERT INTO cloakroom_installation (one, id) VALUES (1, $1) ON CONFLICT DO NOTHING";
    if connection.ad_hoc("SELECT 1 FROM cloakroom_installation", &[]).await?.is_empty() {
        let values = [Value::Bytes(id.as_bytes()), Value::Int(i64::from_be_bytes(rng.bytes()))];
        connection.execute(statement, &values).await?;
    }
    lineage::name_first(connection).await
}

/// A step that was not done.
fn refused(failure: Failure, number: i32) -> Failure {
    let Failure::Final(StoreError::Foreign(_)) = failure else { return failure };
    Failure::Final(StoreError::Foreign(format!(
        "step {number} of Cloakroom's tables cannot be made in this database: the role in the URL needs the right to create \
         tables there (GRANT CREATE ON SCHEMA public TO …), and no other table may have their names"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statements of a file, without comments and in one line each.
    fn statements(sql: &str) -> Vec<String> {
        let plain: Vec<_> = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
        let plain = plain.join(" ");
        let statements = plain.split(';').map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        statements.filter(|statement| !statement.is_empty()).collect()
    }

    /// Why servers of the release before could not go on beside this; nothing, if they can.
    fn objection(statement: &str, made_here: &[String]) -> Option<&'static str> {
        let words = statement.to_ascii_uppercase();
        let name_behind = |keyword: &str| {
            let place = words.find(keyword)? + keyword.len();
            Some(statement[place..].split([' ', '(']).find(|word| !word.is_empty())?.to_owned())
        };
        let is_new = |keyword: &str| name_behind(keyword).is_some_and(|table| made_here.contains(&table));
        if words.starts_with("CREATE TABLE ") || words.starts_with("CREATE UNLOGGED TABLE ") {
            return None;
        }
        if words.starts_with("CREATE INDEX ") || words.starts_with("CREATE UNIQUE INDEX ") {
            let harmless = words.starts_with("CREATE INDEX ") || is_new(" ON ");
            return (!harmless).then_some("a unique index can refuse what an older server writes");
        }
        if words.starts_with("ALTER TABLE ") {
            let added = words.split(',').all(|part| part.contains("ADD COLUMN "));
            if !added {
                return Some("of a table that is there, columns may be added and nothing else");
            }
            let filled = words.split(',').all(|part| !part.contains("NOT NULL") || part.contains("DEFAULT "));
            return (!filled).then_some("an older server does not fill a column that must be filled");
        }
        Some("a step may make tables and indexes, and add columns")
    }

    /// A server of an older release goes on beside newer tables: so a step only adds, or says that older servers must stop.
    #[test]
    fn migrations_only_add_unless_they_shut_older_servers_out() {
        for (version, migration) in (1..).zip(&MIGRATIONS) {
            let statements = statements(migration.sql);
            let made: Vec<_> = statements
                .iter()
                .filter_map(|statement| statement.split(" TABLE ").nth(1).filter(|_| statement.starts_with("CREATE")))
                .filter_map(|rest| Some(rest.split([' ', '(']).next()?.to_owned()))
                .collect();
            assert!(migration.min_reader <= version, "step {version} would shut its own release out");
            for statement in statements {
                let objection = objection(&statement, &made);
                assert!(
                    objection.is_none() || migration.min_reader == version,
                    "step {version}: {}: {statement}",
                    objection.unwrap_or_default()
                );
            }
        }
    }

    #[test]
    fn what_would_disturb_an_older_server_is_seen() {
        let new = ["cloakroom_new".to_owned()];
        for harmless in [
            "CREATE TABLE cloakroom_new (a bigint NOT NULL)",
            "CREATE UNIQUE INDEX u ON cloakroom_new (a)",
            "CREATE INDEX i ON cloakroom_accounts (name)",
            "ALTER TABLE cloakroom_accounts ADD COLUMN locale text",
            "ALTER TABLE cloakroom_accounts ADD COLUMN tries bigint NOT NULL DEFAULT 0",
        ] {
            assert_eq!(objection(harmless, &new), None, "{harmless}");
        }
        for harmful in [
            "ALTER TABLE cloakroom_accounts ADD COLUMN locale text NOT NULL",
            "ALTER TABLE cloakroom_accounts DROP COLUMN name",
            "ALTER TABLE cloakroom_accounts RENAME COLUMN name TO called",
            "ALTER TABLE cloakroom_accounts ALTER COLUMN name SET NOT NULL",
            "ALTER TABLE cloakroom_accounts ADD CONSTRAINT c CHECK (name <> '')",
            "CREATE UNIQUE INDEX u ON cloakroom_accounts (name)",
            "DROP TABLE cloakroom_audit",
            "DELETE FROM cloakroom_audit",
            "UPDATE cloakroom_accounts SET name = ''",
        ] {
            assert!(objection(harmful, &new).is_some(), "{harmful}");
        }
    }
}
