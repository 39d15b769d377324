//! Sessions in PostgreSQL: about 180 bytes of the table per login, and 165 of its indexes.
//!
//! Every field has a column of its own, so that a rotation is one statement that compares and swaps, and so that later
//! releases can add fields while servers of this one go on.

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    Postgres,
    columns::{bytes, epoch, get, moment, number, small_number},
    error::unreadable,
    gather::{LOOK_UPS, Question, placed},
    log::its_time,
    pool::{
        Nature::{Read, Write as Change},
        Pool,
    },
    value::{Value, at_most, integer},
};
use crate::{
    clock::Timestamp,
    ids::{AccountId, AppTag, Generation, SessionId},
    method::Method,
    revocation::Position,
    session::{AuthMethods, ClientKind, Effect, Found, Record, Write, Written},
    store::{DeletionTime, Place, SessionStore, StoreError, Stretch, Vitals, Watermark},
};

/// How long operators wait for a count of all sessions.
const COUNTING: Duration = Duration::from_secs(120);
/// How many sessions are one statement.
const TOUCHES: usize = 512;
/// The most rotations in one statement.
const SWAPS: usize = 64;
/// The column behind those of [`decode`].
const PLACE: usize = 13;
/// The one behind that, where a record is read: how long ago its last rotation was.
const AGE: usize = 14;

/// The columns of [`decode`], from the first on.
macro_rules! columns {
    () => {
        "account, created, expires, last_active, rotated, generation, epoch, app_epoch, auth_time, method, amr, app, client"
    };
}

const READ: &str = concat!("SELECT ", columns!(), " FROM cloakroom_sessions WHERE sid = $1");
const READ_MANY: &str = concat!(
    "SELECT ",
    columns!(),
    ", asked.place, ",
    its_time!(),
    " - rotated FROM unnest((SELECT $1)) WITH ORDINALITY AS asked (id, place) JOIN cloakroom_sessions ON sid = asked.id"
);
const TIME: &str = concat!("SELECT ", its_time!());
pub(super) const CREATE: &str = concat!(
    "INSERT INTO cloakroom_sessions (sid, ",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (sid) DO NOTHING"
);
/// When a rotation is, is said by the database when it does it, however long that was waited for; a test may say otherwise (`$4`).
/// Each is a compare-and-swap of its own: of two that swap the same, one finds it swapped. A row that somebody else holds is left
/// out, so that no one's swap waits for another's row; [`ROTATE`] waits for it.
const ROTATE_MANY: &str = concat!(
    "WITH held AS MATERIALIZED (
         SELECT asked.* FROM unnest((SELECT $1), (SELECT $2), (SELECT $3), (SELECT $4), (SELECT $5)) WITH ORDINALITY
              AS asked (id, was, becomes, at, active, place)
         JOIN cloakroom_sessions AS s ON s.sid = asked.id AND s.generation = asked.was FOR UPDATE OF s SKIP LOCKED
     )
     UPDATE cloakroom_sessions
     SET generation = held.becomes, rotated = coalesce(held.at, ",
    its_time!(),
    "), last_active = greatest(last_active, held.active)
     FROM held WHERE sid = held.id RETURNING ",
    columns!(),
    ", held.place"
);
/// The row is held first: what is reckoned before that is as old as the wait for it.
const ROTATE: &str = concat!(
    "WITH held AS MATERIALIZED (
         SELECT sid AS id FROM cloakroom_sessions WHERE sid = $1 AND generation = $2 FOR UPDATE
     )
     UPDATE cloakroom_sessions SET generation = $3, rotated = coalesce($4, ",
    its_time!(),
    "), last_active = greatest(last_active, $5)
     FROM held WHERE sid = held.id RETURNING ",
    columns!()
);
const TOUCH: &str = concat!(
    "UPDATE cloakroom_sessions SET last_active = $2 WHERE sid = $1 AND last_active < $2 RETURNING ",
    columns!()
);
const CARRY_OVER: &str =
    concat!("UPDATE cloakroom_sessions SET epoch = $3 WHERE sid = $1 AND epoch = $2 RETURNING ", columns!());
