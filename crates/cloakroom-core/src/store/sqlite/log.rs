//! The revocation log in SQLite.
//!
//! Numbers are given inside the transaction of the one writer and kept in the installation's row, so that the log has no
//! gaps that could fill later, and that none comes twice however much of it is removed.

use rusqlite::{Connection, Row, params};

use super::{
    accounts,
    columns::{at_most, epoch, execute, integer, method_code, millis, moment, number, row, rows, unreadable},
    sessions,
};
use crate::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    method::Method,
    revocation::{
        self, Answer, End, Entry, Extent, Hold, Incarnation, KeySet, LOG_LIFE, Lineage, PAGE, Position, Since,
        line_that_stands, reach,
    },
    session::{Succession, Write},
    store::{Basis, DeletionClock, DeletionTime, EndRequest, EndedSessions, StoreError},
};

const LINE: &str = "sequence, kind, subject, method, epoch, until, at";

/// Ends what is asked, each with how long it must be held; unknown accounts are left out.
pub(super) fn end(
    connection: &Connection,
    ends: &[(EndRequest, Hold)],
    at: Timestamp,
) -> Result<Vec<Entry>, StoreError> {
    settle(connection, at)?;
    let mut entries = Vec::with_capacity(ends.len());
    for (request, hold) in ends {
        let until = hold.until(at);
        let ended = end_one(connection, request, at, until)?;
        let followed = request.session().filter(|_| ended.is_some());
        entries.extend(ended);
        if let Some(session) = followed {
            for (successor, kept) in successors(connection, session)? {
                entries.extend(end_one(connection, &EndRequest::Session(successor), at, kept.max(until))?);
            }
        }
    }
    Ok(entries)
}

/// What took a session's place, and the place of that, each with how long the line is kept that names it: it can live for so
/// long.
fn successors(connection: &Connection, session: SessionId) -> Result<Vec<(SessionId, Timestamp)>, StoreError> {
    rows(
        connection,
        "WITH RECURSIVE chain (session, until) AS (
             SELECT substr(successor, 1, 16), until FROM log WHERE kind = 1 AND subject = ?1 AND successor IS NOT NULL
             UNION
             SELECT substr(line.successor, 1, 16), line.until FROM chain JOIN log AS line ON line.subject = chain.session
             WHERE line.kind = 1 AND line.successor IS NOT NULL
         )
         SELECT session, until FROM chain",
        [session.bytes()],
        |row| Ok((SessionId::from_bytes(row.get(0)?), moment(row, 1)?)),
    )
}

fn end_one(
    connection: &Connection,
    request: &EndRequest,
    at: Timestamp,
    until: Timestamp,
) -> Result<Option<Entry>, StoreError> {
    match request {
        EndRequest::Session(session) => {
            execute(connection, "DELETE FROM sessions WHERE sid = ?1", [session.bytes()])?;
            let known = rows(
                connection,
                &format!("SELECT {LINE} FROM log WHERE kind = 1 AND subject = ?1 ORDER BY sequence"),
                [session.bytes()],
                entry,
            )?;
            match line_that_stands(&known, at, until) {
                Some(entry) => Ok(Some(entry.clone())),
                None => append(connection, End::Session { session: *session }, at, until).map(Some),
            }
        }
        EndRequest::Another(session, account, acting) => {
            let basis = Basis::Session(acting.clone());
            match accounts::present(connection, *account, &basis)? {
                Some(_) => end_one(connection, &EndRequest::Session(*session), at, until),
                None => Ok(None),
            }
        }
        EndRequest::Account(account, basis) => {
            let Some(present) = accounts::present(connection, *account, basis)? else { return Ok(None) };
            raise(connection, *account, present.epoch, at, until).map(Some)
        }
        EndRequest::Others(account, acting) => {
            let basis = Basis::Session(acting.clone());
            let Some(present) = accounts::present(connection, *account, &basis)? else { return Ok(None) };
            let entry = raise(connection, *account, present.epoch, at, until)?;
            if let End::Account { epoch, .. } = entry.end {
                let carried = Write::CarryOver { from: acting.epoch, to: epoch };
                let _ = sessions::do_write(connection, acting.session, &carried)?;
            }
            Ok(Some(entry))
        }
        EndRequest::App(app, method) => {
            let epoch = app_epochs(connection, app, *method)?.0.raised(at, floor(connection)?);
            execute(
                connection,
                "INSERT INTO app_ends (app, method, epoch) VALUES (?1, ?2, ?3)
                 ON CONFLICT (app, method) DO UPDATE SET epoch = excluded.epoch",
                params![app.as_str(), method_code(*method), epoch.0],
            )?;
            append(connection, End::App { app: app.clone(), method: *method, epoch }, at, until).map(Some)
        }
    }
}

