//! The database file: how it is made and opened, and how its tables come to be.
//!
//! Migrations are numbered SQL files, embedded, each done in one transaction together with the raising of
//! `user_version`. A file that is not Cloakroom's, or of a later release, is refused untouched.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::{error::of_io, options::Options};
use crate::{random::Rng, store::StoreError};

/// `Clok`, in the file's header.
const APPLICATION_ID: i32 = 0x436c_6f6b;
const MIGRATIONS: [&str; 2] = [include_str!("migrations/0001_first.sql"), include_str!("migrations/0002_corners.sql")];

/// How long one connection waits for another, such as an operator's tool or a backup.
const BUSY: Duration = Duration::from_secs(5);
/// What a checkpoint leaves of the write-ahead log.
const WAL_BYTES: i64 = 64 << 20;
/// After so many pages of the write-ahead log a commit copies them into the file. Rotations touch pages in any order, and
/// the more of them gather the more often a page is copied once for several.
const CHECKPOINT_PAGES: i64 = 4096;

/// Opens the file for writing, and makes it what it must be: new, or of this release.
pub(super) fn open_writer(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    // Made before SQLite sees it, so that no umask and no moment leaves it open to others; the files that SQLite puts
    // beside it take over its mode.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| of_io(&e))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection, options.write_cache)?;
    recognise(&connection)?;
    // Pages that a sweep frees go back to the file system; can only be chosen before the first table.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on the disk when it is answered (F125).
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // What a savepoint may have to put back is no file's business.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What was deleted is overwritten wherever that costs no extra writing.
    connection.query_row("PRAGMA secure_delete = FAST", [], |_| Ok(()))?;
    if let Some(pages) = options.max_pages {
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    migrate(&mut connection)?;
    settle(&connection)?;
    // What a server that was killed had written, and not synced, is shown from here on, and is on the disk before it is.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(connection)
}

/// Opens the file for reading.
pub(super) fn open_reader(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection, options.read_cache)?;
    Ok(connection)
}

/// Refuses a file whose tables are not those of this release.
pub(super) fn look(path: &Path, options: &Options) -> Result<(), StoreError> {
    let connection = open_reader(path, options)?;
    recognise(&connection)?;
    if version(&connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    Err(StoreError::Foreign(
        "cloakroom.db is of an earlier release, or empty: start the server on it once, which brings it up to date"
            .to_owned(),
    ))
}

fn prepare(connection: &Connection, cache: usize) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // A negative size is in KiB rather than in pages.
    connection.pragma_update(None, "cache_size", -i64::try_from(cache / 1024).unwrap_or(i64::MAX))?;
    Ok(())
}

/// Refuses a database that is not Cloakroom's, or that a later release has changed.
fn recognise(connection: &Connection) -> Result<(), StoreError> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = version(connection)?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let empty = application == 0 && version == 0 && tables == 0;
    if !empty && application != APPLICATION_ID {
        return Err(StoreError::Foreign("cloakroom.db is a database, but not one of Cloakroom's".to_owned()));
    }
    if version > MIGRATIONS.len() {
        return Err(StoreError::Foreign(format!(
            "cloakroom.db is of a later release (its tables are of version {version}, this release knows {}): start that \
             release, or restore a backup from before the upgrade",
            MIGRATIONS.len()
        )));
    }
    Ok(())
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(version(connection)?) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", done as u32 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

fn version(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A negative one is none of ours; it counts as later than everything.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Gives a new store its id, and a new or restored one a log of its own.
fn settle(connection: &Connection) -> Result<(), StoreError> {
    let rng = Rng::system();
    let id = uuid::Builder::from_random_bytes(rng.bytes()).into_uuid();
    connection.execute("INSERT OR IGNORE INTO installation (one, id) VALUES (1, ?1)", params![id.as_bytes()])?;
    connection.execute(
        "UPDATE installation SET incarnation = ?1 WHERE incarnation IS NULL",
        params![i64::from_be_bytes(rng.bytes())],
    )?;
    // The log of a new store, or of one that an older release has made.
    connection.execute("UPDATE installation SET known_as = incarnation WHERE known_as IS NULL", [])?;
    Ok(())
}