pub(super) const DELETE: &str = "DELETE FROM cloakroom_sessions WHERE sid = $1";
/// Rows are locked in one order by all, so that no two wait for each other. What this writes may be lost in a crash: it is not
/// waited for.
const TOUCH_MANY: &str = "WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
     asked AS (SELECT sid, max(at) AS at FROM unnest($1, $2) AS asked (sid, at) GROUP BY sid),
     held AS MATERIALIZED (
         SELECT s.sid, asked.at FROM cloakroom_sessions s JOIN asked ON asked.sid = s.sid
         WHERE s.last_active < asked.at ORDER BY s.sid FOR UPDATE OF s
     )
     UPDATE cloakroom_sessions s SET last_active = greatest(s.last_active, held.at) FROM held, relaxed WHERE s.sid = held.sid";
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    ", sid FROM cloakroom_sessions WHERE account = $1 AND (created, sid) < ($2, $3) \
     ORDER BY created DESC, sid DESC LIMIT $4"
);
/// What another server sweeps, or a request holds, is left for the next time.
const SWEEP: &str = "DELETE FROM cloakroom_sessions WHERE sid = ANY (ARRAY(
     SELECT sid FROM cloakroom_sessions WHERE expires <= $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED))";
const WALK: &str = concat!("SELECT ", columns!(), ", sid FROM cloakroom_sessions WHERE sid > $1 ORDER BY sid LIMIT $2");
const COUNT: &str = "SELECT app, method, count(*) FROM cloakroom_sessions GROUP BY app, method";
const FORGET: &str = "DELETE FROM cloakroom_sessions WHERE sid = ANY (ARRAY(
     SELECT sid FROM cloakroom_sessions WHERE sid = ANY ($1) ORDER BY sid FOR UPDATE))";