/// Raises an account's epoch from where it stands.
fn raise(
    connection: &Connection,
    account: AccountId,
    from: Epoch,
    at: Timestamp,
    until: Timestamp,
) -> Result<Entry, StoreError> {
    let epoch = from.raised(at, floor(connection)?);
    execute(connection, "UPDATE accounts SET epoch = ?2 WHERE id = ?1", params![account.bytes(), epoch.0])?;
    append(connection, End::Account { account, epoch }, at, until)
}

/// What no epoch is raised to less than.
pub(super) fn floor(connection: &Connection) -> Result<Epoch, StoreError> {
    let floor = row(connection, "SELECT epoch_floor FROM installation", [], |row| epoch(row, 0))?;
    floor.ok_or_else(|| unreadable("the installation"))
}

/// Has the log note what it was called before, if it has become another incarnation since its last line: a backup that was
/// put back may lack the last lines. For whoever is going to write into the log, before anything else.
pub(super) fn settle(connection: &Connection, at: Timestamp) -> Result<(), StoreError> {
    let Head { position: head, pruned, known_as, .. } = read_head(connection)?;
    if known_as == Some(head.incarnation) {
        return Ok(());
    }
    if let Some(former) = known_as {
        tracing::warn!(%former, now = %head, "the revocation log goes on in another incarnation");
        execute(
            connection,
            "INSERT INTO lineage (incarnation, last) VALUES (?1, ?2)
             ON CONFLICT (incarnation) DO UPDATE SET last = min(last, excluded.last)",
            [former.0.cast_signed(), integer(head.sequence)],
        )?;
        // A mark from before what was pruned is out of reach, whatever it was called.
        execute(connection, "DELETE FROM lineage WHERE last < ?1", [integer(pruned)])?;
        // Above what a lost raise can have given.
        let lifted = Epoch::floor_at(at).0;
        execute(connection, "UPDATE installation SET epoch_floor = max(epoch_floor, ?1)", [lifted])?;
    }
    execute(connection, "UPDATE installation SET known_as = incarnation", [])?;
    Ok(())
}

/// Writes one line.
pub(super) fn append(connection: &Connection, end: End, at: Timestamp, until: Timestamp) -> Result<Entry, StoreError> {
    append_with(connection, end, None, at, until)
}

/// Writes one line, which may name what takes an ended session's place.
pub(super) fn append_with(
    connection: &Connection,
    end: End,
    succession: Option<&Succession>,
    at: Timestamp,
    until: Timestamp,
) -> Result<Entry, StoreError> {
    let sequence = row(connection, "UPDATE installation SET sequence = sequence + 1 RETURNING sequence", [], |row| {
        number(row, 0)
    })?
    .ok_or_else(|| unreadable("the installation"))?;
    let (kind, subject, method, epoch): (u8, &[u8], u8, u32) = match &end {
        End::Session { session } => (1, session.bytes(), 0, 0),
        End::Account { account, epoch } => (2, account.bytes(), 0, epoch.0),
        End::App { app, method, epoch } => (3, app.as_str().as_bytes(), method_code(*method), epoch.0),
        End::Key { kid } => (4, kid.as_str().as_bytes(), 0, 0),
    };
    execute(
        connection,
        "INSERT INTO log (sequence, kind, subject, method, epoch, at, until, successor)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            integer(sequence),
            kind,
            subject,
            method,
            epoch,
            millis(at),
            millis(until),
            succession.map(Succession::encode)
        ],
    )?;
    Ok(Entry { sequence, end, at: Some(at), until })
}

