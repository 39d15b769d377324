//! The revocation log in PostgreSQL: what is read of it, and how one line is written.
//!
//! Whoever writes locks the head first. So numbers are given in the order in which transactions commit, and the log has no
//! gaps that could fill later.

use aws_lc_rs::digest::{SHA256, digest};
use tokio_postgres::Row;

use super::{
    Postgres,
    columns::{bytes, epoch, get, method_code, moment, number},
    connection::Connection,
    error::{Failure, unreadable},
    pool::Nature::{Read, Write},
    value::{Value, at_most, integer},
};
use crate::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    method::Method,
    revocation::{
        self, Answer, End, Entry, Extent, Incarnation, KeySet, LOG_LIFE, PAGE, Position, Since, VERIFIERS_HOLD,
    },
    session::Succession,
    store::{DeletionClock, DeletionTime, EndedSessions, StoreError},
};

/// Begins what writes into the log: it is alone in that until its transaction ends.
pub(super) const LOCK: &str = "SELECT 1 FROM cloakroom_log_head FOR UPDATE";
/// Tells whoever listens, as soon as the transaction has been committed.
pub(super) const NOTIFY: &str = "NOTIFY cloakroom_log";

/// The database's own time, in milliseconds.
macro_rules! its_time {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
pub(super) use its_time;

/// The head of the log. Its incarnation is made of what tells this log from any other: its own random number; the cluster
/// and its timeline, because a standby that becomes the primary may lack lines and give their numbers again; and the
/// table, because a dump that is read back has the number too. All of it may be asked by any role, of a primary only.
/// Where the key is named the planner knows that there is one row, and does not take the join with lines for a large one.
macro_rules! head {
    () => {
        concat!(
            "WITH head AS MATERIALIZED (
             SELECT incarnation, sequence, pruned, cloakroom_log_head.tableoid::bigint AS place,
                    substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline,
                    (SELECT system_identifier FROM pg_control_system()) AS cluster,
                    ",
            its_time!(),
            " AS time, key_set, known_as, epoch_floor, deletion
             FROM cloakroom_log_head WHERE one = 1
         )
         SELECT head.incarnation, head.sequence, head.pruned, head.place, head.timeline, head.cluster, head.time,
                head.key_set, head.known_as, head.epoch_floor"
        )
    };
}

/// How long a verifier holds an end, in milliseconds.
const HELD: i64 = VERIFIERS_HOLD.as_millis() as i64;
/// How many columns a line has.
const LINE: usize = 7;
/// How many columns the head has.
pub(super) const HEAD: usize = 10;
pub(super) const HEAD_ALONE: &str = concat!(head!(), " FROM head");
/// Beside the head how far a log elsewhere has been given to the sessions of this database.
pub(super) const WATERMARK: &str =
    concat!(head!(), ", mark.incarnation, mark.sequence FROM head LEFT JOIN cloakroom_watermark AS mark ON true");
/// Beside the head what the log was called before.
pub(super) const LINEAGE: &str = concat!(
    head!(),
    ", former.incarnation, former.last FROM head LEFT JOIN cloakroom_lineage AS former ON true ORDER BY former.last"
);
/// A line's columns, beside the head's.
macro_rules! line {
    () => {
        ", line.sequence, line.kind, line.subject, line.method, line.epoch, line.until, line.at"
    };
}
const WHAT_FOLLOWS: &str = concat!(
    head!(),
    line!(),
    " FROM head LEFT JOIN (
         SELECT * FROM cloakroom_log WHERE sequence > $1 ORDER BY sequence LIMIT $2
     ) AS line ON true ORDER BY line.sequence"
);
/// A page of a snapshot, from its newest line down: those of its lines that ended late enough by the clock of deletion, how
/// many it was read from and the lowest of these.
const SNAPSHOT: &str = concat!(
    head!(),
    line!(),
    ", line.read, line.lowest FROM head CROSS JOIN LATERAL (
         WITH page AS MATERIALIZED (
             SELECT * FROM cloakroom_log WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2
         )
         SELECT page.*, extent.* FROM (
             SELECT count(*) AS read, coalesce(min(sequence), 0) AS lowest FROM page
         ) AS extent LEFT JOIN page ON page.at >= least(coalesce($3, head.time), head.deletion) - $4
     ) AS line ORDER BY line.sequence"
);

const ENDED_SESSIONS: &str = "SELECT head.pruned, line.sequence, line.subject
     FROM cloakroom_log_head AS head LEFT JOIN (
         SELECT sequence, subject FROM cloakroom_log WHERE sequence > $1 AND kind = 1 ORDER BY sequence LIMIT $2
     ) AS line ON true WHERE head.one = 1
     ORDER BY line.sequence";

const APPEND: &str = "WITH head AS (UPDATE cloakroom_log_head SET sequence = sequence + 1 RETURNING sequence)
     INSERT INTO cloakroom_log (sequence, kind, subject, method, epoch, at, until, successor)
     SELECT head.sequence, $1, $2, $3, $4, $5, $6, ($7)[1] FROM head RETURNING sequence";