#[async_trait]
impl SessionStore for Postgres {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        let row = self.0.reads.ask(Look(id)).await?;
        Ok(row.and_then(|row| readable(id, &row)))
    }

    async fn find(&self, id: SessionId, at: Option<Timestamp>) -> Result<Option<Found>, StoreError> {
        let Some(row) = self.0.reads.ask(Look(id)).await? else { return Ok(None) };
        let Some(record) = readable(id, &row) else { return Ok(None) };
        let Some(at) = at else {
            // A moment that lies ahead was just now.
            let age = u64::try_from(get::<i64>(&row, AGE)?).unwrap_or(0);
            return Ok(Some(Found { record, since_rotation: Duration::from_millis(age) }));
        };
        Ok(Some(Found::at(record, at)))
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        let row = self.pool().row(Read, TIME, &[]).await?;
        moment(&row.ok_or_else(|| unreadable("the time"))?, 0)
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        let sid = Value::Bytes(id.bytes());
        match &write {
            Write::Create(record) => self.insert(id, record).await,
            Write::Delete => {
                self.pool().execute(DELETE, &[sid]).await?;
                Ok(Written::Done(None))
            }
            Write::Rotate { from, to, at, active } => {
                let swap = Swap { id, from: *from, to: *to, at: *at, active: *active };
                if let Some(row) = self.0.rotations.ask(swap).await? {
                    return Ok(rewritten(id, &row));
                }
                let [at, active] = [at, active].map(|at| Value::MaybeInt(at.map(|at| integer(at.millis()))));
                let values = [sid, number_of(from.0), number_of(to.0), at, active];
                self.alter(id, &write, ROTATE, &values).await
            }
            Write::Touch(at) => self.alter(id, &write, TOUCH, &[sid, (*at).into()]).await,
            Write::CarryOver { from, to } => {
                self.alter(id, &write, CARRY_OVER, &[sid, number_of(from.0), number_of(to.0)]).await
            }
        }
    }

    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        for part in touches.chunks(TOUCHES) {
            let ids: Vec<_> = part.iter().map(|(id, _)| &id.bytes()[..]).collect();
            let moments: Vec<_> = part.iter().map(|(_, at)| integer(at.millis())).collect();
            self.pool().execute(TOUCH_MANY, &[Value::Blobs(&ids), Value::Ints(&moments)]).await?;
        }
        Ok(())
    }

    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        // Any later moment than a record can hold.
        let end = Value::Int(i64::MAX);
        let (created, sid) = before.map_or((end, [0xff; 16]), |(created, sid)| (created.into(), *sid.bytes()));
        let values = [Value::Bytes(account.bytes()), created, Value::Bytes(&sid), at_most(limit)];
        let mut found = Vec::new();
        for row in self.pool().rows(Read, LIST, &values).await? {
            let id = SessionId::from_bytes(bytes(&row, PLACE)?);
            found.extend(readable(id, &row).map(|record| (id, record)));
        }
        Ok(found)
    }

    async fn sweep(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        Ok(self.pool().execute(SWEEP, &[now.moment().into(), at_most(limit)]).await? as usize)
    }

    async fn watermark(&self) -> Result<Watermark, StoreError> {
        self.its_watermark().await
    }

    async fn advance_watermark(&self, from: &Watermark, to: Position) -> Result<(), StoreError> {
        self.advance(from, to).await
    }

    async fn forget(&self, ids: &[SessionId]) -> Result<(), StoreError> {
        for part in ids.chunks(TOUCHES) {
            let ids: Vec<_> = part.iter().map(|id| &id.bytes()[..]).collect();
            self.pool().execute(FORGET, &[Value::Blobs(&ids)]).await?;
        }
        Ok(())
    }

    async fn walk(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError> {
        let after = from.map_or_else(Vec::new, |place| place.0);
        let mut sessions = Vec::new();
        for row in self.pool().rows(Read, WALK, &[Value::Bytes(&after), at_most(limit)]).await? {
            let id = SessionId::from_bytes(bytes(&row, PLACE)?);
            sessions.push((id, readable(id, &row)));
        }
        Ok(Stretch::by_id(sessions, limit))
    }

    async fn count(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        let mut counts = Vec::new();
        for row in self.pool().long_read(COUNT, COUNTING).await? {
            if let Ok(method) = method(&row, 1) {
                counts.push((AppTag(bytes(&row, 0)?), method, number(&row, 2)?));
            }
        }
        Ok(counts)
    }

    fn vitals(&self) -> Vec<Vitals> {
        self.its_vitals()
    }
}

impl Postgres {
    async fn insert(&self, id: SessionId, record: &Record) -> Result<Written, StoreError> {
        let client = record.client.codes();
        let values = columns_of(&id, record, &client);
        loop {
            if self.pool().execute(CREATE, &values).await? == 1 {
                return Ok(Written::Done(Some(record.clone())));
            }
            // Else it ended in between.
            if let Some(row) = self.pool().row(Read, READ, &values[..1]).await? {
                self.settle_others().await?;
                return Ok(Written::Conflict(decode(&row)?));
            }
        }
    }

    /// Does a write that demands something of a record which is there. Where that was not so, the domain says what that means,
    /// by the record as it stands then; should it be so by then, it is tried again.
    async fn alter(
        &self,
        id: SessionId,
        write: &Write,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Written, StoreError> {
        loop {
            if let Some(row) = self.pool().row(Change, statement, values).await? {
                return Ok(rewritten(id, &row));
            }
            let Some(record) = self.read(id).await? else { return Ok(Written::Absent) };
            // What its time is matters to no write that leaves the record as it is.
            if let (Effect::Leave, written) = write.apply(Some(&record), Timestamp::default) {
                return Ok(written);
            }
        }
    }
}

/// The values of [`CREATE`].
pub(super) fn columns_of<'a>(id: &'a SessionId, record: &'a Record, client: &'a [u8; 2]) -> [Value<'a>; 14] {
    [
        Value::Bytes(id.bytes()),
        Value::Bytes(record.account.bytes()),
        record.created.into(),
        record.expires.into(),
        record.last_active.into(),
        record.rotated.into(),
        number_of(record.generation.0),
        number_of(record.epoch.0),
        number_of(record.app_epoch.0),
        record.auth_time.into(),
        Value::Small(record.method.properties().code.into()),
        Value::Small(record.amr.0.into()),
        Value::Bytes(&record.app.0),
        Value::Bytes(client),
    ]
}

