//! How the domain's values stand in columns.

use rusqlite::{Connection, Params, Row};

use crate::{
    account::{Account, AccountState, EmailAddress},
    clock::Timestamp,
    credential::PasswordHash,
    ids::{AccountId, Epoch, Kid},
    key::{KeyRow, Purpose, WrappedKey},
    method::Method,
    store::{Login, StoreError},
};

/// A number as SQLite holds it; moments, sequences and epochs are all below 2⁶³.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A moment as a column holds it.
pub(super) fn millis(at: Timestamp) -> i64 {
    integer(at.millis())
}

/// A `LIMIT`.
pub(super) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The moment in a column.
pub(super) fn moment(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_millis(number(row, column)?))
}

/// The number in a column.
pub(super) fn number(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| unreadable("a number"))
}

/// The epoch in a column.
pub(super) fn epoch(row: &Row<'_>, column: usize) -> Result<Epoch, StoreError> {
    u32::try_from(row.get::<_, i64>(column)?).map(Epoch).map_err(|_| unreadable("an epoch"))
}

/// A method's code, with 0 for every method.
pub(super) fn method_code(method: Option<Method>) -> u8 {
    method.map_or(0, |method| method.properties().code)
}

/// The columns of [`login`].
pub(super) const LOGIN: &str = "id, typed, name, disabled, epoch, created, password";

/// An account with its password, from a row of the [`LOGIN`] columns.
pub(super) fn login(row: &Row<'_>) -> Result<Login, StoreError> {
    let id = AccountId::from_bytes(row.get(0)?);
    let email = EmailAddress::from_stored(&row.get::<_, String>(1)?).map_err(|_| unreadable("an e-mail address"))?;
    let account = Account {
        id,
        email,
        name: row.get(2)?,
        state: if row.get::<_, bool>(3)? { AccountState::Disabled } else { AccountState::Active },
        epoch: epoch(row, 4)?,
        created: moment(row, 5)?,
    };
    let password = row.get::<_, Option<String>>(6)?.and_then(|phc| {
        // A hash that cannot be read, or asks for too much, makes the login fail as one without a password (F075).
        PasswordHash::parse(&phc)
            .inspect_err(|error| tracing::error!(account = %id, %error, "a stored password hash cannot be used"))
            .ok()
    });
    Ok(Login { account, password })
}

/// The columns of [`key`].
pub(super) const KEY: &str = "kid, purpose, ordinal, wrapped, created, used_from, killed";

/// A key, from a row of the [`KEY`] columns.
pub(super) fn key(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        kid: Kid::parse(&row.get::<_, String>(0)?).ok_or_else(|| unreadable("a key's name"))?,
        purpose: Purpose::parse(&row.get::<_, String>(1)?).ok_or_else(|| unreadable("a key's purpose"))?,
        ordinal: row.get(2)?,
        wrapped: WrappedKey::from_bytes(row.get(3)?),
        created: moment(row, 4)?,
        from: moment(row, 5)?,
        killed: row.get::<_, Option<i64>>(6)?.map(|ms| Timestamp::from_millis(ms.unsigned_abs())),
    })
}

pub(super) fn unreadable(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} in cloakroom.db cannot be read"))
}

/// Every row that a query finds.
pub(super) fn rows<T>(
    connection: &Connection,
    query: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    connection.prepare_cached(query)?.query_and_then(params, read)?.collect()
}

/// The row that a query finds, if it finds one.
pub(super) fn row<T>(
    connection: &Connection,
    query: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Does a statement; how many rows it changed.
pub(super) fn execute(connection: &Connection, statement: &str, params: impl Params) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(statement)?.execute(params)?)
}
