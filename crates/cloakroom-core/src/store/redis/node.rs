//! One server: its connection, made when it is needed and made anew when it broke, and what is asked over it.
//!
//! Everybody shares one connection, over which requests follow one another without waiting for answers. How many are
//! under way is bounded. A server that is down is tried again after a pause that doubles; until then whoever asks is
//! refused at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use redis::{Cmd, Pipeline, RedisResult, Value, cmd};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, timeout},
};

use super::{
    address::Host,
    connect::{Connector, Link},
    error::{Failure, of_connection},
};
use crate::{random::Rng, store::StoreError, tasks};

/// One server.
pub(super) struct Node {
    pub(super) host: Host,
    connector: Arc<Connector>,
    state: Mutex<State>,
    in_flight: Semaphore,
    /// How many connections have been made to it.
    connections: AtomicU64,
}

enum State {
    /// Nobody has needed it, or its connection broke a moment ago.
    Idle,
    /// A connection is being made; the channel closes when it is decided.
    Connecting {
        done: watch::Receiver<()>,
        failures: u32,
    },
    Up(Arc<Link>),
    /// Not before that moment is it tried again.
    Down {
        until: Instant,
        failures: u32,
        error: StoreError,
    },
}

/// How long who asks waits for a connection to a server that was down a moment ago.
const HOPE: Duration = Duration::from_millis(250);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Node {
    pub(super) fn new(host: Host, connector: Arc<Connector>) -> Arc<Self> {
        let in_flight = Semaphore::new(connector.options.in_flight.max(1));
        let (state, connections) = (Mutex::new(State::Idle), AtomicU64::new(0));
        Arc::new(Self { host, connector, state, in_flight, connections })
    }

    /// Whether it has an open connection.
    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.lock(), State::Up(link) if link.is_open())
    }

    /// How many connections have been made to it: by that, one process is told from another that has taken its place.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many requests are under way.
    pub(super) fn under_way(&self) -> usize {
        self.connector.options.in_flight.max(1) - self.in_flight.available_permits()
    }

    /// Asks for one thing. `asking`: for a slot that is just moving here (`ASK`).
    pub(super) async fn ask(self: &Arc<Self>, command: &Cmd, asking: bool) -> Result<Value, Failure> {
        let (_permit, link) = self.connected().await?;
        let mut connection = link.connection.clone();
        let answer = if asking {
            let mut both = redis::pipe();
            both.add_command(cmd("ASKING")).add_command(command.clone());
            let answers = self.answered(&link, connection.send_packed_commands(&both, 1, 1)).await?;
            answers.into_iter().next().unwrap_or_default()
        } else {
            self.answered(&link, connection.send_packed_command(command)).await?
        };
        match answer {
            Value::ServerError(answer) => Err(Failure::Refused(answer)),
            value => Ok(value),
        }
    }

    /// Asks for several things at once; refusals stand among the answers.
    pub(super) async fn ask_all(self: &Arc<Self>, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        let (_permit, link) = self.connected().await?;
        self.answered(&link, link.connection.clone().send_packed_commands(commands, 0, commands.len())).await
    }

    async fn connected(self: &Arc<Self>) -> Result<(SemaphorePermit<'_>, Arc<Link>), Failure> {
        let permit = self.permit().await.map_err(Failure::Unreachable)?;
        let link = self.link().await.map_err(Failure::Unreachable)?;
        Ok((permit, link))
    }

    async fn answered<T>(&self, link: &Arc<Link>, answer: impl Future<Output = RedisResult<T>>) -> Result<T, Failure> {
        let limit = self.connector.options.answer;
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.discard(link, State::Idle);
                Err(Failure::Lost(of_connection(&error)))
            }
            Err(_) => {
                let text = format!("Redis at {} did not answer within {} s", self.host, limit.as_secs_f32());
                let error = StoreError::Unavailable(text);
                // Perhaps the connection leads nowhere any more.
                self.discard(link, State::Down { until: Instant::now(), failures: 1, error: error.clone() });
                Err(Failure::Silent(error))
            }
        }
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        match timeout(self.connector.options.answer, self.in_flight.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(StoreError::Unavailable(format!("Redis at {} has too much under way", self.host))),
        }
    }

    /// Has the next who asks make a new connection: this one's server is not what it was.
    pub(super) fn reconnect(&self) {
        let mut state = self.state.lock();
        if let State::Up(_) = &*state {
            *state = State::Idle;
        }
    }

    /// What comes in place of a connection, unless that is another one by now.
    fn discard(&self, link: &Arc<Link>, next: State) {
        let mut state = self.state.lock();
        if matches!(&*state, State::Up(present) if Arc::ptr_eq(present, link)) {
            *state = next;
        }
    }

    async fn link(self: &Arc<Self>) -> Result<Arc<Link>, StoreError> {
        // Twice, because a connection may break as soon as it is there.
        for _ in 0..2 {
            let (mut done, patience) = match self.look()? {
                Look::Up(link) => return Ok(link),
                Look::Wait(done, patience) => (done, patience),
            };
            if timeout(patience, done.changed()).await.is_err() {
                break;
            }
        }
        Err(StoreError::Unavailable(format!("Redis at {} is not reached", self.host)))
    }

    /// The connection, or the making of one, which begins unless it is too early.
    fn look(self: &Arc<Self>) -> Result<Look, StoreError> {
        let mut state = self.state.lock();
        let failures = match &*state {
            State::Up(link) if link.is_open() => return Ok(Look::Up(Arc::clone(link))),
            // A closed channel: it was given up in between.
            State::Connecting { done, failures } if done.has_changed().is_ok() => {
                return Ok(Look::Wait(done.clone(), self.patience(*failures)));
            }
            State::Down { until, error, .. } if Instant::now() < *until => return Err(error.clone()),
            State::Connecting { failures, .. } | State::Down { failures, .. } => *failures,
            State::Idle | State::Up(_) => 0,
        };
        let (decided, done) = watch::channel(());
        *state = State::Connecting { done: done.clone(), failures };
        let node = Arc::clone(self);
        // Of its own, so that it goes on when who asked has gone.
        tasks::once("connect", async move {
            let opened = node.connector.open(&node.host).await;
            node.settle(opened, failures);
            drop(decided);
        });
        Ok(Look::Wait(done, self.patience(failures)))
    }

    fn patience(&self, failures: u32) -> Duration {
        if failures == 0 { self.connector.options.connect + HOPE } else { HOPE }
    }

    fn settle(&self, opened: Result<Link, StoreError>, failures: u32) {
        let next = match opened {
            Ok(link) => {
                if failures > 0 {
                    tracing::info!(redis = %self.host, "Redis is back");
                }
                self.connections.fetch_add(1, Ordering::Relaxed);
                self.connector.opened.send_modify(|opened| *opened += 1);
                State::Up(Arc::new(link))
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(redis = %self.host, %error, "Redis is away");
                }
                let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
                // Half of it by chance, so that servers do not come back all at once.
                let spread = pause.as_millis() as u64 / 2;
                let pause = pause / 2 + Duration::from_millis(Rng::system().below(spread.max(1)));
                State::Down { until: Instant::now() + pause, failures: failures.saturating_add(1), error }
            }
        };
        *self.state.lock() = next;
    }
}

enum Look {
    Up(Arc<Link>),
    Wait(watch::Receiver<()>, Duration),
}