/// Which record is looked up.
pub(super) struct Look(SessionId);

impl Question for Look {
    type Answer = Option<Row>;
    const MOST: usize = LOOK_UPS;

    async fn ask(pool: &Pool, questions: &[Self]) -> Result<Vec<Option<Row>>, StoreError> {
        let ids: Vec<_> = questions.iter().map(|asked| &asked.0.bytes()[..]).collect();
        placed(pool.rows(Read, READ_MANY, &[Value::Blobs(&ids)]).await?, PLACE, questions.len())
    }
}

/// Which generation is swapped for which.
pub(super) struct Swap {
    id: SessionId,
    from: Generation,
    to: Generation,
    at: Option<Timestamp>,
    active: Option<Timestamp>,
}

impl Question for Swap {
    type Answer = Option<Row>;
    const MOST: usize = SWAPS;

    async fn ask(pool: &Pool, questions: &[Self]) -> Result<Vec<Option<Row>>, StoreError> {
        let ids: Vec<_> = questions.iter().map(|swap| &swap.id.bytes()[..]).collect();
        let numbers = |of: fn(&Self) -> i64| questions.iter().map(of).collect::<Vec<_>>();
        let (from, to) = (numbers(|swap| swap.from.0.into()), numbers(|swap| swap.to.0.into()));
        let at: Vec<_> = questions.iter().map(|swap| swap.at.map(|at| integer(at.millis()))).collect();
        let active = numbers(|swap| integer(swap.active.unwrap_or_default().millis()));
        let values =
            [Value::Blobs(&ids), Value::Ints(&from), Value::Ints(&to), Value::MaybeInts(&at), Value::Ints(&active)];
        placed(pool.rows(Change, ROTATE_MANY, &values).await?, PLACE, questions.len())
    }
}

fn number_of(number: u32) -> Value<'static> {
    Value::Int(number.into())
}

/// A record that cannot be read counts as none (F007).
fn readable(id: SessionId, row: &Row) -> Option<Record> {
    decode(row).inspect_err(|error| tracing::error!(session = %id, %error, "no session is made of it")).ok()
}

/// What a write gives back.
fn rewritten(id: SessionId, row: &Row) -> Written {
    readable(id, row).map_or(Written::Absent, |record| Written::Done(Some(record)))
}

fn decode(row: &Row) -> Result<Record, StoreError> {
    Ok(Record {
        account: AccountId::from_bytes(bytes(row, 0)?),
        created: moment(row, 1)?,
        expires: moment(row, 2)?,
        last_active: moment(row, 3)?,
        rotated: moment(row, 4)?,
        generation: Generation(small_number(row, 5)?),
        epoch: epoch(row, 6)?,
        app_epoch: epoch(row, 7)?,
        auth_time: moment(row, 8)?,
        method: method(row, 9)?,
        amr: AuthMethods(u8::try_from(get::<i16>(row, 10)?).map_err(|_| unreadable("a session"))?),
        app: AppTag(bytes(row, 11)?),
        client: ClientKind::from_codes(bytes(row, 12)?),
    })
}

fn method(row: &Row, column: usize) -> Result<Method, StoreError> {
    let code = u8::try_from(get::<i16>(row, column)?).ok();
    code.and_then(Method::from_code).ok_or_else(|| unreadable("a session"))
}
