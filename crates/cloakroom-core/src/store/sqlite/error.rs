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
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => {
            StoreError::Corrupt(format!("cloakroom.db does not accept a row (SQLite error {number})"))
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
