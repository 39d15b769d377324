//! What PostgreSQL's and the driver's answers mean to the port.
//!
//! Neither statements nor values get into an error's text (F128): PostgreSQL's messages hold both, so only its five-letter
//! code for the kind of failure (SQLSTATE) is told, with what usually causes it and what helps.

use std::{error::Error as _, io};

use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// Why a statement was not done, as far as it matters for what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection is gone, or there was none. A read may be asked again on another one.
    Lost(StoreError),
    /// Another transaction was in the way and this one was undone: it may be tried again.
    Contended,
    /// Anything else.
    Final(StoreError),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost(error) | Failure::Final(error) => error,
            Failure::Contended => Self::Unavailable("other transactions were in the way, time and again".to_owned()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code() else { return of_driver(&error) };
        let code = state.code();
        let unavailable = |why: &str| StoreError::Unavailable(format!("{why} (SQLSTATE {code})"));
        if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(state) {
            return Self::Contended;
        }
        if *state == SqlState::READ_ONLY_SQL_TRANSACTION {
            // What was a primary is a standby now: another connection may find the new one.
            return Self::Lost(StoreError::ReadOnly);
        }
        if *state == SqlState::DISK_FULL {
            return Self::Final(StoreError::Full);
        }
        if let Some(why) = login_refused(state) {
            return Self::Lost(unavailable(why));
        }
        match &code[..2] {
            "08" | "53" => Self::Lost(unavailable("PostgreSQL has no connection to spare, or the pooler none to it")),
            "57" if *state == SqlState::QUERY_CANCELED => {
                Self::Final(unavailable("a statement took longer than it may"))
            }
            "57" => Self::Lost(unavailable("PostgreSQL is starting or stopping")),
            "55" if *state == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => {
                Self::Lost(unavailable("PostgreSQL is a standby: the log is read from a primary only"))
            }
            "25" | "55" => Self::Final(unavailable("PostgreSQL gave a transaction up")),
            "42" if *state == SqlState::INSUFFICIENT_PRIVILEGE => Self::Final(StoreError::Foreign(format!(
                "the role in the URL may not use Cloakroom's tables (SQLSTATE {code}): connect as the role that made them, or \
                 grant it SELECT, INSERT, UPDATE and DELETE on them"
            ))),
            "3F" | "42" => Self::Final(StoreError::Foreign(format!(
                "the tables in this database are not those of this release (SQLSTATE {code}): is it the right database?"
            ))),
            "XX" => {
                Self::Final(StoreError::Corrupt(format!("PostgreSQL reports a fault of its own (SQLSTATE {code})")))
            }
            "22" | "23" => {
                Self::Final(StoreError::Refused(format!("PostgreSQL does not accept a row (SQLSTATE {code})")))
            }
            _ => Self::Final(unavailable("PostgreSQL refused a statement")),
        }
    }
}

fn login_refused(state: &SqlState) -> Option<&'static str> {
    let why = if *state == SqlState::INVALID_PASSWORD {
        "PostgreSQL refuses the password: check the user and the password in the URL"
    } else if *state == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        "PostgreSQL lets this user not in from here: check the user in the URL, sslmode, and the server's pg_hba.conf"
    } else if *state == SqlState::INVALID_CATALOG_NAME {
        "PostgreSQL has no database of the URL's name: make it with createdb"
    } else {
        return None;
    };
    Some(why)
}

/// What did not come from the server.
fn of_driver(error: &tokio_postgres::Error) -> Failure {
    let source = error.source();
    if let Some(io) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
        // What the certificate or its name lack is told by rustls, and holds no secret.
        let tls = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let why = tls.map_or_else(|| kind_of(io), |tls| format!("TLS with PostgreSQL failed: {tls}"));
        return Failure::Lost(StoreError::Unavailable(why));
    }
    if error.is_closed() {
        return Failure::Lost(StoreError::Unavailable("PostgreSQL closed the connection".to_owned()));
    }
    let text = error.to_string();
    match text.as_str() {
        "error performing TLS handshake" => Failure::Lost(StoreError::Unavailable(
            "PostgreSQL offers no TLS here: write sslmode=disable into the URL if nobody else can listen on the way to it"
                .to_owned(),
        )),
        "authentication error" => Failure::Lost(StoreError::Unavailable(
            "PostgreSQL and this server do not agree on how to prove the password: is there one in the URL?".to_owned(),
        )),
        // Its text names columns and numbers of parameters, never values.
        _ => Failure::Final(StoreError::Corrupt(format!("an answer of PostgreSQL cannot be read: {text}"))),
    }
}

fn kind_of(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens at PostgreSQL's address".to_owned(),
        io::ErrorKind::NotFound => "there is no socket of PostgreSQL in that directory".to_owned(),
        io::ErrorKind::PermissionDenied => "PostgreSQL's socket may not be used, or it takes no writes".to_owned(),
        io::ErrorKind::TimedOut => "PostgreSQL does not answer".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "PostgreSQL closed the connection".to_owned()
        }
        _ => format!("PostgreSQL cannot be reached: {error}"),
    }
}

/// A time limit that was passed.
pub(super) fn too_slow(what: &str) -> StoreError {
    StoreError::Unavailable(format!("PostgreSQL: {what} took longer than it may"))
}

/// Something in a row that is none.
pub(super) fn unreadable(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} in PostgreSQL cannot be read"))
}
