//! Following the revocation feed: one connection that is made again when it breaks, and what it has brought so far.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use cloakroom_core::{
    clock::Timestamp,
    random::Rng,
    revocation::{End, Position},
    tasks::{self, Over, Pulse},
};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::event::{Event, Reader, Strange};
use crate::link::{FetchError, Link};

/// The most lines that wait for the verifier to take them; beyond it all of them are had again as a snapshot.
const MAX_WAITING: usize = 200_000;
/// A connection is given so long before another one takes its place because it brings nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long opening one may take before the task counts as standing still.
const OPENING: Duration = Duration::from_secs(60);
/// The server says something every 15 s; after this long a connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(40);
/// How long to wait after a failure: at first, and at most; half of it is chance.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
const PATH: &str = "/v1/revocations";

/// What has been heard of the log.
pub(super) struct Feed {
    heard: Mutex<Heard>,
    /// How far that is; changes with each event.
    at: watch::Sender<Option<Position>>,
    calls: Arc<Calls>,
}

/// What the connection is told.
#[derive(Default)]
struct Calls {
    /// The verifier needs everything anew.
    anew: Notify,
    /// There is more in the log than comes.
    stalled: Notify,
}

#[derive(Default)]
struct Heard {
    /// Everything up to a position, until the verifier has taken it.
    snapshot: Option<(Position, Vec<End>)>,
    /// What came after it, or after what the verifier has.
    lines: VecDeque<Line>,
    at: Option<Position>,
}

/// A line's place, what ended, and when it was written, if that is known.
pub(super) type Line = (u64, End, Option<Timestamp>);

/// What a verifier is given.
pub(super) struct Page {
    pub(super) head: Position,
    pub(super) snapshot: bool,
    pub(super) ends: Vec<Line>,
}

impl Feed {
    /// Begins to follow; until it is dropped.
    pub(super) fn start(link: Arc<Link>) -> Arc<Self> {
        let calls = Arc::new(Calls::default());
        let feed = Arc::new(Self { heard: Mutex::default(), at: watch::Sender::new(None), calls: Arc::clone(&calls) });
        let weak = Arc::downgrade(&feed);
        let life = move |pulse| follow(Weak::clone(&weak), Arc::clone(&link), Arc::clone(&calls), pulse);
        tasks::keep("feed", OPENING, life).detach();
        feed
    }

    /// How far has been heard.
    pub(super) fn position(&self) -> watch::Receiver<Option<Position>> {
        self.at.subscribe()
    }

    /// Waits until everything up to this head has been heard.
    pub(super) async fn reach(&self, head: Position) {
        let mut at = self.at.subscribe();
        let reached = |at: &Option<Position>| {
            at.is_some_and(|at| at.incarnation == head.incarnation && at.sequence >= head.sequence)
        };
        // The sender is this feed's own and lives as long.
        let _ = at.wait_for(reached).await;
    }

    /// The head of the log has been told, and what leads up to it does not come: whoever is at the other end may stand still, or
    /// be gone without a word, while others behind the same address answer.
    pub(super) fn stalls(&self) {
        self.calls.stalled.notify_one();
    }

    /// What follows `after`, or everything; `None`: that must be fetched first, which has begun.
    pub(super) fn since(&self, after: Option<Position>) -> Option<Page> {
        let mut heard = self.heard.lock();
        let head = heard.at?;
        let follows = after.filter(|after| {
            let first = heard.lines.front().map_or(head.sequence + 1, |(sequence, ..)| *sequence);
            after.incarnation == head.incarnation && first <= after.sequence + 1 && after.sequence <= head.sequence
        });
        if let Some(after) = follows {
            heard.snapshot = None;
            while heard.lines.front().is_some_and(|(sequence, ..)| *sequence <= after.sequence) {
                heard.lines.pop_front();
            }
            let ends = heard.lines.iter().cloned().collect();
            return Some(Page { head, snapshot: false, ends });
        }
        if let Some((at, ends)) = &heard.snapshot {
            let of_snapshot = ends.iter().map(|end| (at.sequence, end.clone(), None));
            let ends = of_snapshot.chain(heard.lines.iter().cloned()).collect();
            return Some(Page { head, snapshot: true, ends });
        }
        drop(heard);
        self.calls.anew.notify_one();
        None
    }

