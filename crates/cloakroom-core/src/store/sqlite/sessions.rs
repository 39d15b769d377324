//! Sessions in SQLite: about 210 bytes of the file per login, indexes included.
//!
//! The record is opaque to SQL but for the columns that it is found by: account, creation, expiry.

use async_trait::async_trait;
use hashbrown::HashMap;
use rusqlite::{Connection, params};

use super::{
    Sqlite,
    columns::{at_most, execute, integer, millis, number, row, rows},
    writer::Shape,
};
use crate::{
    clock::{Clock, Timestamp},
    ids::{AccountId, AppTag, SessionId},
    method::Method,
    revocation::{Incarnation, Position},
    session::{Effect, Record, Write, Written},
    store::{DeletionTime, Place, SessionStore, StoreError, Stretch, Vitals, Watermark},
};

/// How many activities, or sessions that are forgotten, are one job.
const TOUCHES: usize = 128;

#[async_trait]
impl SessionStore for Sqlite {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        self.read_with(move |c| read(c, id)).await
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        self.write_with(Shape::OneStatement, move |c| do_write(c, id, &write)).await
    }

    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        // In parts, so that a sign-out that comes in between does not wait for all of it.
        for part in touches.chunks(TOUCHES) {
            let part = part.to_vec();
            self.write_with(Shape::Several, move |c| {
                for (id, at) in part {
                    let _ = do_write(c, id, &Write::Touch(at))?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.read_with(move |c| list(c, account, before, limit)).await
    }

    async fn sweep(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        self.write_with(Shape::Several, move |c| sweep(c, now, limit)).await
    }

    async fn watermark(&self) -> Result<Watermark, StoreError> {
        self.read_with(watermark).await
    }

    /// The file belongs to this process: nobody takes over.
    async fn advance_watermark(&self, _from: &Watermark, to: Position) -> Result<(), StoreError> {
        self.write_with(Shape::OneStatement, move |c| {
            let statement = "UPDATE installation SET mark_incarnation = ?1, mark_sequence = ?2";
            execute(c, statement, [to.incarnation.0.cast_signed(), integer(to.sequence)]).map(drop)
        })
        .await
    }

    async fn forget(&self, ids: &[SessionId]) -> Result<(), StoreError> {
        for part in ids.chunks(TOUCHES) {
            let part = part.to_vec();
            self.write_with(Shape::Several, move |c| {
                let statement = "DELETE FROM sessions WHERE sid = ?1";
                part.iter().try_for_each(|id| execute(c, statement, [id.bytes()]).map(drop))
            })
            .await?;
        }
        Ok(())
    }

    async fn walk(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError> {
        self.read_with(move |c| walk(c, from.as_ref(), limit)).await
    }

    async fn count(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        self.read_long(count).await
    }

    fn vitals(&self) -> Vec<Vitals> {
        self.its_vitals()
    }
}

fn read(connection: &Connection, id: SessionId) -> Result<Option<Record>, StoreError> {
    let query = "SELECT record FROM sessions WHERE sid = ?1";
    let record = row(connection, query, [id.bytes()], |row| Ok(decode(id, row.get_ref(0)?.as_blob().unwrap_or(&[]))))?;
    Ok(record.flatten())
}

/// A record that cannot be read counts as none (F007).
fn decode(id: SessionId, bytes: &[u8]) -> Option<Record> {
    Record::decode(bytes).inspect_err(|error| tracing::error!(session = %id, %error, "no session is made of it")).ok()
}

pub(super) fn do_write(connection: &Connection, id: SessionId, write: &Write) -> Result<Written, StoreError> {
    if *write == Write::Delete {
        // Without reading it first: what cannot be read can be deleted.
        execute(connection, "DELETE FROM sessions WHERE sid = ?1", [id.bytes()])?;
        return Ok(Written::Done(None));
    }
    let (effect, written) = write.apply(read(connection, id)?.as_ref(), || Clock::system().now());
    match effect {
        Effect::Leave => {}
        Effect::Put(record) if matches!(write, Write::Create(_)) => {
            // OR REPLACE: a row that cannot be read is in nobody's way.
            execute(
                connection,
                "INSERT OR REPLACE INTO sessions (sid, account, created, expires, record) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    id.bytes(),
                    record.account.bytes(),
                    millis(record.created),
                    millis(record.expires),
                    record.encode()
                ],
            )?;
        }
        Effect::Put(record) => {
            // No write but the first changes what a session is found by.
            let statement = "UPDATE sessions SET record = ?2 WHERE sid = ?1";
            execute(connection, statement, params![id.bytes(), record.encode()])?;
        }
        Effect::Remove => {
            execute(connection, "DELETE FROM sessions WHERE sid = ?1", [id.bytes()])?;
        }
    }
    Ok(written)
}

/// What it has been given of a log elsewhere, and its own log, with which an end is one transaction.
fn watermark(connection: &Connection) -> Result<Watermark, StoreError> {
    let query = "SELECT mark_incarnation, mark_sequence FROM installation WHERE mark_incarnation IS NOT NULL
         UNION ALL SELECT known_as, sequence FROM installation WHERE known_as IS NOT NULL";
    let marks = rows(connection, query, [], |row| {
        let incarnation = Incarnation(row.get::<_, i64>(0)?.cast_unsigned());
        Ok(Position { incarnation, sequence: number(row, 1)? })
    })?;
    Ok(Watermark::One { marks: vec![marks], holder: String::new() })
}

fn list(
    connection: &Connection,
    account: AccountId,
    before: Option<(Timestamp, SessionId)>,
    limit: usize,
) -> Result<Vec<(SessionId, Record)>, StoreError> {
    let (created, sid) = before.unwrap_or((Timestamp::MAX, SessionId::from_bytes([0xff; 16])));
    let found = rows(
        connection,
        "SELECT sid, record FROM sessions WHERE account = ?1 AND (created, sid) < (?2, ?3)
         ORDER BY created DESC, sid DESC LIMIT ?4",
        params![account.bytes(), millis(created), sid.bytes(), at_most(limit)],
        |row| {
            let id = SessionId::from_bytes(row.get(0)?);
            Ok(decode(id, row.get_ref(1)?.as_blob().unwrap_or(&[])).map(|record| (id, record)))
        },
    )?;
    Ok(found.into_iter().flatten().collect())
}

fn walk(connection: &Connection, from: Option<&Place>, limit: usize) -> Result<Stretch, StoreError> {
    let after = from.map_or(&[][..], |place| &place.0);
    let sessions = rows(
        connection,
        "SELECT sid, record FROM sessions WHERE sid > ?1 ORDER BY sid LIMIT ?2",
        params![after, at_most(limit)],
        |row| {
            let id = SessionId::from_bytes(row.get(0)?);
            Ok((id, decode(id, row.get_ref(1)?.as_blob().unwrap_or(&[]))))
        },
    )?;
    Ok(Stretch::by_id(sessions, limit))
}

fn sweep(connection: &Connection, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
    let removed = execute(
        connection,
        "DELETE FROM sessions WHERE expires <= ?1 AND sid IN
         (SELECT sid FROM sessions WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
        params![millis(now.moment()), at_most(limit)],
    )?;
    release_pages(connection)?;
    Ok(removed)
}

/// Gives pages that are free back to the file system: few at a time, and some are kept for the next logins.
fn release_pages(connection: &Connection) -> Result<(), StoreError> {
    const KEPT: i64 = 256;
    const AT_ONCE: i64 = 256;
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > KEPT {
        let mut statement =
            connection.prepare_cached(&format!("PRAGMA incremental_vacuum({})", (free - KEPT).min(AT_ONCE)))?;
        let mut steps = statement.query([])?;
        while steps.next()?.is_some() {}
    }
    Ok(())
}

fn count(connection: &Connection) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
    let mut counts = HashMap::<(AppTag, Method), u64>::new();
    let mut statement = connection.prepare_cached("SELECT record FROM sessions")?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        if let Ok(record) = Record::decode(row.get_ref(0)?.as_blob().unwrap_or(&[])) {
            *counts.entry((record.app, record.method)).or_default() += 1;
        }
    }
    Ok(counts.into_iter().map(|((app, method), n)| (app, method, n)).collect())
}
