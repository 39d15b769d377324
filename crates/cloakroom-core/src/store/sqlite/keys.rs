//! Keys, services and the installation's own row in SQLite.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{
    columns::{KEY, execute, integer, key, millis, moment, row, rows, unreadable},
    log,
};
use crate::{
    clock::Timestamp,
    key::{KeyRow, KeyStamp, Keys, WrappedKey},
    random::Rng,
    revocation::{End, Entry, KeySet},
    store::{Installation, KeyChange, Service, StoreError},
};

/// The store's id and its check of the master secret.
pub(super) fn installation(connection: &Connection) -> Result<Installation, StoreError> {
    row(connection, "SELECT id, secret_check FROM installation", [], |row| {
        let secret_check = row.get::<_, Option<Vec<u8>>>(1)?.map(WrappedKey::from_bytes);
        Ok(Installation { id: Uuid::from_bytes(row.get(0)?), secret_check })
    })?
    .ok_or_else(|| unreadable("the installation"))
}

/// Sets the check where there is none; whether there was none.
pub(super) fn first_check(connection: &Connection, check: &WrappedKey) -> Result<bool, StoreError> {
    let statement = "UPDATE installation SET secret_check = ?1 WHERE secret_check IS NULL";
    Ok(execute(connection, statement, [check.bytes()])? == 1)
}

/// All keys, by purpose and place; in one transaction with the number of their set.
pub(super) fn all(connection: &Connection) -> Result<Keys, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let stamp = stamp(&transaction)?;
    let rows = rows(&transaction, &format!("SELECT {KEY} FROM keys ORDER BY purpose, ordinal"), [], key)?;
    transaction.commit()?;
    Ok(Keys { stamp, rows })
}

/// Changes the keys, if they are still those; `None`: they are not, or the change does not fit them.
pub(super) fn change(
    connection: &Connection,
    from: &KeyStamp,
    change: &KeyChange,
    at: Timestamp,
) -> Result<Option<Vec<Entry>>, StoreError> {
    if stamp(connection)? != *from {
        return Ok(None);
    }
    log::settle(connection, at)?;
    let mut entries = Vec::new();
    match change {
        KeyChange::Add(row) => {
            if !add(connection, row)? {
                return Ok(None);
            }
        }
        KeyChange::Kill { kids, hold, next } => {
            if let Some(row) = next
                && !add(connection, row)?
            {
                return Ok(None);
            }
            for kid in kids {
                let statement = "UPDATE keys SET killed = coalesce(killed, ?2) WHERE kid = ?1";
                if execute(connection, statement, params![kid.as_str(), millis(at)])? == 1 {
                    entries.push(log::append(connection, End::Key { kid: *kid }, at, hold.until(at))?);
                }
            }
        }
        KeyChange::Rewrap { check, wrapped } => {
            let living =
                rows(connection, "SELECT kid FROM keys WHERE killed IS NULL", [], |row| Ok(row.get::<_, String>(0)?))?;
            if living.iter().any(|kid| !wrapped.iter().any(|(given, _)| given.as_str() == kid)) {
                return Ok(None);
            }
            execute(connection, "UPDATE installation SET secret_check = ?1", [check.bytes()])?;
            for (kid, key) in wrapped {
                let statement = "UPDATE keys SET wrapped = ?2 WHERE kid = ?1";
                execute(connection, statement, params![kid.as_str(), key.bytes()])?;
            }
        }
        KeyChange::Remove(kids) => {
            for kid in kids {
                execute(connection, "DELETE FROM keys WHERE kid = ?1", [kid.as_str()])?;
            }
        }
    }
    execute(connection, "UPDATE installation SET key_set = ?1", [i64::from_be_bytes(Rng::system().bytes())])?;
    Ok(Some(entries))
}

/// Adds a key unless its place or its name is taken.
fn add(connection: &Connection, key: &KeyRow) -> Result<bool, StoreError> {
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

fn stamp(connection: &Connection) -> Result<KeyStamp, StoreError> {
    row(connection, "SELECT key_set, secret_check FROM installation", [], |row| {
        let set = KeySet(row.get::<_, i64>(0)?.cast_unsigned());
        Ok(KeyStamp { set, check: row.get::<_, Option<Vec<u8>>>(1)?.map(WrappedKey::from_bytes) })
    })?
    .ok_or_else(|| unreadable("the installation"))
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