/// Writes what is there already, so that the commit of its batch goes to the disk.
pub(super) fn write_through(connection: &Connection) -> Result<(), StoreError> {
    execute(connection, "UPDATE installation SET sequence = sequence", []).map(drop)
}

/// An app's present epoch, and the first one that goes on for a method (or, without one, for all).
pub(super) fn app_epochs(
    connection: &Connection,
    app: &AppId,
    method: Option<Method>,
) -> Result<(Epoch, Epoch), StoreError> {
    let epochs = row(
        connection,
        "SELECT coalesce(max(epoch), 0), coalesce(max(epoch) FILTER (WHERE method IN (0, ?2)), 0)
         FROM app_ends WHERE app = ?1",
        params![app.as_str(), method_code(method)],
        |row| Ok((epoch(row, 0)?, epoch(row, 1)?)),
    )?;
    Ok(epochs.unwrap_or_default())
}

/// What has ended since, in one transaction with the head.
pub(super) fn since(connection: &Connection, since: Since, now: Timestamp) -> Result<Answer, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let Head { position, pruned, keys, deletion, .. } = read_head(&transaction)?;
    let head = revocation::Head { position, time: now, keys };
    let over = DeletionClock { stands: deletion, time: now }.over();
    let answer = match since {
        Since::Line(after)
            if after.incarnation == position.incarnation && (pruned..=position.sequence).contains(&after.sequence) =>
        {
            let query = format!("SELECT {LINE} FROM log WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
            Answer::following(head, rows(&transaction, &query, params![integer(after.sequence), at_most(PAGE)], entry)?)
        }
        Since::Below { head: told, line } if told.incarnation == position.incarnation => {
            snapshot(&transaction, revocation::Head { position: told, ..head }, line, reach(over.moment()))?
        }
        _ => snapshot(&transaction, head, position.sequence + 1, reach(over.moment()))?,
    };
    transaction.commit()?;
    Ok(answer)
}

/// A page of a snapshot: of lines below one, those that are not older than `reach`.
fn snapshot(
    connection: &Connection,
    head: revocation::Head,
    below: u64,
    reach: Timestamp,
) -> Result<Answer, StoreError> {
    let extent = row(
        connection,
        "SELECT count(*), coalesce(min(sequence), 0)
         FROM (SELECT sequence FROM log WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2)",
        params![integer(below), at_most(PAGE)],
        |row| Ok(Extent { lines: number(row, 0)? as usize, lowest: number(row, 1)? }),
    )?
    .ok_or_else(|| unreadable("the revocation log"))?;
    let query = format!("SELECT {LINE} FROM log WHERE sequence >= ?1 AND sequence < ?2 AND at >= ?3 ORDER BY sequence");
    let range = params![integer(extent.lowest), integer(below), millis(reach)];
    Ok(Answer::snapshot(head, extent, rows(connection, &query, range, entry)?))
}

/// The head of the log.
pub(super) fn head(connection: &Connection) -> Result<Position, StoreError> {
    read_head(connection).map(|head| head.position)
}

/// What the log was called before.
pub(super) fn lineage(connection: &Connection) -> Result<Lineage, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let Head { position: head, pruned, known_as, .. } = read_head(&transaction)?;
    let mut former = rows(&transaction, "SELECT incarnation, last FROM lineage ORDER BY last", [], |row| {
        Ok(Position { incarnation: Incarnation(row.get::<_, i64>(0)?.cast_unsigned()), sequence: number(row, 1)? })
    })?;
    transaction.commit()?;
    former.extend(known_as.map(|incarnation| Position { incarnation, ..head }));
    Ok(Lineage { head, pruned, former })
}

/// The head of the log, as its row says it.
struct Head {
    position: Position,
    /// The last line that was removed.
    pruned: u64,
    keys: KeySet,
    /// The incarnation that the last line was written in.
    known_as: Option<Incarnation>,
    /// Where the clock of deletion stands.
    deletion: Timestamp,
}

