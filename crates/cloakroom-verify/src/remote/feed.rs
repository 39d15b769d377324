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
/// The most pages of a snapshot that wait for that; the rest waits at the server.
const MAX_PAGES: usize = 4;
/// A connection is given so long before another one takes its place because it brings nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long opening one may take before the task counts as standing still.
const OPENING: Duration = Duration::from_secs(60);
/// The server says something every 15 s; after this long a connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(40);
/// How long to wait after a failure: at first, and at most; half of it is chance.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
const PATH: &str = "/v1/revocations?pages=1";

/// What has been heard of the log.
pub(super) struct Feed {
    heard: Mutex<Heard>,
    /// How far anything has been heard, also while all of it is fetched anew.
    at: watch::Sender<Option<Position>>,
    /// Changes with each event.
    beat: watch::Sender<()>,
    calls: Arc<Calls>,
}

/// What the connection is told.
#[derive(Default)]
struct Calls {
    /// The verifier needs everything anew.
    anew: Notify,
    /// There is more in the log than comes.
    stalled: Notify,
    /// The verifier has taken something.
    taken: Notify,
}

#[derive(Default)]
struct Heard {
    /// Everything up to a position, until the verifier has taken it.
    snapshot: Option<Snapshot>,
    /// What came after it, or after what the verifier has.
    lines: VecDeque<Line>,
    at: Option<Position>,
    /// For how long it is to be held.
    hold: Duration,
}

/// A snapshot as it comes: its pages wait for the verifier, and the next ones at the server while these are many.
struct Snapshot {
    head: Position,
    pages: VecDeque<Vec<End>>,
    /// Whether the last of them is here.
    whole: bool,
}

/// A line's place, what ended, and when it was written, if that is known.
pub(super) type Line = (u64, End, Option<Timestamp>);

/// What a verifier is given.
pub(super) enum Page {
    /// A page of a snapshot of that head.
    Snapshot(Position, Vec<End>),
    /// What followed what it has, up to that position.
    Lines(Position, Vec<Line>),
}

/// What there is for whoever asks.
enum Found {
    Page(Page),
    NotYet,
    /// It cannot come: what is here begins behind it.
    Lost,
}

/// What a verifier asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// What follows a position.
    After(Position),
    /// The next page of a snapshot of that head, or what followed it when it has all of them; of any head: `None`.
    Page(Option<Position>),
}

impl Feed {
    /// Begins to follow; until it is dropped.
    pub(super) fn start(link: Arc<Link>) -> Arc<Self> {
        let calls = Arc::new(Calls::default());
        let feed = Arc::new(Self {
            heard: Mutex::default(),
            at: watch::Sender::new(None),
            beat: watch::Sender::new(()),
            calls: Arc::clone(&calls),
        });
        let weak = Arc::downgrade(&feed);
        let life = move |pulse| follow(Weak::clone(&weak), Arc::clone(&link), Arc::clone(&calls), pulse);
        tasks::keep("feed", OPENING, life).detach();
        feed
    }

    /// How far has been heard.
    pub(super) fn position(&self) -> watch::Receiver<Option<Position>> {
        self.at.subscribe()
    }

    /// Changes with each event.
    pub(super) fn beat(&self) -> watch::Receiver<()> {
        self.beat.subscribe()
    }

    /// The head of the log has been told, and what leads up to it does not come: whoever is at the other end may stand still, or
    /// be gone without a word, while others behind the same address answer.
    pub(super) fn stalls(&self) {
        self.calls.stalled.notify_one();
    }

    /// What is wanted, if it is here and, where lines end it, reaches that head. What cannot come any more is fetched anew, as a
    /// snapshot.
    pub(super) fn take(&self, wanted: Wanted, head: Position) -> Option<Page> {
        let mut heard = self.heard.lock();
        let found = heard.take(wanted, head);
        if let Found::Lost = found {
            *heard = Heard::default();
            self.calls.anew.notify_one();
        }
        drop(heard);
        self.calls.taken.notify_one();
        if let Found::Page(page) = found { Some(page) } else { None }
    }

    /// For how long what it tells is to be held.
    pub(super) fn hold(&self) -> Duration {
        self.heard.lock().hold
    }

