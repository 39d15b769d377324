//! The revocation feed of this server: one reading of the log for all who follow it.
//!
//! While somebody follows, one task reads what is new in the log and keeps the last of it as text. Each reader has no more
//! than its place in that: what it is sent is shared with the others, and who is so far behind that its next line is gone
//! is dropped; it comes back with its place and is given what it missed from the log itself.

mod lines;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use cloakroom_core::{
    engine::Engine,
    refusal::{Reason, Refusal},
    revocation::{Position, Since},
    store::Service,
    tasks::{self, Over, Pulse},
};
use parking_lot::RwLock;
use tokio::{
    sync::{Mutex, Semaphore, watch},
    time::{Instant, MissedTickBehavior},
};

pub(crate) use self::lines::SnapshotForm;
use self::lines::{Found, Lines, Snapshot};

/// How often the log is asked when nothing is heard: also the longest that the stream of a removed service lives on.
const POLL: Duration = Duration::from_secs(1);
/// How long one reading may take before the task counts as standing still.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is sent, so that a dead connection is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How many who come, or come back, read the log at once.
const CATCHING_UP: usize = 4;

/// What all readers share.
pub(crate) struct Feed {
    engine: Arc<Engine>,
    board: RwLock<Board>,
    /// One at a time begins to follow the log.
    beginning: Mutex<()>,
    catching_up: Semaphore,
    /// Changes when there is something on the board to look at; at least once each [`POLL`].
    beat: watch::Sender<()>,
    dropped: AtomicU64,
}

struct Board {
    readers: usize,
    /// Whether the log is being followed.
    follows: bool,
    stopped: bool,
    lines: Lines,
    services: Arc<HashMap<String, Service>>,
}

impl Feed {
    /// Nobody follows it yet.
    pub(crate) fn new(engine: Arc<Engine>) -> Arc<Self> {
        Arc::new(Self {
            engine,
            board: RwLock::new(Board {
                readers: 0,
                follows: false,
                stopped: false,
                lines: Lines::default(),
                services: Arc::default(),
            }),
            beginning: Mutex::new(()),
            catching_up: Semaphore::new(CATCHING_UP),
            beat: watch::Sender::new(()),
            dropped: AtomicU64::new(0),
        })
    }

    /// Begins to follow for a service that has authenticated, behind a place where that is known.
    ///
    /// # Errors
    /// `store_unavailable` where the log cannot be read.
    pub(crate) async fn follow(
        self: &Arc<Self>,
        service: Service,
        after: Option<Position>,
        form: SnapshotForm,
    ) -> Result<Reader, Refusal> {
        self.board.write().readers += 1;
        // From here on it is counted, and leaves when it is dropped.
        let beat = self.beat.subscribe();
        let mut reader = Reader {
            feed: Arc::clone(self),
            service,
            beat,
            at: after,
            sent: Instant::now(),
            snapshot: Snapshot::new(form),
            missed: None,
            first: None,
        };
        self.begin().await?;
        if !after.is_some_and(|after| self.board.read().lines.reach(after)) {
            reader.first = Some(reader.catch_up(after.into()).await?);
        }
        Ok(reader)
    }

    /// How many follow it.
    pub(crate) fn readers(&self) -> usize {
        self.board.read().readers
    }

    /// How many were dropped because they did not keep up.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// An open feed would hold up the end of the server; its readers resume elsewhere.
    pub(crate) fn stop(&self) {
        self.board.write().stopped = true;
        self.beat.send_replace(());
    }

    /// Sees to it that the log is followed.
    async fn begin(self: &Arc<Self>) -> Result<(), Refusal> {
        let _one = self.beginning.lock().await;
        if self.board.read().follows {
            return Ok(());
        }
        // Before the head is read: what comes behind it is heard.
        let changes = self.engine.log_changes();
        let head = self.engine.log_head().await?;
        let services = self.services().await?;
        let mut board = self.board.write();
        board.lines.begin(head);
        board.services = services;
        board.follows = true;
        let feed = Arc::clone(self);
        tasks::keep("feed", PATIENCE, move |pulse| Arc::clone(&feed).run(changes.clone(), pulse)).detach();
        Ok(())
    }

