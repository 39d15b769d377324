//! The incarnations of the revocation log: how a transaction that writes it begins, and what it notes when the log goes on
//! under another name.
//!
//! A standby that takes over, or a dump that is read back, may lack the last lines of the log; it is another incarnation by
//! itself (`log`). Nobody is told of that moment, so the first transaction that holds the head afterwards notes it.

use super::{
    Postgres,
    columns::{get, number},
    connection::{Connection, Transaction},
    error::Failure,
    log::{HEAD, HEAD_ALONE, Head, LINEAGE, LOCK, head_of},
    pool::Nature::Read,
    value::{Value, integer},
};
use crate::{
    ids::Epoch,
    revocation::{Incarnation, Lineage, Position},
    store::StoreError,
};

/// A log that was taken back twice to the same incarnation shares with it only what both times were left.
const NOTE: &str = "INSERT INTO cloakroom_lineage AS noted (incarnation, last) VALUES ($1, $2)
     ON CONFLICT (incarnation) DO UPDATE SET last = least(noted.last, excluded.last)";
/// A mark from before what was pruned is out of reach, whatever it was called.
const FORGET: &str = "DELETE FROM cloakroom_lineage WHERE last < $1";
const LIFT: &str = "UPDATE cloakroom_log_head SET epoch_floor = $1";
const RENAME: &str = "UPDATE cloakroom_log_head SET known_as = $1";
const NAME: &str = "UPDATE cloakroom_log_head SET known_as = $1 WHERE known_as IS NULL";

/// Begins a transaction that writes into the log, and holds the head until it ends. If the log has become another
/// incarnation since its last line, that is settled before anything else is done.
pub(super) async fn begin(connection: &Connection, transaction: &Transaction<'_>) -> Result<Head, Failure> {
    // Both are sent at once. The second waits for the first, in the server.
    let (begun, head) = tokio::join!(biased; transaction.start(LOCK), connection.rows(HEAD_ALONE, &[]));
    begun?;
    let mut head = head_of(&head?)?;
    if head.known_as != Some(head.position.incarnation) {
        settle(connection, &mut head).await?;
    }
    Ok(head)
}

/// What the first transaction of an incarnation does: it notes the one before, with its last line that is still here, and lifts
/// the floor of all epochs above what a lost raise can have given.
async fn settle(connection: &Connection, head: &mut Head) -> Result<(), Failure> {
    if let Some(former) = head.known_as {
        tracing::warn!(%former, now = %head.position, "the revocation log goes on in another incarnation");
        connection.execute(NOTE, &[name(former), Value::Int(integer(head.position.sequence))]).await?;
        connection.execute(FORGET, &[Value::Int(integer(head.pruned))]).await?;
        head.floor = head.floor.max(Epoch::floor_at(head.time));
        connection.execute(LIFT, &[Value::Int(head.floor.0.into())]).await?;
    }
    connection.execute(RENAME, &[name(head.position.incarnation)]).await?;
    Ok(())
}

/// Gives the log of a new store, or of one that an older release has made, the name that its lines are known by.
pub(super) async fn name_first(connection: &Connection) -> Result<(), Failure> {
    let head = head_of(&connection.rows(HEAD_ALONE, &[]).await?)?;
    if head.known_as.is_none() {
        connection.execute(NAME, &[name(head.position.incarnation)]).await?;
    }
    Ok(())
}

impl Postgres {
    pub(super) async fn its_lineage(&self) -> Result<Lineage, StoreError> {
        let rows = self.pool().rows(Read, LINEAGE, &[]).await?;
        let Head { position: head, pruned, known_as, .. } = head_of(&rows)?;
        let mut former = Vec::with_capacity(rows.len() + 1);
        for row in &rows {
            if let Some(incarnation) = get::<Option<i64>>(row, HEAD)? {
                let incarnation = Incarnation(incarnation.cast_unsigned());
                former.push(Position { incarnation, sequence: number(row, HEAD + 1)? });
            }
        }
        former.extend(known_as.map(|incarnation| Position { incarnation, ..head }));
        Ok(Lineage { head, pruned, former })
    }
}

fn name(incarnation: Incarnation) -> Value<'static> {
    Value::Int(incarnation.0.cast_signed())
}
