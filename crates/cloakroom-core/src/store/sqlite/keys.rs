//! Keys, services and the installation's own row in SQLite.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::columns::{KEY, execute, integer, key, millis, moment, row, rows, unreadable};
use crate::{
    ids::Kid,
    key::{KeyRow, WrappedKey},
    store::{Installation, Service, StoreError},
};

/// The store's id and its check of the master secret.
pub(super) fn installation(connection: &Connection) -> Result<Installation, StoreError> {
    row(connection, "SELECT id, secret_check FROM installation", [], |row| {
        let secret_check = row.get::<_, Option<Vec<u8>>>(1)?.map(WrappedKey::from_bytes);
        Ok(Installation { id: Uuid::from_bytes(row.get(0)?), secret_check })
    })?
    .ok_or_else(|| unreadable("the installation"))
}

/// Sets the check together with all keys wrapped anew.
pub(super) fn rewrap(
    connection: &Connection,
    check: &WrappedKey,
    keys: &[(Kid, WrappedKey)],
) -> Result<(), StoreError> {
    execute(connection, "UPDATE installation SET secret_check = ?1", [check.bytes()])?;
    for (kid, wrapped) in keys {
        execute(connection, "UPDATE keys SET wrapped = ?2 WHERE kid = ?1", params![kid.as_str(), wrapped.bytes()])?;
    }
    Ok(())
}

/// Sets the check where there is none; whether there was none.
pub(super) fn first_check(connection: &Connection, check: &WrappedKey) -> Result<bool, StoreError> {
    let statement = "UPDATE installation SET secret_check = ?1 WHERE secret_check IS NULL";
    Ok(execute(connection, statement, [check.bytes()])? == 1)
}

/// All keys, by purpose and place.
pub(super) fn all(connection: &Connection) -> Result<Vec<KeyRow>, StoreError> {
    rows(connection, &format!("SELECT {KEY} FROM keys ORDER BY purpose, ordinal"), [], key)
}

/// Adds a key unless its place or its name is taken.
pub(super) fn add(connection: &Connection, key: &KeyRow) -> Result<bool, StoreError> {
    let added = execute(
        connection,
        "INSERT INTO keys (kid, purpose, ordinal, wrapped, created, used_from, killed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        params![
            key.kid.as_str(),
            key.purpose.name(),
            integer(key.ordinal.into()),
            key.wrapped.bytes(),
            millis(key.created),
            millis(key.from),
            key.killed.map(millis),
        ],
    )?;
    Ok(added == 1)
}

/// Forgets keys.
pub(super) fn remove(connection: &Connection, kids: &[Kid]) -> Result<(), StoreError> {
    for kid in kids {
        execute(connection, "DELETE FROM keys WHERE kid = ?1", [kid.as_str()])?;
    }
    Ok(())
}

/// Adds a service.
pub(super) fn add_service(connection: &Connection, service: &Service) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO services (id, name, secret_hash, created) VALUES (?1, ?2, ?3, ?4)",
        params![service.id, service.name, service.secret_hash, millis(service.created)],
    )?;
    Ok(())
}

/// All services, the oldest first.
pub(super) fn services(connection: &Connection) -> Result<Vec<Service>, StoreError> {
    let query = "SELECT id, name, secret_hash, created FROM services ORDER BY created, id";
    rows(connection, query, [], |row| {
        let created = moment(row, 3)?;
        Ok(Service { id: row.get(0)?, name: row.get(1)?, secret_hash: row.get(2)?, created })
    })
}

/// Removes a service; whether there was one.
pub(super) fn remove_service(connection: &Connection, id: &str) -> Result<bool, StoreError> {
    Ok(execute(connection, "DELETE FROM services WHERE id = ?1", [id])? == 1)
}
