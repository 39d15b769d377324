//! Ends, many in one transaction.
//!
//! Whoever writes the log holds its head, so ends wait for each other anyway. What has gathered while the last transaction was
//! committed is done in the next: two exchanges with the server and one commit, however many there are. An end is done even
//! if the one who asked has gone.

use tokio_postgres::Row;

use super::{
    Postgres,
    columns::{bytes, epoch, get, moment, number},
    connection::{Connection, Transaction},
    error::Failure,
    gather::Question,
    lineage,
    log::{self, Head},
    plan::{Asked, Plan, Present},
    pool::{Attempts, Nature, Pool},
    value::Value,
};
use crate::{
    clock::Timestamp,
    ids::{AccountId, Epoch, SessionId},
    revocation::{End, Entry, Hold},
    store::{EndRequest, StoreError},
};

/// The lines of these sessions, and of what took their places.
const KNOWN: &str = "WITH RECURSIVE chain (session) AS (
         SELECT unnest($1)
         UNION
         SELECT substr(line.successor, 1, 16) FROM chain JOIN cloakroom_log AS line ON line.subject = chain.session
         WHERE line.kind = 1 AND line.successor IS NOT NULL
     )
     SELECT line.subject, line.sequence, line.until, line.at, substr(line.successor, 1, 16)
     FROM chain JOIN cloakroom_log AS line ON line.kind = 1 AND line.subject = chain.session";
const ACCOUNTS: &str = "SELECT id, epoch, disabled FROM cloakroom_accounts WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
const APPS: &str = "SELECT app, method, epoch FROM cloakroom_app_ends WHERE app = ANY ($1)";

const DELETE_SESSIONS: &str = "DELETE FROM cloakroom_sessions WHERE sid = ANY (ARRAY(
     SELECT sid FROM cloakroom_sessions WHERE sid = ANY ($1) ORDER BY sid FOR UPDATE))";
const RAISE_ACCOUNTS: &str = "UPDATE cloakroom_accounts SET epoch = new.epoch FROM unnest($1, $2) AS new (id, epoch)
     WHERE cloakroom_accounts.id = new.id";
/// A session that another raise has ended before stays behind.
const CARRY_OVER: &str =
    "UPDATE cloakroom_sessions SET epoch = new.becomes FROM unnest($1, $2, $3) AS new (id, was, becomes)
     WHERE sid = new.id AND epoch = new.was";
const RAISE_APPS: &str = "INSERT INTO cloakroom_app_ends (app, method, epoch)
     SELECT app, method, epoch FROM unnest($1, $2, $3) AS new (app, method, epoch)
     ON CONFLICT (app, method) DO UPDATE SET epoch = excluded.epoch";
const APPEND: &str = "INSERT INTO cloakroom_log (sequence, kind, subject, method, epoch, at, until)
     SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)";

/// What one request ends.
pub(super) struct Ending {
    ends: Vec<(EndRequest, Hold)>,
    at: Option<Timestamp>,
}

impl Question for Ending {
    type Answer = Vec<Entry>;
    const MOST: usize = 512;
    const AT_ONCE: usize = 1;
    const EXCHANGES: u32 = 2;
    const UNHEARD: bool = true;

    async fn ask(pool: &Pool, requests: &[Self]) -> Result<Vec<Vec<Entry>>, StoreError> {
        let done = transact(pool, requests).await;
        done.inspect_err(|error| tracing::error!(%error, requests = requests.len(), "a batch of ends was not done"))
    }
}

impl Postgres {
    /// Ends what is asked, each with how long it must be held; unknown accounts are left out.
    pub(super) async fn end_all(
        &self,
        ends: &[(EndRequest, Hold)],
        at: Option<Timestamp>,
    ) -> Result<Vec<Entry>, StoreError> {
        if ends.is_empty() {
            return Ok(Vec::new());
        }
        self.0.ends.ask(Ending { ends: ends.to_vec(), at }).await
    }
}

/// Does all requests in one transaction; what each has ended.
async fn transact(pool: &Pool, requests: &[Ending]) -> Result<Vec<Vec<Entry>>, StoreError> {
    // Once more on another connection only while nothing can have been committed.
    let (mut before, mut after) = (Attempts::new(Nature::Read), Attempts::new(Nature::Write));
    loop {
        let writer = match pool.writer().await {
            Ok(writer) => writer,
            Err(failure) => {
                before.again(failure).await?;
                continue;
            }
        };
        let transaction = writer.begin();
        let asked = Asked::of(requests.iter().flat_map(|request| &request.ends));
        let present = match pool.within(&writer, Box::pin(read(&writer, &transaction, &asked))).await {
            Ok(present) => present,
            Err(failure) => {
                drop(transaction);
                before.again(failure).await?;
                continue;
            }
        };
        let now = present.time;
        let mut plan = Plan::new(present);
        let entries = requests.iter().map(|request| plan.take(&request.ends, request.at.unwrap_or(now))).collect();
        match pool.within(&writer, Box::pin(write(&writer, &transaction, &plan))).await {
            Ok(()) => {
                transaction.committed();
                return Ok(entries);
            }
            Err(failure) => {
                drop(transaction);
                after.again(failure).await?;
            }
        }
    }
}

