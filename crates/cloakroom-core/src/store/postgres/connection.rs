//! One connection: how it is made, what is demanded of the server at its other end, and how statements go over it.

use std::{
    fmt,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Config, Row, Socket, Statement, tls::MakeTlsConnect, types::Type};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    error::{Failure, too_slow},
    pooler, schema, tls,
    url::{Statements, Url},
    value::Value,
};
use crate::{store::StoreError, tasks};

/// The part of PostgreSQL that speaks of a wait that was ended. Its words are in the language of the server; its name is not.
const WAIT_FOR_STANDBY: &str = "SyncRepWaitForLSN";

/// How long a statement that took too long may take to hear that nobody waits for it.
const CANCEL: Duration = Duration::from_secs(2);

pub(super) type Driver = tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Makes connections.
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    statements: Statements,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
}

impl Connector {
    pub(super) fn new(url: &Url) -> Result<Self, StoreError> {
        Ok(Self {
            config: url.config.clone(),
            tls: tls::connector(url.ssl_mode, url.certificates.as_deref())?,
            statements: url.statements,
            connect_timeout: url.connect_timeout,
            statement_timeout: url.statement_timeout,
        })
    }

    /// The same, towards another address of the same server.
    pub(super) fn towards(&self, config: Config) -> Self {
        let (connect_timeout, statement_timeout) = (self.connect_timeout, self.statement_timeout);
        Self { config, tls: self.tls.clone(), statements: self.statements, connect_timeout, statement_timeout }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// A connection of the driver's, with what moves its bytes.
    pub(super) async fn dial(&self) -> Result<(Client, Driver), Failure> {
        let slow = |_| Failure::Lost(too_slow("connecting"));
        Ok(timeout(self.connect_timeout, self.config.connect(self.tls.clone())).await.map_err(slow)??)
    }

    /// A connection that is good enough for a store.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let (client, mut driver) = self.dial().await?;
        let unreplicated = Arc::new(AtomicBool::new(false));
        let notices = Arc::clone(&unreplicated);
        tasks::once("connection", async move {
            // A notice is told before the answer that it belongs to.
            while let Some(message) = poll_fn(|cx| driver.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notice(notice)) if notice.routine() == Some(WAIT_FOR_STANDBY) => {
                        notices.store(true, Ordering::Relaxed);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let reason = StoreError::from(Failure::from(error));
                        tracing::debug!(%reason, "a connection to PostgreSQL has ended");
                        return;
                    }
                }
            }
        });
        let slow = |_| Failure::Lost(too_slow("connecting"));
        timeout(self.connect_timeout, self.settle(client, unreplicated)).await.map_err(slow)?
    }

    /// Asks the server what it is, and refuses what could lose acknowledged writes.
    async fn settle(&self, client: Client, unreplicated: Arc<AtomicBool>) -> Result<Connection, Failure> {
        const QUESTION: &str = "SELECT current_setting('server_version_num')::integer, pg_is_in_recovery(), \
             current_setting('server_encoding'), current_setting('synchronous_commit'), pg_backend_pid()";
        let row = client.query_typed_one(QUESTION, &[]).await?;
        let (version, standby): (i32, bool) = (row.try_get(0)?, row.try_get(1)?);
        let (encoding, synchronous): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
        let pooled = pooler::process_of(&client.cancel_token()).await != Some(row.try_get(4)?);
        if version < 130_000 {
            let why = format!("PostgreSQL {} is too old: Cloakroom needs 13 or later", version / 10_000);
            return Err(StoreError::Foreign(why).into());
        }
        if standby {
            let why = "PostgreSQL is a standby, and the store must be a primary: name the primary in the URL, or all \
                       servers of the cluster, separated by commas";
            return Err(Failure::Lost(StoreError::Unavailable(why.to_owned())));
        }
        if encoding != "UTF8" {
            let why = format!("the database's encoding is {encoding}: make one with createdb --encoding=UTF8");
            return Err(StoreError::Foreign(why).into());
        }
        if pooled {
            if synchronous == "off" {
                let why = "synchronous_commit is off, so that PostgreSQL would lose what it has acknowledged: run ALTER \
                           ROLE … SET synchronous_commit = on for the role in the URL, and let the pooler connect anew";
                return Err(StoreError::Foreign(why.to_owned()).into());
            }
        } else {
            // Only here, where the connection is nobody else's. What a vanished server holds locked is soon free again. No
            // statement runs for so long that compiling it first (20 ms) could pay.
            let mut settings = format!(
                "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = 10000; \
                 SET default_transaction_isolation = 'read committed'; SET jit = off",
                self.statement_timeout.as_millis(),
            );
            if synchronous == "off" {
                settings.push_str("; SET synchronous_commit = on");
            }
            client.batch_execute(&settings).await?;
        }
        schema::still_readable(&client).await?;
        let named = !pooled && self.statements == Statements::Auto;
        Ok(Connection {
            client,
            named,
            pooled,
            tls: self.tls.clone(),
            prepared: Mutex::default(),
            begin: begin(pooled.then_some(self.statement_timeout)),
            sound: true.into(),
            transaction: false.into(),
            work: Work::None.into(),
            unreplicated,
        })
    }
}

