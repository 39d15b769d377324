//! The audit log in SQLite: appended to, read backwards, and cut off at its old end.

use std::fmt::Write;

use rusqlite::{Connection, Row, params, params_from_iter, types::Value};

use super::columns::{at_most, execute, integer, millis, moment, number, row, rows};
use crate::{
    audit::{Event, Filter, Kind, Origin, Stored},
    ids::{AccountId, AppId, SessionId},
    refusal::Reason,
    store::{DeletionTime, StoreError},
};

/// Appends events in the order given.
pub(super) fn append(connection: &Connection, events: &[Event]) -> Result<(), StoreError> {
    for event in events {
        execute(
            connection,
            "INSERT INTO audit (at, kind, account, session, app, address, network, user_agent, reason, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                millis(event.at),
                event.kind.as_str(),
                event.account.as_ref().map(AccountId::bytes),
                event.session.as_ref().map(SessionId::bytes),
                event.app.as_ref().map(AppId::as_str),
                event.origin.address.map(|address| address.to_canonical().to_string()),
                event.origin.network().map(|network| network.to_string()),
                event.origin.user_agent,
                event.reason.map(Reason::as_str),
                event.detail,
            ],
        )?;
    }
    Ok(())
}

/// A page, newest first.
pub(super) fn page(connection: &Connection, filter: &Filter, limit: usize) -> Result<Vec<Stored>, StoreError> {
    // Only what is asked for stands in the statement, so that SQLite picks the index for it.
    let asked = [
        ("account", filter.account.map(|account| Value::Blob(account.bytes().to_vec()))),
        ("session", filter.session.map(|session| Value::Blob(session.bytes().to_vec()))),
        ("kind", filter.kind.map(|kind| Value::Text(kind.as_str().to_owned()))),
    ];
    let mut conditions = String::new();
    let mut values = vec![Value::Integer(filter.before.map_or(i64::MAX, integer)), Value::Integer(at_most(limit))];
    for (column, value) in asked {
        let Some(value) = value else { continue };
        values.push(value);
        let _ = write!(conditions, " AND {column} = ?{}", values.len());
    }
    rows(
        connection,
        &format!(
            "SELECT id, at, kind, account, session, app, address, user_agent, reason, detail FROM audit
             WHERE id < ?1{conditions} ORDER BY id DESC LIMIT ?2"
        ),
        params_from_iter(values),
        stored,
    )
}

fn stored(row: &Row<'_>) -> Result<Stored, StoreError> {
    Ok(Stored {
        id: number(row, 0)?,
        at: moment(row, 1)?,
        kind: Kind::parse(row.get_ref(2)?.as_str().unwrap_or_default()).unwrap_or(Kind::Refused),
        account: row.get::<_, Option<_>>(3)?.map(AccountId::from_bytes),
        session: row.get::<_, Option<_>>(4)?.map(SessionId::from_bytes),
        app: row.get(5)?,
        address: row.get::<_, Option<String>>(6)?.and_then(|address| address.parse().ok()),
        user_agent: row.get(7)?,
        reason: row.get(8)?,
        detail: row.get(9)?,
    })
}

/// The sign-ins by which sessions began.
pub(super) fn origins(connection: &Connection, sessions: &[SessionId]) -> Result<Vec<(SessionId, Origin)>, StoreError> {
    let mut found = Vec::with_capacity(sessions.len());
    for session in sessions {
        let origin = row(
            connection,
            "SELECT address, user_agent FROM audit WHERE session = ?1 AND kind IN ('signed_in', 'exchanged')
             ORDER BY id LIMIT 1",
            [session.bytes()],
            |row| {
                let address = row.get::<_, Option<String>>(0)?.and_then(|address| address.parse().ok());
                Ok(Origin { address, user_agent: row.get(1)? })
            },
        )?;
        found.extend(origin.map(|origin| (*session, origin)));
    }
    Ok(found)
}

/// Whether an account has signed in from a network.
pub(super) fn has_signed_in_from(connection: &Connection, id: AccountId, network: &str) -> Result<bool, StoreError> {
    let query = "SELECT 1 FROM audit WHERE account = ?1 AND network = ?2 AND kind = 'signed_in' LIMIT 1";
    Ok(row(connection, query, params![id.bytes(), network], |_| Ok(()))?.is_some())
}

/// Removes what is from before a moment. Looks at the oldest lines only: they are in the order of time but for moments.
pub(super) fn prune(connection: &Connection, before: DeletionTime, limit: usize) -> Result<usize, StoreError> {
    execute(
        connection,
        "DELETE FROM audit WHERE at < ?1 AND id IN (SELECT id FROM audit ORDER BY id LIMIT ?2)",
        params![millis(before.moment()), at_most(limit)],
    )
}
