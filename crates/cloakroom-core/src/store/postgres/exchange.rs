//! Exchanges in PostgreSQL: the line, the end of the old record and the new record are one transaction.

use std::time::Duration;

use tokio_postgres::Row;

use super::{
    Postgres,
    accounts::present,
    columns::{bytes, get},
    connection::Connection,
    error::{Failure, unreadable},
    lineage, log,
    pool::{Attempts, Nature},
    sessions::{self, columns_of},
    value::{Value, integer},
};
use crate::{
    clock::Timestamp,
    ids::SessionId,
    revocation::End,
    session::Succession,
    store::{Basis, Exchange, Exchanged, PastExchange, Records, StoreError},
};

const LINES: &str = "SELECT substr(successor, 1, 16) FROM cloakroom_log WHERE kind = 1 AND subject = $1";
const PAST: &str = concat!(
    "SELECT successor, coalesce($2, ",
    log::its_time!(),
    ") - at, EXISTS (SELECT 1 FROM cloakroom_log WHERE kind = 1 AND subject = $1)
     FROM cloakroom_log WHERE successor IS NOT NULL AND substr(successor, 1, 16) = $1"
);

impl Postgres {
    /// Ends a session in favour of its successor, unless something else has happened since it was judged.
    pub(super) async fn exchange_session(
        &self,
        exchange: &Exchange,
        at: Option<Timestamp>,
    ) -> Result<Exchanged, StoreError> {
        let mut attempts = Attempts::new(Nature::Write);
        loop {
            let done = match self.pool().writer().await {
                Ok(writer) => self.pool().within(&writer, Box::pin(transact(&writer, exchange, at))).await,
                Err(failure) => Err(failure),
            };
            match done {
                Err(failure) => attempts.again(failure).await?,
                Ok(exchanged) => return Ok(exchanged),
            }
        }
    }

    pub(super) async fn exchanged_into(
        &self,
        successor: SessionId,
        at: Option<Timestamp>,
    ) -> Result<Option<PastExchange>, StoreError> {
        let row = self.pool().row(Nature::Read, PAST, &asked(&successor, at)).await?;
        row.as_ref().map(past).transpose()
    }
}

/// The values of [`PAST`].
fn asked(successor: &SessionId, at: Option<Timestamp>) -> [Value<'_>; 2] {
    [Value::Bytes(successor.bytes()), Value::MaybeInt(at.map(|at| integer(at.millis())))]
}

async fn transact(connection: &Connection, exchange: &Exchange, at: Option<Timestamp>) -> Result<Exchanged, Failure> {
    let Exchange { old, succession, .. } = exchange;
    let sid = [Value::Bytes(old.session.bytes())];
    let transaction = connection.begin();
    // Whatever ends something holds the head, so that nothing of what is read now changes until the end.
    let time = lineage::begin(connection, &transaction).await?.time;
    let lines = connection.rows(LINES, &sid).await?.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    if !lines.is_empty() {
        let before = if lines.contains(&Some(succession.session)) {
            connection.rows(PAST, &asked(&succession.session, at)).await?.first().map(past).transpose()?
        } else {
            None
        };
        // It rests on a line that somebody else wrote: that is waited for, by a commit of what was locked.
        transaction.commit().await?;
        return Ok(before.map_or(Exchanged::Ended, Exchanged::Before));
    }
    let basis = Basis::Session(old.clone());
    if present(connection, succession.record.account, &basis).await?.is_none() {
        transaction.commit().await?;
        return Ok(Exchanged::Changed);
    }
    let (end, at) = (End::Session { session: old.session }, at.unwrap_or(time));
    let entry = log::append_with(connection, end, Some(succession), at, exchange.hold.until(at)).await?;
    if exchange.records == Records::Here {
        connection.execute(sessions::DELETE, &sid).await?;
        if succession.record.method.keeps_record() {
            let client = succession.record.client.codes();
            let values = columns_of(&succession.session, &succession.record, &client);
            connection.execute(sessions::CREATE, &values).await?;
        }
    }
    connection.batch(log::NOTIFY).await?;
    transaction.commit().await?;
    Ok(Exchanged::Done(entry))
}

/// The successor that a line names.
fn named(row: &Row) -> Result<Option<SessionId>, StoreError> {
    let names = get::<Option<&[u8]>>(row, 0)?.is_some();
    names.then(|| bytes(row, 0).map(SessionId::from_bytes)).transpose()
}

fn past(row: &Row) -> Result<PastExchange, StoreError> {
    let succession = Succession::decode(get(row, 0)?);
    let succession = succession.map_err(|_| unreadable("what a session was exchanged for"))?;
    // A line from a moment that is still to come, by a clock that was set back, is new.
    let age = Duration::from_millis(u64::try_from(get::<i64>(row, 1)?).unwrap_or_default());
    Ok(PastExchange { succession, age, ended: get(row, 2)? })
}
