//! How far the sessions of this database have seen the revocation log, where that stands elsewhere.
//!
//! A standby that takes over may lack the last deletions, and then it lacks the mark behind them as well.

use super::{
    Postgres,
    columns::{get, number},
    log::{HEAD, Head, WATERMARK, head_of},
    pool::Nature::Read,
    value::{Value, integer},
};
use crate::{
    revocation::{Incarnation, Position},
    store::{StoreError, Watermark},
};

/// Only while the primary is the one whose mark was read, and has it, or one that another server has set since: the deletions
/// behind that mark were made there.
const ADVANCE: &str = "INSERT INTO cloakroom_watermark AS held (one, incarnation, sequence)
     SELECT 1, $1, $2
     WHERE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) = $3
           AND ($4::bigint IS NULL OR EXISTS (SELECT 1 FROM cloakroom_watermark))
     ON CONFLICT (one) DO UPDATE
     SET incarnation = excluded.incarnation,
         sequence = CASE WHEN held.incarnation = excluded.incarnation THEN greatest(held.sequence, excluded.sequence)
                         ELSE excluded.sequence END
     WHERE held.incarnation = excluded.incarnation AND ($4 IS NULL OR $4 <> held.incarnation OR held.sequence >= $5)
           OR held.incarnation = $4 AND held.sequence >= $5";

impl Postgres {
    /// What it has been given of a log elsewhere, and its own log, with which an end is one transaction.
    pub(super) async fn its_watermark(&self) -> Result<Watermark, StoreError> {
        let rows = self.pool().rows(Read, WATERMARK, &[]).await?;
        let Head { position, timeline, known_as, .. } = head_of(&rows)?;
        let mut marks = Vec::with_capacity(2);
        if let Some(row) = rows.first()
            && let Some(incarnation) = get::<Option<i64>>(row, HEAD)?
        {
            let incarnation = Incarnation(incarnation.cast_unsigned());
            marks.push(Position { incarnation, sequence: number(row, HEAD + 1)? });
        }
        marks.push(Position { incarnation: known_as.unwrap_or(position.incarnation), ..position });
        Ok(Watermark::One { marks: vec![marks], holder: timeline })
    }

    pub(super) async fn advance(&self, from: &Watermark, to: Position) -> Result<(), StoreError> {
        let Watermark::One { marks, holder } = from else { return Err(taken_over()) };
        // Its own log comes last.
        let before = marks.first().filter(|marks| marks.len() > 1).and_then(|marks| marks.first());
        let values = [
            Value::Int(to.incarnation.0.cast_signed()),
            Value::Int(integer(to.sequence)),
            Value::Text(holder),
            Value::MaybeInt(before.map(|mark| mark.incarnation.0.cast_signed())),
            Value::Int(before.map_or(0, |mark| integer(mark.sequence))),
        ];
        match self.pool().execute(ADVANCE, &values).await? {
            0 => Err(taken_over()),
            _ => Ok(()),
        }
    }
}

fn taken_over() -> StoreError {
    StoreError::Unavailable(
        "another server has taken the sessions over in PostgreSQL; how far they are is looked at again".to_owned(),
    )
}