    /// Follows the log for as long as anybody follows it here.
    async fn run(self: Arc<Self>, mut changes: watch::Receiver<u64>, pulse: Pulse) -> Over {
        let mut polls = tokio::time::interval_at(Instant::now() + POLL, POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A lost wake-up costs one poll; a closed channel is the end of the server.
            let polled = tokio::select! {
                _ = polls.tick() => true,
                changed = changes.changed() => {
                    if changed.is_err() {
                        self.stop();
                    }
                    false
                }
            };
            {
                let mut board = self.board.write();
                if board.readers == 0 || board.stopped {
                    board.follows = false;
                    return Over;
                }
            }
            // Who follows waits while the log cannot be read; nobody has a lease then in any case.
            if let Err(refusal) = pulse.round(self.read_on(polled)).await {
                tracing::warn!(
                    reason = refusal.reason.as_str(),
                    "the revocation feed stands still: the log does not answer"
                );
                tokio::time::sleep(POLL).await;
            }
            self.beat.send_replace(());
        }
    }

    /// Reads what is new in the log; at a poll, also who may hear it.
    async fn read_on(&self, polled: bool) -> Result<(), Refusal> {
        let services = if polled { Some(self.services().await?) } else { None };
        if let Some(services) = services {
            self.board.write().services = services;
        }
        loop {
            let at = self.board.read().lines.head();
            let answer = self.engine.ended_since(at.into()).await?;
            let text = lines::batch(&answer);
            self.board.write().lines.take(&answer, text);
            // Of a snapshot the head is enough: who follows here has lost its place, and comes anew.
            if answer.snapshot || answer.rest.is_none() {
                return Ok(());
            }
            self.beat.send_replace(());
        }
    }

    async fn services(&self) -> Result<Arc<HashMap<String, Service>>, Refusal> {
        let services = self.engine.services().await?;
        Ok(Arc::new(services.iter().map(|service| (service.id.clone(), service.clone())).collect()))
    }
}

/// One who follows, and its place in the log.
pub(crate) struct Reader {
    feed: Arc<Feed>,
    service: Service,
    beat: watch::Receiver<()>,
    at: Option<Position>,
    /// When it was sent something last.
    sent: Instant,
    snapshot: Snapshot,
    /// What is to be read of the log itself before it hears what the others do.
    missed: Option<Since>,
    /// The first of that.
    first: Option<Bytes>,
}

/// What there is for a reader.
enum Next {
    Send(Bytes),
    Wait,
    End,
}

impl Reader {
    /// What is next, as text of server-sent events; `None`: the stream ends. It may come back with its place.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Some(first);
        }
        if let Some(missed) = self.missed.take() {
            return if self.may_follow() { self.catch_up(missed).await.ok() } else { None };
        }
        loop {
            self.beat.mark_unchanged();
            match self.look() {
                Next::Send(text) => {
                    self.sent = Instant::now();
                    return Some(text);
                }
                Next::End => return None,
                Next::Wait => self.beat.changed().await.ok()?,
            }
        }
    }

    /// A page of what it missed, from the log itself: no more of it is in memory than what it has yet to take.
    async fn catch_up(&mut self, since: Since) -> Result<Bytes, Refusal> {
        let feed = Arc::clone(&self.feed);
        let _place = feed.catching_up.acquire().await.map_err(|_| Refusal::from(Reason::StoreDown))?;
        let answer = feed.engine.ended_since(since).await?;
        if matches!(since, Since::Below { head, .. } if head != answer.head) {
            // Another log took this one's place in the middle of the snapshot.
            return Err(Reason::StoreDown.into());
        }
        self.missed = answer.next();
        self.at = Some(answer.reached());
        self.sent = Instant::now();
        Ok(if answer.snapshot { self.snapshot.page(&answer) } else { lines::batch(&answer).text() })
    }

    /// The feed of a removed service ends (F063).
    fn may_follow(&self) -> bool {
        let board = self.feed.board.read();
        !board.stopped && board.services.get(&self.service.id) == Some(&self.service)
    }

    fn look(&mut self) -> Next {
        if !self.may_follow() {
            return Next::End;
        }
        let board = self.feed.board.read();
        let Some(at) = self.at else { return Next::End };
        match board.lines.after(at) {
            Found::Text(text, head) => {
                self.at = Some(head);
                Next::Send(text)
            }
            Found::Nothing if self.sent.elapsed() >= KEEP_ALIVE => Next::Send(Bytes::from_static(b": still here\n\n")),
            Found::Nothing => Next::Wait,
            Found::Gone => {
                self.feed.dropped.fetch_add(1, Ordering::Relaxed);
                Next::End
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.feed.board.write().readers -= 1;
    }
}