/// Locks the head of the log, and reads what is there of all that is asked about.
async fn read(connection: &Connection, transaction: &Transaction<'_>, asked: &Asked<'_>) -> Result<Present, Failure> {
    // All is sent at once. The first waits for the head, and so do the others, in the server.
    let (head, known, accounts, apps) = tokio::join!(
        biased;
        lineage::begin(connection, transaction),
        some(connection, KNOWN, Value::Blobs(&asked.lines), asked.lines.is_empty()),
        some(connection, ACCOUNTS, Value::Blobs(&asked.accounts), asked.accounts.is_empty()),
        some(connection, APPS, Value::Texts(&asked.apps), asked.apps.is_empty()),
    );
    let Head { position, time, floor, .. } = head?;
    let mut present = Present { sequence: position.sequence, time, floor, ..Present::default() };
    for row in &known? {
        let session = SessionId::from_bytes(bytes(row, 0)?);
        let (sequence, until, at) = (number(row, 1)?, moment(row, 2)?, Some(moment(row, 3)?));
        present.line(session, Entry { sequence, end: End::Session { session }, at, until });
        if get::<Option<&[u8]>>(row, 4)?.is_some() {
            present.successors.insert(session, (SessionId::from_bytes(bytes(row, 4)?), until));
        }
    }
    for row in &accounts? {
        present.accounts.insert(AccountId::from_bytes(bytes(row, 0)?), (epoch(row, 1)?, !get::<bool>(row, 2)?));
    }
    for row in &apps? {
        present.apps.entry(get(row, 0)?).or_default().insert(get(row, 1)?, epoch(row, 2)?);
    }
    Ok(present)
}

async fn some(
    connection: &Connection,
    statement: &'static str,
    asked: Value<'_>,
    nothing: bool,
) -> Result<Vec<Row>, Failure> {
    if nothing { Ok(Vec::new()) } else { connection.rows(statement, &[asked]).await }
}

/// Writes what was settled, and commits.
async fn write(connection: &Connection, transaction: &Transaction<'_>, plan: &Plan) -> Result<(), Failure> {
    let sessions: Vec<_> = plan.sessions.iter().map(|session| &session.bytes()[..]).collect();
    let sessions = [Value::Blobs(&sessions)];
    let (accounts, account_epochs): (Vec<_>, Vec<_>) =
        plan.accounts.iter().map(|(id, epoch)| (&id.bytes()[..], i64::from(epoch.0))).unzip();
    let accounts = [Value::Blobs(&accounts), Value::Ints(&account_epochs)];
    let apps = plan.apps();
    let apps = [Value::Texts(&apps.names), Value::Smalls(&apps.methods), Value::Ints(&apps.epochs)];
    let lines = plan.lines();
    let lines = [
        Value::Ints(&lines.sequences),
        Value::Smalls(&lines.kinds),
        Value::Blobs(&lines.subjects),
        Value::Smalls(&lines.methods),
        Value::Ints(&lines.epochs),
        Value::Ints(&lines.at),
        Value::Ints(&lines.until),
    ];
    let ids: Vec<_> = plan.carried.iter().map(|(id, ..)| &id.bytes()[..]).collect();
    let epochs = |of: fn(&(SessionId, Epoch, Epoch)) -> Epoch| {
        plan.carried.iter().map(|carried| i64::from(of(carried).0)).collect::<Vec<_>>()
    };
    let (was, becomes) = (epochs(|(_, was, _)| *was), epochs(|(.., becomes)| *becomes));
    let carried = [Value::Blobs(&ids), Value::Ints(&was), Value::Ints(&becomes)];
    let writes: [(&'static str, &[Value<'_>], bool); 5] = [
        (DELETE_SESSIONS, &sessions, !plan.sessions.is_empty()),
        (RAISE_ACCOUNTS, &accounts, !plan.accounts.is_empty()),
        (CARRY_OVER, &carried, !plan.carried.is_empty()),
        (RAISE_APPS, &apps, !plan.apps.is_empty()),
        (APPEND, &lines, !plan.entries.is_empty()),
    ];
    for (statement, values, wanted) in writes {
        if wanted {
            connection.prepare(statement, values).await?;
        }
    }
    // Written though it may be what it was: then all that was asked has been done by others, and is as durable as this is.
    let mut last = format!("UPDATE cloakroom_log_head SET sequence = {};", plan.sequence);
    if !plan.entries.is_empty() {
        last.push_str(log::NOTIFY);
        last.push(';');
    }
    let write = async |n: usize| {
        let (statement, values, wanted) = writes[n];
        if wanted { connection.execute(statement, values).await.map(drop) } else { Ok(()) }
    };
    // All is prepared, so that all is sent at once, in this order. The last does nothing unless all others went well.
    let (deleted, accounts, carried, apps, lines, committed) = tokio::join!(
        biased; write(0), write(1), write(2), write(3), write(4), transaction.send_commit(&last)
    );
    for done in [deleted, accounts, carried, apps, lines] {
        done?;
    }
    committed
}
