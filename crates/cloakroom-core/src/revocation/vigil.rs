//! A verifier's watch over the log: how far it has heard, what it has heard, and its lease.
//!
//! The lease comes from a round trip, not from a heartbeat: it runs from when the question was sent, and only once
//! everything up to the answered head has been applied. An answer that is long comes in pages, each to a question of its own.

use std::time::Duration;

use super::{End, Entry, KeySet, Position, Subject, ended::Ended};
use crate::{
    clock::{Boot, Timestamp},
    ids::Kid,
};

/// What a log is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    /// Everything that must be held: a snapshot.
    Ever,
    /// What follows a position; a snapshot, where that is of another log or further back than this one reaches.
    Line(Position),
    /// The next page of a snapshot of this head: of lines below `line`.
    Below {
        /// The head that the snapshot's first page told.
        head: Position,
        /// The lowest line that has come.
        line: u64,
    },
}

impl From<Option<Position>> for Since {
    fn from(position: Option<Position>) -> Self {
        position.map_or(Self::Ever, Self::Line)
    }
}

/// What a log answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The head, read from SQL after the question arrived; of a snapshot's later pages, the one that the first told.
    pub head: Position,
    /// The store's time at that moment.
    pub time: Timestamp,
    /// Which keys the store held at that moment.
    pub keys: KeySet,
    /// Whether `entries` are of what must be held (a snapshot) rather than what follows the asked position.
    pub snapshot: bool,
    /// `Some`: this is a page, and there is more: behind this line, or, in a snapshot, below it.
    pub rest: Option<u64>,
    /// How long each end must be held after it is heard, at least.
    pub hold: Duration,
    /// In the order of the log.
    pub entries: Vec<Entry>,
}

impl Answer {
    /// The keys that it tells to have been killed.
    pub fn killed_keys(&self) -> Vec<Kid> {
        let killed = self.entries.iter().filter_map(|entry| match entry.end {
            End::Key { kid } => Some(kid),
            _ => None,
        });
        killed.collect()
    }
}

/// The answer does not follow on what was known: ask for a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub struct Gap;

/// How much of what there is has been heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// All of it.
    All,
    /// A page; the [next question](Vigil::question) asks for more.
    Page,
}

/// What a verifier had heard when it began to read something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// When that was.
    pub at: Boot,
    /// The era of the log.
    pub era: u32,
    /// The last line that left a mark: what is read from here on knows of it.
    pub line: u64,
}

/// A verifier's watch.
#[derive(Clone, Debug)]
pub struct Vigil {
    position: Option<Position>,
    /// The last position there was; by it a snapshot of another log is told from one of the same.
    last: Option<Position>,
    /// A snapshot of which pages are still to come.
    pages: Option<Pages>,
    ended: Ended,
    /// When the last question was sent whose answer has been applied.
    asked: Option<Boot>,
    /// Facts of another era are not believed: it turns when the log is another one than before.
    era: u32,
}

/// A snapshot that has begun to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pages {
    head: Position,
    /// When its first page was asked for.
    asked: Boot,
    /// The lowest line that has come.
    line: u64,
}

impl Vigil {
    /// A watch that has heard nothing yet, holds at most `capacity` ends, and each for `hold`.
    pub fn new(capacity: usize, hold: Duration) -> Self {
        Self { position: None, last: None, pages: None, ended: Ended::new(capacity, hold), asked: None, era: 0 }
    }

    /// How far it has heard.
    pub const fn position(&self) -> Option<Position> {
        self.position
    }

    /// What the next question asks for.
    pub fn question(&self) -> Since {
        match (self.position, self.pages) {
            (Some(position), _) => Since::Line(position),
            (None, Some(Pages { head, line, .. })) => Since::Below { head, line },
            (None, None) => Since::Ever,
        }
    }

    /// What has ended.
    #[inline]
    pub const fn ended(&self) -> &Ended {
        &self.ended
    }

    /// The era of facts that may be believed.
    #[inline]
    pub const fn era(&self) -> u32 {
        self.era
    }

    /// Turns the era: no fact that was read before is believed.
    pub fn turn(&mut self) {
        self.era = self.era.wrapping_add(1);
    }

    /// What is known to whoever begins to read now.
    #[inline]
    pub const fn reading(&self, at: Boot) -> Reading {
        Reading { at, era: self.era, line: self.ended.latest_mark() }
    }

    /// Whether a credential must be asked about that was asked about last when the line `asked` had been heard: there may
    /// have been an end of it since, which this watch had no room for.
    #[inline]
    pub fn is_marked(&self, subject: &Subject<'_>, asked: u64, now: Boot) -> bool {
        self.ended.mark(subject, now) > asked
    }