const DELETION: &str = concat!("SELECT deletion, ", its_time!(), " FROM cloakroom_log_head");
const MOVE_DELETION: &str = "UPDATE cloakroom_log_head SET deletion = $2 WHERE deletion = $1";
/// Over for as long as the log is kept at least: then a line is also older than that, and one index finds both. How far that
/// went is remembered, so that nobody who was behind takes what is left for everything.
const PRUNE: &str = "WITH gone AS (
         DELETE FROM cloakroom_log WHERE sequence = ANY (ARRAY(
             SELECT sequence FROM cloakroom_log WHERE until <= $1 AND at <= $1
             ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))
         RETURNING sequence
     ), mark AS (
         UPDATE cloakroom_log_head SET pruned = greatest(pruned, (SELECT max(sequence) FROM gone))
         WHERE EXISTS (SELECT 1 FROM gone)
     )
     SELECT count(*) FROM gone";

impl Postgres {
    pub(super) async fn since(&self, since: Since, at: Option<Timestamp>) -> Result<Answer, StoreError> {
        let (told, below) = match since {
            Since::Line(after) => {
                let values = [Value::Int(integer(after.sequence)), at_most(PAGE)];
                let rows = self.pool().rows(Read, WHAT_FOLLOWS, &values).await?;
                let head = head_of(&rows)?;
                let reaches = (head.pruned..=head.position.sequence).contains(&after.sequence);
                if reaches && after.incarnation == head.position.incarnation {
                    return Ok(Answer::following(head.told(at), lines_of(&rows)?));
                }
                (None, u64::MAX)
            }
            Since::Below { head, line } => (Some(head), line),
            Since::Ever => (None, u64::MAX),
        };
        let page = self.page(below, at).await?;
        // Another log than the one that the first page was of: begin again, with its first page.
        let (head, extent, entries) = match told {
            Some(told) if told.incarnation != page.0.position.incarnation => self.page(u64::MAX, at).await?,
            Some(told) => (revocation::Head { position: told, ..page.0 }, page.1, page.2),
            None => page,
        };
        Ok(Answer::snapshot(head, extent, entries))
    }

    /// The page of a snapshot of lines below one.
    async fn page(
        &self,
        below: u64,
        at: Option<Timestamp>,
    ) -> Result<(revocation::Head, Extent, Vec<Entry>), StoreError> {
        let given = Value::MaybeInt(at.map(|at| integer(at.millis())));
        let values = [Value::Int(integer(below)), at_most(PAGE), given, Value::Int(HELD)];
        let rows = self.pool().rows(Read, SNAPSHOT, &values).await?;
        let head = head_of(&rows)?.told(at);
        let first = rows.first().ok_or_else(|| unreadable("the head of the revocation log"))?;
        let extent = Extent { lines: number(first, HEAD + LINE)? as usize, lowest: number(first, HEAD + LINE + 1)? };
        Ok((head, extent, lines_of(&rows)?))
    }

    pub(super) async fn head(&self) -> Result<Position, StoreError> {
        Ok(head_of(&self.pool().rows(Read, HEAD_ALONE, &[]).await?)?.position)
    }

    pub(super) async fn sessions_that_ended(&self, after: u64, limit: usize) -> Result<EndedSessions, StoreError> {
        let rows = self.pool().rows(Read, ENDED_SESSIONS, &[Value::Int(integer(after)), at_most(limit)]).await?;
        let first = rows.first().ok_or_else(|| unreadable("the head of the revocation log"))?;
        let pruned = number(first, 0)?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in &rows {
            if get::<Option<i64>>(row, 1)?.is_some() {
                sessions.push((number(row, 1)?, SessionId::from_bytes(bytes(row, 2)?)));
            }
        }
        Ok(EndedSessions { pruned, sessions })
    }

    pub(super) async fn clock_of_deletion(&self, at: Option<Timestamp>) -> Result<DeletionClock, StoreError> {
        let row = self.pool().row(Read, DELETION, &[]).await?;
        let row = row.ok_or_else(|| unreadable("the head of the revocation log"))?;
        Ok(DeletionClock { stands: moment(&row, 0)?, time: at.map_or_else(|| moment(&row, 1), Ok)? })
    }

    /// Sets the clock of deletion, if it stands at `from`; whether it did.
    pub(super) async fn set_clock_of_deletion(&self, from: Timestamp, to: Timestamp) -> Result<bool, StoreError> {
        Ok(self.pool().execute(MOVE_DELETION, &[from.into(), to.into()]).await? == 1)
    }

    pub(super) async fn prune(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        let row = self.pool().row(Write, PRUNE, &[(now - LOG_LIFE).moment().into(), at_most(limit)]).await?;
        row.map_or(Ok(0), |row| Ok(number(&row, 0)? as usize))
    }
}

/// Writes one line, in a transaction that holds the head.
pub(super) async fn append(
    connection: &Connection,
    end: End,
    at: Timestamp,
    until: Timestamp,
) -> Result<Entry, Failure> {
    append_with(connection, end, None, at, until).await
}

