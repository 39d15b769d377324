//! A verifier's watch over the log: how far it has heard, what it has heard, and its lease.
//!
//! The lease comes from a round trip, not from a heartbeat: it runs from when the question was sent, and only once
//! everything up to the answered head has been applied.

use std::time::Duration;

use super::{
    End, Entry, KeySet, Position,
    ended::{Ended, Full},
};
use crate::{
    clock::{Boot, Timestamp},
    ids::Kid,
};

/// What a log answers to 'what is new after this position?'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The head, read from SQL after the question arrived.
    pub head: Position,
    /// The store's time at that moment.
    pub time: Timestamp,
    /// Which keys the store held at that moment.
    pub keys: KeySet,
    /// Whether `entries` are everything that must be held (a snapshot) rather than what follows the asked position.
    pub snapshot: bool,
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

/// A verifier's watch.
#[derive(Clone, Debug)]
pub struct Vigil {
    position: Option<Position>,
    /// The last position there was; by it a snapshot of another log is told from one of the same.
    last: Option<Position>,
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
        Self { position: None, last: None, ended: Ended::new(capacity), asked: None, era: 0, full: false }
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

    /// Turns the era: no fact that was read before is believed.
    pub fn turn(&mut self) {
        self.era = self.era.wrapping_add(1);
    }

    /// Whether the lease is fresh: asked no longer than `max_lag` ago.
    #[inline]
    pub fn is_fresh(&self, now: Boot, max_lag: Duration) -> bool {
        !self.full && self.asked.is_some_and(|asked| now.since(asked) < max_lag && now >= asked)
    }

    /// When the question was sent that the lease is made of.
    pub fn asked(&self) -> Option<Boot> {
        self.asked
    }

    /// Takes in an answer to a question sent at `asked`, now by both clocks. On a [`Gap`] nothing has changed but the lease, which is lost;
    /// the next question must ask for a snapshot ([`Self::position`] is `None` then).
    pub fn hear(&mut self, asked: Boot, now: Timestamp, boot: Boot, answer: &Answer) -> Result<(), Gap> {
        self.ended.expire(boot);
        // It was overtaken by the answer to a later question, or to one of the same moment that says more: old news. Were the log
        // another one of a lower head, the answer to the next question would say so too.
        let behind =
            |last: Position| last.incarnation == answer.head.incarnation && answer.head.sequence < last.sequence;
        if self.asked.is_some_and(|last| asked < last || (asked == last && self.last.is_some_and(behind))) {
            return Ok(());
        }
        if answer.snapshot {
            let another = self
                .last
                .is_some_and(|p| p.incarnation != answer.head.incarnation || p.sequence > answer.head.sequence);
            if another {
                self.turn();
                self.ended.clear();
            }
            // Of the same log everything is kept: what this process has just written may be younger than the snapshot.
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
                self.asked = None;
                self.position = None;
                return Err(Gap);
            }
        }
        for entry in &answer.entries {
            if let Err(Full) = self.take(entry, now, boot) {
                return Ok(());
            }
        }
        self.position = Some(answer.head);
        self.last = self.position;
        self.asked = self.asked.max(Some(asked));
        Ok(())
    }

    /// Gives the lease up: what the last answer told of cannot be judged by.
    pub fn lose_lease(&mut self) {
        self.asked = None;
    }

    /// Takes one entry in ahead of the next question: this verifier's own process has just written it. The next answer
    /// brings it again, for only an answer says what else there is.
    pub fn hear_own(&mut self, now: Timestamp, boot: Boot, entry: &Entry) {
        // A full set has lost the lease by this; the next snapshot brings the entry.
        let _ = self.take(entry, now, boot);
    }

    /// A clock has leapt. Nobody knows how long ago anything was heard, or for how long a fact has been believed: lease and
    /// facts are lost, and what has ended is to be taken anew, beside what is held.
    pub fn distrust(&mut self) {
        self.asked = None;
        self.position = None;
        self.era = self.era.wrapping_add(1);
    }

    fn take(&mut self, entry: &Entry, now: Timestamp, boot: Boot) -> Result<(), Full> {
        self.ended.insert(entry, now, boot).inspect_err(|_| {
            self.full = true;
            self.asked = None;
            self.position = None;
        })
    }
}

/// What tells one watch from another: position, lease, era, fullness, and what it holds.
#[cfg(test)]
type Image = (Option<Position>, Option<Boot>, u32, bool, Vec<(Boot, End)>);

#[cfg(test)]
impl Vigil {
    /// For the model, which compares states.
    pub(crate) fn image(&self) -> Image {
        (self.position, self.asked, self.era, self.full, self.ended.image())
    }
}
