//! What the account port is asked and answers about exchanges: a session ends, and another takes its place, in one line of the
//! revocation log.

use std::time::Duration;

use super::Acting;
use crate::{
    revocation::{Entry, Hold},
    session::Succession,
};

/// An exchange, with what it goes by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// The session that ends, as it was read: it must still stand so.
    pub old: Acting,
    /// What takes its place.
    pub succession: Succession,
    /// How long the line is kept: as long as either of the two can live.
    pub hold: Hold,
    /// Where the records of sessions are.
    pub records: Records,
}

/// Where the records of sessions are, as the account store sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Records {
    /// In its own database: the line, the end of the old record and the new record are one transaction.
    Here,
    /// In another store, which is written after the line.
    Elsewhere,
}

/// What became of an [`Exchange`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Exchanged {
    /// The old session has ended, and this line says so.
    Done(Entry),
    /// The session had been exchanged before, for the same successor.
    Before(PastExchange),
    /// The old session had ended otherwise.
    Ended,
    /// The account or the app is not as it was read.
    Changed,
}

/// An exchange that the log remembers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastExchange {
    /// What took the old session's place.
    pub succession: Succession,
    /// How long ago, by the store's clock.
    pub age: Duration,
    /// Whether the log holds an end of the successor.
    pub ended: bool,
}