/// A connection. Statements may be sent before the answers to earlier ones are there.
pub(super) struct Connection {
    client: Client,
    /// Whether statements are prepared under names.
    named: bool,
    pooled: bool,
    tls: MakeRustlsConnect,
    prepared: Mutex<HashMap<&'static str, Statement>>,
    /// What opens a transaction.
    begin: String,
    /// Whether it is known to stand outside of any transaction, and answers.
    sound: AtomicBool,
    /// Whether a transaction is open.
    transaction: AtomicBool,
    work: AtomicU8,
    /// Whether PostgreSQL has said of a commit that it does not wait for its standby any longer.
    unreplicated: Arc<AtomicBool>,
}

/// What has been asked, and not been answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    None,
    /// Nothing that commits: it may be told to stop, and closing the connection undoes it.
    Uncommitted,
    /// Something that may be committed by now.
    Commit,
}

impl From<Work> for AtomicU8 {
    fn from(work: Work) -> Self {
        Self::new(work as u8)
    }
}

impl Connection {
    /// Whether it may be used again.
    pub(super) fn is_sound(&self) -> bool {
        self.sound.load(Ordering::Relaxed) && !self.client.is_closed()
    }

    /// Lets nobody use it again.
    pub(super) fn give_up(&self) {
        self.sound.store(false, Ordering::Relaxed);
    }

    /// Notes that something is asked that commits nothing.
    pub(super) fn begin_reading(&self) {
        self.work(Work::Uncommitted);
    }

    /// Notes that something is asked that may commit: each statement does, unless a transaction is open.
    pub(super) fn begin_writing(&self) {
        let inside = self.transaction.load(Ordering::Relaxed);
        self.work(if inside { Work::Uncommitted } else { Work::Commit });
    }

    /// Notes that what was asked has been answered; whether that answer is worth what it says. PostgreSQL calls a commit done
    /// whose wait somebody has ended, though no standby may have it.
    #[must_use]
    pub(super) fn end_work(&self) -> bool {
        self.work(Work::None);
        !self.unreplicated.swap(false, Ordering::Relaxed)
    }

    fn work(&self, work: Work) {
        self.work.store(work as u8, Ordering::Relaxed);
    }

    /// Whether somebody has asked who has not heard the end of it.
    pub(super) fn is_under_way(&self) -> bool {
        self.work.load(Ordering::Relaxed) != Work::None as u8
    }

    /// Whether that may be committed by now.
    pub(super) fn may_be_committing(&self) -> bool {
        self.work.load(Ordering::Relaxed) == Work::Commit as u8
    }

    /// Waits for the answers that nobody else waits for.
    pub(super) async fn drain(&self) -> Result<(), Failure> {
        self.batch("").await?;
        // Nobody is told what was answered.
        let _ = self.end_work();
        Ok(())
    }

