//! A verifier's watch over the log: how far it has heard, what it has heard, and its lease.
//!
//! The lease comes from a round trip, not from a heartbeat: it runs from when the question was sent, and only once
//! everything up to the answered head has been applied.

use std::time::Duration;

use super::{
    Entry, Position,
    ended::{Ended, Full},
};
use crate::clock::{Boot, Timestamp};

/// What a log answers to 'what is new after this position?'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The head, read from SQL after the question arrived.
    pub head: Position,
    /// Whether `entries` are everything that must be held (a snapshot) rather than what follows the asked position.
    pub snapshot: bool,
    /// In the order of the log.
    pub entries: Vec<Entry>,
}

/// The answer does not follow on what was known: ask for a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub struct Gap;

/// A verifier's watch.
#[derive(Clone, Debug)]
pub struct Vigil {
    position: Option<Position>,
    ended: Ended,
    /// When the last question was sent whose answer has been applied.
    asked: Option<Boot>,
    /// Facts of another era are not believed: it turns when the log is another one than before.
    era: u32,
    full: bool,
}

impl Vigil {
    /// A watch that has heard nothing yet.
    pub fn new(capacity: usize) -> Self {
        Self { position: None, ended: Ended::new(capacity), asked: None, era: 0, full: false }
    }

    /// How far it has heard; what the next question asks after.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// What has ended.
    #[inline]
    pub fn ended(&self) -> &Ended {
        &self.ended
    }

    /// The era of facts that may be believed.
    #[inline]
    pub fn era(&self) -> u32 {
        self.era
    }

    /// Whether the lease is fresh: asked no longer than `max_lag` ago.
    #[inline]
    pub fn is_fresh(&self, now: Boot, max_lag: Duration) -> bool {
        !self.full && self.asked.is_some_and(|asked| now.since(asked) < max_lag && now >= asked)
    }

    /// Takes in an answer to a question sent at `asked`. On a [`Gap`] nothing has changed but the lease, which is lost;
    /// the next question must ask for a snapshot ([`Self::position`] is `None` then).
    pub fn hear(&mut self, asked: Boot, now: Timestamp, answer: &Answer) -> Result<(), Gap> {
        self.ended.expire(now);
        if answer.snapshot {
            let continues = self
                .position
                .is_some_and(|p| p.incarnation == answer.head.incarnation && p.sequence <= answer.head.sequence);
            if !continues {
                self.era = self.era.wrapping_add(1);
                self.ended.clear();
            }
            self.full = false;
        } else {
            let follows = self.position.is_some_and(|p| {
                let first = answer.entries.first().map_or(answer.head.sequence + 1, |e| e.sequence);
                // Entries already heard may be repeated; none may be missing.
                p.incarnation == answer.head.incarnation
                    && p.sequence <= answer.head.sequence
                    && first <= p.sequence + 1
                    && answer.entries.last().map_or(p.sequence, |e| e.sequence.max(p.sequence)) == answer.head.sequence
            });
            if !follows {
                // An answer that was overtaken by a later one is old news, not a gap.
                let overtaken = self.position.is_some_and(|p| {
                    p.incarnation == answer.head.incarnation && self.asked.is_some_and(|last| asked < last)
                });
                if overtaken {
                    return Ok(());
                }
                self.asked = None;
                self.position = None;
                return Err(Gap);
            }
        }
        for entry in &answer.entries {
            if answer.snapshot || self.position.is_none_or(|p| entry.sequence > p.sequence) {
                if let Err(Full) = self.take(entry) {
                    return Ok(());
                }
            }
        }
        self.position = Some(answer.head);
        self.asked = self.asked.max(Some(asked));
        Ok(())
    }

    /// Takes one entry in ahead of the next question: this verifier's own process has just written it.
    pub fn hear_own(&mut self, entry: &Entry) {
        // A full set has lost the lease already; the next snapshot brings the entry.
        if self.take(entry).is_ok()
            && let Some(position) = &mut self.position
            && position.sequence + 1 == entry.sequence
        {
            position.sequence = entry.sequence;
        }
    }

    fn take(&mut self, entry: &Entry) -> Result<(), Full> {
        self.ended.insert(entry).inspect_err(|_| {
            self.full = true;
            self.asked = None;
            self.position = None;
        })
    }
}