/// The same of a line that may name what takes an ended session's place.
pub(super) async fn append_with(
    connection: &Connection,
    end: End,
    succession: Option<&Succession>,
    at: Timestamp,
    until: Timestamp,
) -> Result<Entry, Failure> {
    let line = Line::of(&end);
    let successor = succession.map(Succession::encode);
    let successor = [successor.as_deref()];
    let values = [
        Value::Small(line.kind),
        Value::Bytes(line.subject),
        Value::Small(line.method),
        Value::Int(line.epoch),
        at.into(),
        until.into(),
        Value::MaybeBlobs(&successor),
    ];
    let rows = connection.rows(APPEND, &values).await?;
    let row = rows.first().ok_or_else(|| unreadable("the head of the revocation log"))?;
    Ok(Entry { sequence: number(row, 0)?, end, at: Some(at), until })
}

/// How an end stands in the log.
pub(super) struct Line<'a> {
    pub(super) kind: i16,
    pub(super) subject: &'a [u8],
    pub(super) method: i16,
    pub(super) epoch: i64,
}

impl<'a> Line<'a> {
    pub(super) fn of(end: &'a End) -> Self {
        let (kind, subject, method, epoch): (_, &[u8], _, _) = match end {
            End::Session { session } => (1, session.bytes(), 0, 0),
            End::Account { account, epoch } => (2, account.bytes(), 0, epoch.0),
            End::App { app, method, epoch } => (3, app.as_str().as_bytes(), method_code(*method), epoch.0),
            End::Key { kid } => (4, kid.as_str().as_bytes(), 0, 0),
        };
        Self { kind, subject, method, epoch: epoch.into() }
    }
}

/// The head of the log, as it was read.
pub(super) struct Head {
    pub(super) position: Position,
    /// Another one after each failover.
    pub(super) timeline: String,
    /// The last line that was removed.
    pub(super) pruned: u64,
    /// The database's time.
    pub(super) time: Timestamp,
    keys: KeySet,
    /// The incarnation that the last line was written in; `None`: an older release wrote it.
    pub(super) known_as: Option<Incarnation>,
    /// What no epoch is raised to less than.
    pub(super) floor: Epoch,
}

impl Head {
    /// As of the moment that a test gives, if it does.
    fn told(&self, at: Option<Timestamp>) -> revocation::Head {
        revocation::Head { position: self.position, time: at.unwrap_or(self.time), keys: self.keys }
    }
}

pub(super) fn head_of(rows: &[Row]) -> Result<Head, StoreError> {
    let row = rows.first().ok_or_else(|| unreadable("the head of the revocation log"))?;
    let timeline = get::<&str>(row, 4)?;
    let number_of_it = u32::from_str_radix(timeline, 16).map_err(|_| unreadable("the timeline"))?;
    let parts = [
        &b"cloakroom log"[..],
        &get::<i64>(row, 0)?.to_be_bytes(),
        &get::<i64>(row, 3)?.to_be_bytes(),
        &number_of_it.to_be_bytes(),
        &get::<i64>(row, 5)?.to_be_bytes(),
    ];
    let hash = digest(&SHA256, &parts.concat());
    let mut incarnation = [0; 8];
    incarnation.copy_from_slice(&hash.as_ref()[..8]);
    let incarnation = Incarnation(u64::from_be_bytes(incarnation));
    Ok(Head {
        position: Position { incarnation, sequence: number(row, 1)? },
        timeline: timeline.to_owned(),
        pruned: number(row, 2)?,
        time: moment(row, 6)?,
        keys: KeySet(get::<i64>(row, 7)?.cast_unsigned()),
        known_as: get::<Option<i64>>(row, 8)?.map(|number| Incarnation(number.cast_unsigned())),
        floor: epoch(row, 9)?,
    })
}

/// The lines beside the head; where there are none, one row has none.
fn lines_of(rows: &[Row]) -> Result<Vec<Entry>, StoreError> {
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        if get::<Option<i64>>(row, HEAD)?.is_some() {
            lines.push(line(row)?);
        }
    }
    Ok(lines)
}

fn line(row: &Row) -> Result<Entry, StoreError> {
    let broken = || unreadable("a line of the revocation log");
    let text = || std::str::from_utf8(get(row, HEAD + 2)?).map_err(|_| broken());
    let end = match get::<i16>(row, HEAD + 1)? {
        1 => End::Session { session: SessionId::from_bytes(bytes(row, HEAD + 2)?) },
        2 => End::Account { account: AccountId::from_bytes(bytes(row, HEAD + 2)?), epoch: epoch(row, HEAD + 4)? },
        3 => End::App {
            app: AppId::parse(text()?).ok_or_else(broken)?,
            method: match get::<i16>(row, HEAD + 3)? {
                0 => None,
                code => Some(u8::try_from(code).ok().and_then(Method::from_code).ok_or_else(broken)?),
            },
            epoch: epoch(row, HEAD + 4)?,
        },
        4 => End::Key { kid: Kid::parse(text()?).ok_or_else(broken)? },
        _ => return Err(broken()),
    };
    let (until, at) = (moment(row, HEAD + 5)?, Some(moment(row, HEAD + 6)?));
    Ok(Entry { sequence: number(row, HEAD)?, end, at, until })
}
