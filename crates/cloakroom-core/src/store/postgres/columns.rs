//! How the domain's values stand in columns.

use tokio_postgres::Row;

use super::error::{Failure, unreadable};
use crate::{
    account::{Account, AccountState, EmailAddress},
    clock::Timestamp,
    credential::PasswordHash,
    ids::{AccountId, Epoch, Kid},
    key::{KeyRow, Purpose, WrappedKey},
    method::Method,
    store::{Login, StoreError},
};

/// The number in a column.
pub(super) fn number(row: &Row, column: usize) -> Result<u64, StoreError> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| unreadable("a number"))
}

/// The moment in a column.
pub(super) fn moment(row: &Row, column: usize) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_millis(number(row, column)?))
}

/// The number of 32 bits in a column.
pub(super) fn small_number(row: &Row, column: usize) -> Result<u32, StoreError> {
    u32::try_from(get::<i64>(row, column)?).map_err(|_| unreadable("a number"))
}

/// The epoch in a column.
pub(super) fn epoch(row: &Row, column: usize) -> Result<Epoch, StoreError> {
    small_number(row, column).map(Epoch)
}

/// Bytes of a known length in a column.
pub(super) fn bytes<const N: usize>(row: &Row, column: usize) -> Result<[u8; N], StoreError> {
    get::<&[u8]>(row, column)?.try_into().map_err(|_| unreadable("an id"))
}

/// Bytes of a known length, or none, in a column.
pub(super) fn maybe_bytes<const N: usize>(row: &Row, column: usize) -> Result<Option<[u8; N]>, StoreError> {
    let bytes = get::<Option<&[u8]>>(row, column)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| unreadable("an id"))).transpose()
}

/// What stands in a column.
pub(super) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| Failure::from(error).into())
}

/// A method's code, with 0 for every method.
pub(super) fn method_code(method: Option<Method>) -> i16 {
    method.map_or(0, |method| method.properties().code.into())
}

/// An account: from the columns `id, typed, name, disabled, epoch, created`.
pub(super) fn account(row: &Row) -> Result<Account, StoreError> {
    let email = EmailAddress::from_stored(get(row, 1)?).map_err(|_| unreadable("an e-mail address"))?;
    Ok(Account {
        id: AccountId::from_bytes(bytes(row, 0)?),
        email,
        name: get(row, 2)?,
        state: if get(row, 3)? { AccountState::Disabled } else { AccountState::Active },
        epoch: epoch(row, 4)?,
        created: moment(row, 5)?,
    })
}

/// An account with its password: from the columns `id, typed, name, disabled, epoch, created, password`.
pub(super) fn login(row: &Row) -> Result<Login, StoreError> {
    let account = account(row)?;
    let password = get::<Option<&str>>(row, 6)?.and_then(|phc| {
        // A hash that cannot be read, or asks for too much, makes the login fail as one without a password (F075).
        PasswordHash::parse(phc)
            .inspect_err(
                |error| tracing::error!(account = %account.id, %error, "a stored password hash cannot be used"),
            )
            .ok()
    });
    Ok(Login { account, password })
}

/// A key: from the columns `kid, purpose, ordinal, wrapped, created, used_from, killed`.
pub(super) fn key(row: &Row) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        kid: Kid::parse(get(row, 0)?).ok_or_else(|| unreadable("a key's name"))?,
        purpose: Purpose::parse(get(row, 1)?).ok_or_else(|| unreadable("a key's purpose"))?,
        ordinal: small_number(row, 2)?,
        wrapped: WrappedKey::from_bytes(get(row, 3)?),
        created: moment(row, 4)?,
        from: moment(row, 5)?,
        killed: get::<Option<i64>>(row, 6)?.map(|ms| Timestamp::from_millis(ms.unsigned_abs())),
    })
}
