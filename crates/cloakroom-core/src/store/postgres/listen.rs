//! News of the log, so that servers hear of each other's ends before they ask again.
//!
//! PostgreSQL tells listeners of every end as it is committed (`NOTIFY`). That is a courtesy on top of the promise: who
//! follows the log asks at intervals all the same, and a lost message or connection costs nothing but time. Listening takes
//! a connection of its own that goes around poolers, for a pooler in transaction mode passes no news on.

use std::{future::poll_fn, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, Config, config::Host};

use super::{
    connection::{Connector, Driver},
    error::Failure,
    url::Listen,
};
use crate::{
    store::StoreError,
    tasks::{self, Kept, Over, Pulse},
};

/// How long it may take to connect and to ask; the connection has shorter limits of its own.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the connection is given to come back; twice as long each time.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// What listens; it ends when this is dropped.
pub(super) struct Listener {
    calls: watch::Receiver<u64>,
    _task: Kept,
}

impl Listener {
    /// Starts to listen, if that is possible and wanted. `pooled`: whether a pooler stands where the URL points to.
    pub(super) fn start(connector: &Connector, listen: &Listen, pooled: bool) -> Option<Self> {
        let mut config = match listen {
            Listen::Off => return None,
            Listen::Auto if pooled => {
                tracing::info!(
                    "a pooler stands before PostgreSQL: ends of other servers are asked for at intervals only; \
                    `listen=HOST:PORT` in the URL names a way around it"
                );
                return None;
            }
            Listen::Auto => connector.config().clone(),
            Listen::At(host, port) => moved(connector.config(), host, *port),
        };
        config.application_name("cloakroom (listening)");
        let connector = Arc::new(connector.towards(config));
        let (call, calls) = watch::channel(0);
        let call = Arc::new(call);
        let task = tasks::keep("listen", PATIENCE, move |pulse| {
            let (connector, call) = (Arc::clone(&connector), Arc::clone(&call));
            async move { keep_listening(&connector, &call, &pulse).await }
        });
        Some(Self { calls, _task: task })
    }

    /// Changes with every call.
    pub(super) fn calls(&self) -> watch::Receiver<u64> {
        self.calls.clone()
    }
}

/// The same database at another address.
fn moved(config: &Config, host: &Host, port: Option<u16>) -> Config {
    let mut there = Config::new();
    match host {
        Host::Tcp(name) => there.host(name),
        Host::Unix(path) => there.host_path(path),
    };
    if let Some(port) = port {
        there.port(port);
    }
    if let Some(user) = config.get_user() {
        there.user(user);
    }
    if let Some(password) = config.get_password() {
        there.password(password);
    }
    // Without a name it is the user's, in both places.
    if let Some(name) = config.get_dbname() {
        there.dbname(name);
    }
    there.ssl_mode(config.get_ssl_mode());
    there.channel_binding(config.get_channel_binding());
    there.keepalives_idle(config.get_keepalives_idle());
    there.connect_timeout(config.get_connect_timeout().copied().unwrap_or(PAUSES.1));
    there
}

async fn keep_listening(connector: &Connector, call: &watch::Sender<u64>, pulse: &Pulse) -> Over {
    let mut pause = PAUSES.0;
    loop {
        match listen(connector, call, &mut pause, pulse).await {
            Ok(()) => tracing::debug!("PostgreSQL closed the connection that listens"),
            Err(failure) => tracing::warn!(
                error = %StoreError::from(failure),
                "news of the revocation log cannot be listened for; it is asked for at intervals"
            ),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Listens until the connection ends.
async fn listen(
    connector: &Connector,
    call: &watch::Sender<u64>,
    pause: &mut Duration,
    pulse: &Pulse,
) -> Result<(), Failure> {
    let asking = pulse.begin();
    let (client, driver) = connector.dial().await?;
    let heard = hear(driver, call);
    let ask = async {
        client.batch_execute("LISTEN cloakroom_log").await?;
        asking.done();
        *pause = PAUSES.0;
        // What was said before this is not said again.
        call.send_modify(|calls| *calls = calls.wrapping_add(1));
        // The connection lives as long as this half of it.
        std::future::pending::<Result<(), Failure>>().await
    };
    tokio::select! {
        ended = heard => ended,
        failed = ask => failed,
    }
}

async fn hear(mut driver: Driver, call: &watch::Sender<u64>) -> Result<(), Failure> {
    while let Some(message) = poll_fn(|cx| driver.poll_message(cx)).await {
        if let AsyncMessage::Notification(_) = message? {
            call.send_modify(|calls| *calls = calls.wrapping_add(1));
        }
    }
    Ok(())
}