    /// Whether a pooler stands before the server.
    pub(super) fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Sees to it that a statement is sent at once when it is next asked for, and so in step with its neighbours.
    pub(super) async fn prepare(&self, sql: &'static str, values: &[Value<'_>]) -> Result<(), Failure> {
        if self.named {
            self.statement(sql, values).await?;
        }
        Ok(())
    }

    async fn statement(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Statement, Failure> {
        if let Some(statement) = self.prepared.lock().get(sql) {
            return Ok(statement.clone());
        }
        let kinds: Vec<Type> = values.iter().map(Value::kind).collect();
        let statement = self.client.prepare_typed(sql, &kinds).await?;
        self.prepared.lock().insert(sql, statement.clone());
        Ok(statement)
    }

    /// The rows that a statement finds or gives back.
    pub(super) async fn rows(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        if self.named {
            let statement = self.statement(sql, values).await?;
            let values: Vec<_> = values.iter().map(|value| value as _).collect();
            return Ok(self.client.query(&statement, &values).await?);
        }
        let values: Vec<_> = values.iter().map(|value| (value as _, value.kind())).collect();
        Ok(self.client.query_typed(sql, &values).await?)
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, Failure> {
        if self.named {
            let statement = self.statement(sql, values).await?;
            let values: Vec<_> = values.iter().map(|value| value as _).collect();
            return Ok(self.client.execute(&statement, &values).await?);
        }
        let values: Vec<_> = values.iter().map(|value| (value as _, value.kind())).collect();
        Ok(self.client.execute_typed(sql, &values).await?)
    }

    /// The rows of a statement whose text is not a constant, and which is seldom sent.
    pub(super) async fn ad_hoc(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        let values: Vec<_> = values.iter().map(|value| (value as _, value.kind())).collect();
        Ok(self.client.query_typed(sql, &values).await?)
    }

    /// Statements without values.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Opens a transaction, as soon as that is [sent](Transaction::start).
    pub(super) fn begin(&self) -> Transaction<'_> {
        self.transaction.store(true, Ordering::Relaxed);
        self.begin_reading();
        Transaction { connection: self, open: true }
    }

    /// Nobody waits any longer for what it does, which commits nothing: it is told so, and not used again.
    pub(super) fn cancel(&self) {
        self.give_up();
        if self.pooled {
            // By the time that a pooler passes it on, somebody else may be committing on that server connection.
            return;
        }
        let (token, tls) = (self.client.cancel_token(), self.tls.clone());
        tasks::once("cancel", async move {
            // Should it fail, the connection is closed all the same, and the server's own limits remain.
            let _ = timeout(CANCEL, token.cancel_query(tls)).await;
        });
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// How a transaction begins. The isolation is said here, whatever the database's default is: later statements must see what was
/// committed while the first waited for a lock. Should this server vanish, its locks are soon free. Behind a pooler, where the
/// connection has no limit of ours, each statement has it here.
fn begin(limit: Option<Duration>) -> String {
    let limit = limit.map(|limit| format!("; SET LOCAL statement_timeout = {}", limit.as_millis()));
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = 10000{}",
        limit.unwrap_or_default()
    )
}

/// A transaction, which is unreplicated unless [`Self::commit`] has answered.
pub(super) struct Transaction<'a> {
    connection: &'a Connection,
    open: bool,
}

impl Transaction<'_> {
    /// Begins it, together with its first statements, which have no values.
    pub(super) async fn start(&self, first: &str) -> Result<(), Failure> {
        self.connection.batch(&format!("{}; {first}", self.connection.begin)).await
    }

    /// Commits it; only for when every statement in it has answered well.
    pub(super) async fn commit(self) -> Result<(), Failure> {
        self.send_commit("").await?;
        self.committed();
        Ok(())
    }

    /// Sends its last statements, which have no values, and commits; without waiting for what was sent before, the failure of
    /// which undoes all of it. From here on nothing tells PostgreSQL to stop.
    pub(super) async fn send_commit(&self, last: &str) -> Result<(), Failure> {
        self.connection.work(Work::Commit);
        self.connection.batch(&format!("{last}COMMIT")).await
    }

    /// Notes that all that was sent has been answered well.
    pub(super) fn committed(mut self) {
        self.end();
    }

    /// Undoes it.
    pub(super) async fn undo(mut self) -> Result<(), Failure> {
        self.connection.batch("ROLLBACK").await?;
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        self.open = false;
        self.connection.transaction.store(false, Ordering::Relaxed);
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // Whoever waited has gone, or a statement failed: closing the connection undoes all of it, unless it may be
            // committed; then it is closed after that has been answered.
            self.connection.give_up();
        }
    }
}
