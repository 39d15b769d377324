//! What SQLite's answers mean to the port. Neither statements nor bound values get into an error's text (F128): it says
//! the kind of failure and SQLite's own number for it.

use std::io;

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.sqlite_error() {
            Some(failure) => of_sqlite(*failure),
            // What remains is a value that is not of the type that its column has here, or a misuse of the driver.
            None => Self::Corrupt("a row of cloakroom.db is not as it must be".to_owned()),
        }
    }
}

fn of_sqlite(failure: ffi::Error) -> StoreError {
    let number = failure.extended_code;
    match failure.code {
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => StoreError::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            StoreError::Corrupt(format!("cloakroom.db is not a sound SQLite database (SQLite error {number})"))
        }
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => {
            StoreError::Refused(format!("cloakroom.db does not accept a row (SQLite error {number})"))
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            StoreError::Unavailable(format!("another program holds cloakroom.db (SQLite error {number})"))
        }
        _ => StoreError::Unavailable(format!("SQLite error {number}")),
    }
}

/// What a failure to make or open a file means.
pub(super) fn of_io(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => StoreError::ReadOnly,
        _ => StoreError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, OpenFlags};

    use super::*;

    /// F128: what a failed statement was bound to, and the statement itself, are in no error.
    #[test]
    fn no_error_holds_a_bound_value() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (a TEXT PRIMARY KEY, b INTEGER CHECK (b > 0), c INTEGER) STRICT, WITHOUT ROWID",
            )
            .unwrap();
        let insert = |a: &str, b: i64, c: &str| {
            connection.execute("INSERT INTO t VALUES (?1, ?2, ?3)", (a, b, c)).map_err(StoreError::from)
        };
        insert("sesame-7351", 1, "2").unwrap();
        let failures = [
            insert("sesame-7351", 1, "2").unwrap_err(),
            insert("sesame-7352", -7351, "2").unwrap_err(),
            insert("sesame-7353", 1, "sesame-7351").unwrap_err(),
            connection.query_row("SELECT a FROM t", [], |row| row.get::<_, i64>(0)).unwrap_err().into(),
            connection.query_row("SELECT a FROM t WHERE a = 'x'", [], |row| row.get::<_, i64>(0)).unwrap_err().into(),
            connection.execute("SELECT 'sesame-7351' FROM nothing", []).unwrap_err().into(),
        ];
        for failure in failures {
            let text = format!("{failure} {failure:?}");
            assert!(!text.contains("sesame") && !text.contains("7351") && !text.contains("SELECT"), "{text}");
        }
    }

    #[test]
    fn a_file_that_may_not_be_written_or_is_not_there_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some.db");
        let open = |flags| Connection::open_with_flags(&path, flags).map_err(StoreError::from);
        assert_eq!(open(OpenFlags::SQLITE_OPEN_READ_WRITE).err(), Some(StoreError::ReadOnly));
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        let connection = open(OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let error = connection.execute("INSERT INTO t VALUES (1)", []).unwrap_err();
        assert_eq!(StoreError::from(error), StoreError::ReadOnly);
    }

    #[test]
    fn failures_to_make_files_are_told_apart() {
        let of = |errno: rustix::io::Errno| of_io(&errno.into());
        assert_eq!(of(rustix::io::Errno::NOSPC), StoreError::Full);
        assert_eq!(of(rustix::io::Errno::DQUOT), StoreError::Full);
        assert_eq!(of(rustix::io::Errno::ROFS), StoreError::ReadOnly);
        assert_eq!(of(rustix::io::Errno::ACCESS), StoreError::ReadOnly);
        assert!(matches!(of(rustix::io::Errno::NOTDIR), StoreError::Unavailable(_)));
    }
}