    fn take(&self, event: Event) -> Result<(), FetchError> {
        let mut heard = self.heard.lock();
        let at = match event {
            Event::Snapshot(at, ends) => {
                *heard = Heard { snapshot: Some((at, ends)), lines: VecDeque::new(), at: Some(at) };
                at
            }
            Event::End(at, end, written) => {
                let next =
                    heard.at.is_some_and(|last| last.incarnation == at.incarnation && last.sequence + 1 == at.sequence);
                if !next || heard.lines.len() >= MAX_WAITING {
                    *heard = Heard::default();
                    return Err(FetchError::Strange);
                }
                heard.lines.push_back((at.sequence, end, written));
                heard.at = Some(at);
                at
            }
        };
        drop(heard);
        self.at.send_replace(Some(at));
        Ok(())
    }

    fn last(&self) -> Option<Position> {
        self.heard.lock().at
    }

    fn forget(&self) {
        *self.heard.lock() = Heard::default();
    }
}

impl Calls {
    /// Until a connection that began then has brought nothing for long enough.
    async fn give_up(&self, began: Instant) {
        loop {
            self.stalled.notified().await;
            if began.elapsed() >= PATIENCE {
                return;
            }
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // The task finds nobody there any more, and ends.
        self.calls.anew.notify_one();
    }
}

async fn follow(feed: Weak<Feed>, link: Arc<Link>, calls: Arc<Calls>, pulse: Pulse) -> Over {
    let mut back_off = BACK_OFF.0;
    loop {
        let began = Instant::now();
        let Some(error) = stream(&feed, &link, &calls, began, &pulse).await else { return Over };
        if began.elapsed() > BACK_OFF.1 {
            back_off = BACK_OFF.0;
        }
        tracing::warn!(url = %link.address(PATH), %error, "the revocation feed broke off; it is taken up again");
        let chance = u32::from(Rng::system().bytes::<1>()[0]);
        tokio::time::sleep(back_off / 2 + back_off * chance / 512).await;
        back_off = (back_off * 2).min(BACK_OFF.1);
    }
}

/// One connection, to its end; `None`: nobody wants to hear any more.
async fn stream(feed: &Weak<Feed>, link: &Link, calls: &Calls, began: Instant, pulse: &Pulse) -> Option<FetchError> {
    let last = feed.upgrade()?.last().map(|position| position.to_string());
    let opening = async {
        tokio::select! {
            opened = link.open(PATH, last.as_deref()) => opened,
            () = calls.give_up(began) => Err(FetchError::Slow),
        }
    };
    let opened = pulse.round(opening).await;
    let mut body = match opened {
        Ok(body) => body,
        Err(error) => return Some(error),
    };
    let mut reader = Reader::default();
    loop {
        // Nothing is held while it waits: a feed that is dropped ends.
        let frame = tokio::select! {
            frame = tokio::time::timeout(SILENCE, body.frame()) => frame,
            () = calls.anew.notified() => {
                feed.upgrade()?.forget();
                return Some(FetchError::Gap);
            }
            () = calls.give_up(began) => return Some(FetchError::Slow),
        };
        let bytes = match frame {
            Err(_) => return Some(FetchError::Slow),
            Ok(None) => return Some(FetchError::Body("the feed has ended".into())),
            Ok(Some(Err(error))) => return Some(FetchError::Body(error.into())),
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        };
        let feed = feed.upgrade()?;
        let taken = reader
            .read(&bytes)
            .map_err(|Strange| FetchError::Strange)
            .and_then(|events| events.into_iter().try_for_each(|event| feed.take(event)));
        if let Err(error) = taken {
            feed.forget();
            return Some(error);
        }
    }
}
