//! Exchanges in SQLite: the line, the end of the old record and the new record are one transaction.

use rusqlite::{Connection, params};

use super::{
    accounts,
    columns::{moment, row, rows, unreadable},
    log,
    sessions::do_write,
};
use crate::{
    clock::Timestamp,
    ids::SessionId,
    revocation::End,
    session::{Succession, Write},
    store::{Basis, Exchange, Exchanged, PastExchange, Records, StoreError},
};

/// Ends a session in favour of its successor, unless something else has happened since it was judged.
pub(super) fn exchange(connection: &Connection, exchange: &Exchange, at: Timestamp) -> Result<Exchanged, StoreError> {
    log::settle(connection, at)?;
    let Exchange { old, succession, .. } = exchange;
    let lines = rows(
        connection,
        "SELECT substr(successor, 1, 16) FROM log WHERE kind = 1 AND subject = ?1",
        [old.session.bytes()],
        |row| Ok(row.get::<_, Option<[u8; 16]>>(0)?.map(SessionId::from_bytes)),
    )?;
    if lines.contains(&Some(succession.session)) {
        return Ok(past(connection, succession.session, at)?.map_or(Exchanged::Ended, Exchanged::Before));
    }
    if !lines.is_empty() {
        return Ok(Exchanged::Ended);
    }
    let basis = Basis::Session(old.clone());
    if accounts::present(connection, succession.record.account, &basis)?.is_none() {
        return Ok(Exchanged::Changed);
    }
    let end = End::Session { session: old.session };
    let entry = log::append_with(connection, end, Some(succession), at, exchange.hold.until(at))?;
    if exchange.records == Records::Here {
        let _ = do_write(connection, old.session, &Write::Delete)?;
        if succession.record.method.keeps_record() {
            let _ = do_write(connection, succession.session, &Write::Create(succession.record.clone()))?;
        }
    }
    Ok(Exchanged::Done(entry))
}

/// The exchange that a session came from.
pub(super) fn past(
    connection: &Connection,
    successor: SessionId,
    at: Timestamp,
) -> Result<Option<PastExchange>, StoreError> {
    row(
        connection,
        "SELECT successor, at, EXISTS (SELECT 1 FROM log WHERE kind = 1 AND subject = ?1) FROM log
         WHERE successor IS NOT NULL AND substr(successor, 1, 16) = ?1",
        params![successor.bytes()],
        |row| {
            let succession = row.get_ref(0)?.as_blob().ok().and_then(|bytes| Succession::decode(bytes).ok());
            let succession = succession.ok_or_else(|| unreadable("what a session was exchanged for"))?;
            Ok(PastExchange { succession, age: at.since(moment(row, 1)?), ended: row.get(2)? })
        },
    )
}