    fn hear(&self, event: Event, hold: Duration) -> Result<(), FetchError> {
        let mut heard = self.heard.lock();
        let at = match heard.hear(event, hold) {
            Ok(at) => at,
            Err(error) => {
                *heard = Heard::default();
                return Err(error);
            }
        };
        drop(heard);
        if at.is_some() {
            self.at.send_replace(at);
        }
        self.beat.send_replace(());
        Ok(())
    }

    /// Whether as much waits for the verifier as may.
    fn is_full(&self) -> bool {
        self.heard.lock().snapshot.as_ref().is_some_and(|snapshot| snapshot.pages.len() >= MAX_PAGES)
    }

    fn last(&self) -> Option<Position> {
        self.heard.lock().at
    }

    fn forget(&self) {
        *self.heard.lock() = Heard::default();
    }
}

impl Heard {
    fn take(&mut self, wanted: Wanted, head: Position) -> Found {
        if let Wanted::After(after) = wanted
            && self.follows(after)
        {
            // What a snapshot had is known: this asks for what came after it.
            self.snapshot = None;
            return self.lines_after(after, head);
        }
        let Some(of_snapshot) = &mut self.snapshot else {
            // No snapshot is coming, unless nothing has come at all yet.
            return if self.at.is_some() { Found::Lost } else { Found::NotYet };
        };
        match of_snapshot.pages.pop_front() {
            Some(page) => Found::Page(Page::Snapshot(of_snapshot.head, page)),
            None if !of_snapshot.whole => Found::NotYet,
            None if wanted == Wanted::Page(Some(of_snapshot.head)) => {
                let after = of_snapshot.head;
                self.lines_after(after, head)
            }
            // It was given, and whoever took it has forgotten it.
            None => Found::Lost,
        }
    }

    fn follows(&self, after: Position) -> bool {
        let Some(at) = self.at else { return false };
        let first = self.lines.front().map_or(at.sequence + 1, |(sequence, ..)| *sequence);
        after.incarnation == at.incarnation && first <= after.sequence + 1 && after.sequence <= at.sequence
    }

    fn lines_after(&mut self, after: Position, head: Position) -> Found {
        let reaches = |at: &Position| at.incarnation == head.incarnation && at.sequence >= head.sequence;
        let Some(at) = self.at.filter(reaches) else { return Found::NotYet };
        while self.lines.front().is_some_and(|(sequence, ..)| *sequence <= after.sequence) {
            self.lines.pop_front();
        }
        Found::Page(Page::Lines(at, self.lines.iter().cloned().collect()))
    }

    /// Takes an event in; how far has been heard then.
    fn hear(&mut self, event: Event, hold: Duration) -> Result<Option<Position>, FetchError> {
        self.hold = self.hold.max(hold);
        match event {
            Event::Page(head, ends) => {
                self.page(head).push_back(ends);
            }
            Event::Snapshot(head, ends) => {
                self.page(head).push_back(ends);
                self.at = Some(head);
                if let Some(snapshot) = &mut self.snapshot {
                    snapshot.whole = true;
                }
            }
            Event::End(at, end, written) => {
                let next =
                    self.at.is_some_and(|last| last.incarnation == at.incarnation && last.sequence + 1 == at.sequence);
                if !next || self.lines.len() >= MAX_WAITING {
                    return Err(FetchError::Strange);
                }
                self.lines.push_back((at.sequence, end, written));
                self.at = Some(at);
            }
        }
        Ok(self.at)
    }

    /// The pages of a snapshot of that head, which begins if it is another one than what comes now.
    fn page(&mut self, head: Position) -> &mut VecDeque<Vec<End>> {
        if self.snapshot.as_ref().is_some_and(|coming| coming.whole || coming.head != head) {
            self.snapshot = None;
        }
        if self.snapshot.is_none() {
            (self.at, self.lines) = (None, VecDeque::new());
        }
        &mut self.snapshot.get_or_insert_with(|| Snapshot { head, pages: VecDeque::new(), whole: false }).pages
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
        let held = feed.upgrade()?;
        let taken = reader.read(&bytes).map_err(|Strange| FetchError::Strange);
        let hold = reader.hold();
        let taken = taken.and_then(|events| events.into_iter().try_for_each(|event| held.hear(event, hold)));
        if let Err(error) = taken {
            held.forget();
            return Some(error);
        }
        let mut is_full = held.is_full();
        drop(held);
        while is_full {
            // Who takes nothing any more may also be gone.
            let _ = tokio::time::timeout(SILENCE, calls.taken.notified()).await;
            is_full = feed.upgrade()?.is_full();
        }
    }
}
