//! What a store makes of the lines that it has read: an answer, or a page of one.
//!
//! A snapshot is read from its newest line down, page by page, until a whole page has ended too long ago: lines come in
//! nearly the order of their moments, and no index is needed.

use super::{Answer, Entry, KeySet, Position, Since, VERIFIERS_HOLD};
use crate::clock::Timestamp;

/// How many lines are a page: as text less than 1 MiB.
pub const PAGE: usize = 8192;

/// The head of a log, as a store read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its position.
    pub position: Position,
    /// The store's time.
    pub time: Timestamp,
    /// Which keys the store held.
    pub keys: KeySet,
}

/// The part of a log that a page of a snapshot was read from: how many lines that was, and the lowest of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// How many; fewer than [`PAGE`] where the log begins.
    pub lines: usize,
    /// The lowest; 0 of none.
    pub lowest: u64,
}

impl Answer {
    /// What follows a position: at most [`PAGE`] lines of it, in order.
    pub fn following(head: Head, entries: Vec<Entry>) -> Self {
        let last = entries.last().map(|entry| entry.sequence);
        let rest = last.filter(|last| entries.len() >= PAGE && *last < head.position.sequence);
        Self::of(head, Kind::News, rest, entries)
    }

    /// A page of the snapshot of a head: the lines of `extent` that ended since [`reach`], in order.
    pub fn snapshot(head: Head, extent: Extent, entries: Vec<Entry>) -> Self {
        let rest = (extent.lines >= PAGE && !entries.is_empty()).then_some(extent.lowest);
        Self::of(head, Kind::Snapshot, rest, entries)
    }

    /// How far whoever has taken this in has heard; of a page of a snapshot, when its other pages have come too.
    pub fn reached(&self) -> Position {
        match self.rest {
            Some(line) if !self.snapshot => Position { sequence: line, ..self.head },
            _ => self.head,
        }
    }

    /// What asks for the rest, where this is a page.
    pub fn next(&self) -> Option<Since> {
        let line = self.rest?;
        Some(if self.snapshot { Since::Below { head: self.head, line } } else { Since::Line(self.reached()) })
    }

    fn of(head: Head, kind: Kind, rest: Option<u64>, entries: Vec<Entry>) -> Self {
        let Head { position, time, keys } = head;
        Self { head: position, time, keys, snapshot: kind == Kind::Snapshot, rest, hold: VERIFIERS_HOLD, entries }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    News,
    Snapshot,
}

/// What ended before this moment is in no snapshot that is taken now: everybody who could accept it has heard of it, or
/// begins now and can accept nothing so old.
pub fn reach(now: Timestamp) -> Timestamp {
    now - VERIFIERS_HOLD
}