    /// Whether the lease is fresh: asked no longer than `max_lag` ago.
    #[inline]
    pub fn is_fresh(&self, now: Boot, max_lag: Duration) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) < max_lag && now >= asked)
    }

    /// When the question was sent that the lease is made of.
    pub const fn asked(&self) -> Option<Boot> {
        self.asked
    }

    /// Takes in an answer to a question sent at `asked`. On a [`Gap`] nothing has changed but the lease, which is lost; the
    /// next [question](Self::question) asks for a snapshot.
    pub fn hear(&mut self, asked: Boot, now: Boot, answer: &Answer) -> Result<Heard, Gap> {
        self.ended.expire(now);
        // It was overtaken by the answer to a later question, or to one of the same moment that says more: old news. Were the log
        // another one of a lower head, the answer to the next question would say so too.
        let behind =
            |last: Position| last.incarnation == answer.head.incarnation && answer.head.sequence < last.sequence;
        if self.asked.is_some_and(|last| asked < last || (asked == last && self.last.is_some_and(behind))) {
            return Ok(Heard::All);
        }
        self.ended.hold_for(answer.hold);
        if answer.snapshot {
            return Ok(self.hear_snapshot(asked, now, answer));
        }
        let to = answer.rest.unwrap_or(answer.head.sequence);
        let follows = self.position.is_some_and(|p| {
            let first = answer.entries.first().map_or(to + 1, |e| e.sequence);
            // Entries already heard may be repeated; none may be missing.
            p.incarnation == answer.head.incarnation
                && p.sequence <= to
                && first <= p.sequence + 1
                && answer.entries.last().map_or(p.sequence, |e| e.sequence.max(p.sequence)) == to
        });
        if !follows {
            self.start_over();
            return Err(Gap);
        }
        self.take_all(answer, now);
        self.position = Some(Position { sequence: to, ..answer.head });
        self.last = self.position;
        if answer.rest.is_some() {
            return Ok(Heard::Page);
        }
        self.asked = self.asked.max(Some(asked));
        Ok(Heard::All)
    }

    /// Gives the lease up: what the last answer told of cannot be judged by.
    pub fn lose_lease(&mut self) {
        self.asked = None;
    }

    /// Takes one entry in ahead of the next question: this verifier's own process has just written it. The next answer
    /// brings it again, for only an answer says what else there is.
    pub fn hear_own(&mut self, now: Boot, entry: &Entry) {
        self.ended.insert(entry.sequence, &entry.end, now);
    }

    /// A clock has leapt. Nobody knows how long ago anything was heard, or for how long a fact has been believed: lease and
    /// facts are lost, and what has ended is to be taken anew, beside what is held.
    pub fn distrust(&mut self) {
        self.start_over();
        self.turn();
    }

    /// Everything is taken anew, by a snapshot; there is no lease until that has come.
    fn start_over(&mut self) {
        (self.asked, self.position, self.pages) = (None, None, None);
    }

    fn hear_snapshot(&mut self, asked: Boot, now: Boot, answer: &Answer) -> Heard {
        let begun = self.pages.filter(|pages| pages.head == answer.head).map(|pages| pages.asked);
        if begun.is_none() {
            let another = self
                .last
                .is_some_and(|p| p.incarnation != answer.head.incarnation || p.sequence > answer.head.sequence);
            if another {
                self.turn();
                self.ended.clear();
                self.asked = None;
            }
            self.last = Some(answer.head);
        }
        // Of the same log everything is kept: what this process has just written may be younger than the snapshot.
        self.take_all(answer, now);
        let asked = begun.unwrap_or(asked);
        if let Some(line) = answer.rest {
            (self.position, self.pages) = (None, Some(Pages { head: answer.head, asked, line }));
            return Heard::Page;
        }
        (self.position, self.pages) = (Some(answer.head), None);
        self.asked = self.asked.max(Some(asked));
        Heard::All
    }

    fn take_all(&mut self, answer: &Answer, now: Boot) {
        for entry in &answer.entries {
            self.ended.insert(entry.sequence, &entry.end, now);
        }
    }
}

/// What tells one watch from another: position, lease, era, what it holds and what it has marked.
#[cfg(test)]
type Image = (Option<Position>, Option<Boot>, u32, Vec<(u32, End)>, Vec<(u16, u64, Boot)>);

#[cfg(test)]
impl Vigil {
    /// For the model, which compares states.
    pub(crate) fn image(&self) -> Image {
        (self.position, self.asked, self.era, self.ended.image(), self.ended.marks_image())
    }
}