fn read_head(connection: &Connection) -> Result<Head, StoreError> {
    row(connection, "SELECT incarnation, sequence, pruned, key_set, known_as, deletion FROM installation", [], |row| {
        let incarnation = Incarnation(row.get::<_, i64>(0)?.cast_unsigned());
        let keys = KeySet(row.get::<_, i64>(3)?.cast_unsigned());
        let known_as = row.get::<_, Option<i64>>(4)?.map(|number| Incarnation(number.cast_unsigned()));
        let position = Position { incarnation, sequence: number(row, 1)? };
        Ok(Head { position, pruned: number(row, 2)?, keys, known_as, deletion: moment(row, 5)? })
    })?
    .ok_or_else(|| unreadable("the installation"))
}

/// Whether there is a line about this session.
pub(super) fn has_ended(connection: &Connection, session: SessionId) -> Result<bool, StoreError> {
    let query = "SELECT 1 FROM log WHERE kind = 1 AND subject = ?1 LIMIT 1";
    Ok(row(connection, query, [session.bytes()], |_| Ok(()))?.is_some())
}

/// The sessions of lines behind a place.
pub(super) fn ended_sessions(connection: &Connection, after: u64, limit: usize) -> Result<EndedSessions, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let pruned = read_head(&transaction)?.pruned;
    let sessions = rows(
        &transaction,
        "SELECT sequence, subject FROM log WHERE sequence > ?1 AND kind = 1 ORDER BY sequence LIMIT ?2",
        params![integer(after), at_most(limit)],
        |row| Ok((number(row, 0)?, SessionId::from_bytes(row.get(1)?))),
    )?;
    transaction.commit()?;
    Ok(EndedSessions { pruned, sessions })
}

/// Where the clock of deletion stands.
pub(super) fn clock_of_deletion(connection: &Connection) -> Result<Timestamp, StoreError> {
    row(connection, "SELECT deletion FROM installation", [], |row| moment(row, 0))?
        .ok_or_else(|| unreadable("the installation"))
}

/// Sets the clock of deletion, if it stands at `from`; whether it did.
pub(super) fn set_clock_of_deletion(
    connection: &Connection,
    from: Timestamp,
    to: Timestamp,
) -> Result<bool, StoreError> {
    let statement = "UPDATE installation SET deletion = ?2 WHERE deletion = ?1";
    Ok(execute(connection, statement, params![millis(from), millis(to)])? == 1)
}

/// Removes lines that are over; remembers how far, so that nobody who was behind takes what is left for everything.
pub(super) fn prune(connection: &Connection, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
    // Over for as long as the log is kept at least: then a line is also older than that, and one index finds both.
    let gone = rows(
        connection,
        "DELETE FROM log WHERE sequence IN
         (SELECT sequence FROM log WHERE until <= ?1 AND at <= ?1 ORDER BY until LIMIT ?2) RETURNING sequence",
        params![millis((now - LOG_LIFE).moment()), at_most(limit)],
        |row| number(row, 0),
    )?;
    if let Some(last) = gone.iter().max() {
        execute(connection, "UPDATE installation SET pruned = max(pruned, ?1)", [integer(*last)])?;
    }
    Ok(gone.len())
}

fn entry(row: &Row<'_>) -> Result<Entry, StoreError> {
    let broken = || unreadable("a line of the revocation log");
    let subject = row.get_ref(2)?.as_blob().map_err(|_| broken())?;
    let bytes = || subject.try_into().map_err(|_| broken());
    let text = || std::str::from_utf8(subject).map_err(|_| broken());
    let end = match row.get::<_, u8>(1)? {
        1 => End::Session { session: SessionId::from_bytes(bytes()?) },
        2 => End::Account { account: AccountId::from_bytes(bytes()?), epoch: epoch(row, 4)? },
        3 => End::App {
            app: AppId::parse(text()?).ok_or_else(broken)?,
            method: match row.get::<_, u8>(3)? {
                0 => None,
                code => Some(Method::from_code(code).ok_or_else(broken)?),
            },
            epoch: epoch(row, 4)?,
        },
        4 => End::Key { kid: Kid::parse(text()?).ok_or_else(broken)? },
        _ => return Err(broken()),
    };
    Ok(Entry { sequence: number(row, 0)?, end, at: Some(moment(row, 6)?), until: moment(row, 5)? })
}
