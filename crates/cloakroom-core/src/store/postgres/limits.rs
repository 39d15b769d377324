//! Failed sign-ins, counted in PostgreSQL for all servers that share it.
//!
//! Taking a token is one statement that makes the bucket or changes it, so that however many ask at once, each bucket gives
//! what it has and no more. The table is not logged: no attempt waits for the disk, and what a crash forgets is forgiven.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    Postgres,
    columns::{bytes, get, moment, number},
    error::unreadable,
    pool::Nature::Write,
    value::{Value, at_most, integer},
};
use crate::{
    clock::Timestamp,
    credential::{Bucket, BucketKey, Empty, SharedLimits, SharedToken, Swept, Taken, UNDECIDED},
    store::StoreError,
};

/// The database's own clock, unless a test gives `$9`: those of the servers may disagree.
const MOMENT: &str = "SELECT coalesce($9, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS now";
/// The second bucket is looked at only if the first one had a token. Everybody locks in this order.
static TAKE: LazyLock<String> = LazyLock::new(|| {
    let first = take(["$1", "$2", "$3", "$4"], "");
    let other = take(["$5", "$6", "$7", "$8"], "FROM first WHERE first.granted AND octet_length($5) > 0");
    format!(
        "WITH moment AS ({MOMENT}), first AS ({first}), other AS ({other})
         SELECT first.*, other.*, moment.now FROM moment, first LEFT JOIN other ON true"
    )
});

/// Takes a token of one bucket: of `key`, or where there is none yet of `instead`. `$10`: how long the token can be undecided.
///
/// What lies further ahead than a bucket can be empty comes from before the database's clock was set back, and is cut off: it would
/// lock everybody out.
fn take([key, instead, every, capacity]: [&str; 4], from: &str) -> String {
    let now = "(SELECT now FROM moment)";
    format!(
        "INSERT INTO cloakroom_limits AS held (key, full_at, undecided, decided_at, granted)
         SELECT coalesce((SELECT key FROM cloakroom_limits WHERE key = {key}), {instead}), {now} + {every}, 1, {now} + $10, true
         {from}
         ON CONFLICT (key) DO UPDATE SET (granted, full_at, undecided, decided_at) = (
             SELECT room.is_there,
                    CASE WHEN room.is_there THEN room.after ELSE least(held.full_at, {now} + {capacity}) END,
                    CASE WHEN held.decided_at > {now} THEN held.undecided ELSE 0 END
                        + CASE WHEN room.is_there THEN 1 ELSE 0 END,
                    CASE WHEN room.is_there THEN greatest(held.decided_at, {now} + $10) ELSE held.decided_at END
             FROM (SELECT greatest(held.full_at, {now}) + {every} AS after,
                          greatest(held.full_at, {now}) + {every} <= {now} + {capacity} AS is_there) AS room
         )
         RETURNING key, granted, full_at, undecided"
    )
}

const SETTLE: &str = "UPDATE cloakroom_limits AS held
     SET undecided = greatest(held.undecided - settled.decided, 0), full_at = held.full_at - settled.earlier
     FROM (
         SELECT there.key, told.decided, told.earlier
         FROM cloakroom_limits AS there JOIN unnest($1, $2, $3) AS told (key, decided, earlier) ON there.key = told.key
         ORDER BY there.key FOR UPDATE OF there
     ) AS settled
     WHERE held.key = settled.key";
const SWEEP: &str = "WITH gone AS (
         DELETE FROM cloakroom_limits WHERE key = ANY (ARRAY(
             SELECT key FROM cloakroom_limits, (SELECT coalesce($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS now) AS moment
             WHERE full_at <= now AND decided_at <= now LIMIT $2 FOR UPDATE OF cloakroom_limits SKIP LOCKED))
         RETURNING get_byte(key, 0) AS kind
     )
     SELECT held.kind::bigint, held.rows, (SELECT count(*) FROM gone WHERE gone.kind = held.kind)
     FROM (SELECT get_byte(key, 0) AS kind, count(*) AS rows FROM cloakroom_limits GROUP BY 1) AS held";

#[async_trait]
impl SharedLimits for Postgres {
    async fn take(&self, first: &Bucket, then: Option<&Bucket>, at: Option<Timestamp>) -> Result<Taken, StoreError> {
        let [key, instead, every, capacity] = of_bucket(first);
        let nothing = [Value::Bytes(&[]), Value::Bytes(&[]), Value::Int(0), Value::Int(0)];
        let [other_key, other_instead, other_every, other_capacity] = then.map_or(nothing, of_bucket);
        let values = [
            key,
            instead,
            every,
            capacity,
            other_key,
            other_instead,
            other_every,
            other_capacity,
            moment_given(at),
            Value::Int(millis(UNDECIDED)),
        ];
        let row = self.pool().row(Write, &TAKE, &values).await?;
        let row = row.ok_or_else(|| unreadable("a count of attempts"))?;
        let at = moment(&row, 2 * COLUMNS)?;
        let other = then.filter(|_| matches!(get::<Option<&[u8]>>(&row, COLUMNS), Ok(Some(_))));
        Ok(Taken {
            first: taken(&row, 0, first, at)?,
            then: other.map(|bucket| taken(&row, COLUMNS, bucket, at)).transpose()?,
        })
    }

    async fn settle(&self, settled: &[(BucketKey, u32, Duration)]) -> Result<(), StoreError> {
        let keys: Vec<_> = settled.iter().map(|(key, ..)| &key.bytes()[..]).collect();
        let decided: Vec<_> = settled.iter().map(|(_, tokens, _)| i64::from(*tokens)).collect();
        let earlier: Vec<_> = settled.iter().map(|(_, _, time)| millis(*time)).collect();
        let values = [Value::Blobs(&keys), Value::Ints(&decided), Value::Ints(&earlier)];
        self.pool().execute(SETTLE, &values).await?;
        Ok(())
    }

    async fn sweep(&self, at: Option<Timestamp>, limit: usize) -> Result<Swept, StoreError> {
        let rows = self.pool().rows(Write, SWEEP, &[moment_given(at), at_most(limit)]).await?;
        let mut swept = Swept::default();
        for row in &rows {
            let (kind, there, gone) = (number(row, 0)?, number(row, 1)?, number(row, 2)?);
            swept.removed += gone as usize;
            swept.left.push((u8::try_from(kind).unwrap_or(u8::MAX), there.saturating_sub(gone)));
        }
        Ok(swept)
    }
}

/// How many columns tell of one bucket.
const COLUMNS: usize = 4;

fn of_bucket(bucket: &Bucket) -> [Value<'_>; 4] {
    let (every, capacity) = (millis(bucket.rate.every()), millis(bucket.rate.capacity()));
    [Value::Bytes(bucket.key.bytes()), Value::Bytes(bucket.instead.bytes()), Value::Int(every), Value::Int(capacity)]
}

fn taken(row: &Row, from: usize, bucket: &Bucket, at: Timestamp) -> Result<Result<SharedToken, Empty>, StoreError> {
    let full = moment(row, from + 2)?;
    if get::<bool>(row, from + 1)? {
        return Ok(Ok(SharedToken { key: BucketKey::from_bytes(bytes(row, from)?), back: full.since(at) }));
    }
    if number(row, from + 3)? > 0 {
        return Ok(Err(Empty::Undecided));
    }
    let next = full.max(at) + bucket.rate.every();
    Ok(Err(Empty::Until(next.since(at).saturating_sub(bucket.rate.capacity()))))
}

fn moment_given(at: Option<Timestamp>) -> Value<'static> {
    Value::MaybeInt(at.map(|at| integer(at.millis())))
}

fn millis(time: Duration) -> i64 {
    integer(time.as_millis() as u64)
}
