//! Revocation: what has ended, how verifiers hear of it, and how they know that they have heard.
//!
//! The log stands in SQL beside the accounts ([`crate::store::AccountStore::end`]). A verifier keeps the recent part as an
//! [`Ended`] set inside its [`Vigil`], which also holds the lease. All transitions here are pure; the model and the
//! verifier run the same ones.

mod ended;
mod lineage;
mod marks;
mod pages;
mod recent;
mod vigil;

use std::{fmt, time::Duration};

use serde::Serialize;

use marks::Marks;

pub use ended::{Ended, Subject, Verdict};
pub use lineage::Lineage;
pub use pages::{Extent, Head, PAGE, reach};
pub use vigil::{Answer, Gap, Heard, Reading, Since, Vigil};

use crate::{
    app::LONGEST_SESSION,
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    method::Method,
};

/// The longest that a fact may be believed after its reading began.
pub const FACT_LIFE: Duration = Duration::from_secs(300);
/// Leeway on `exp` between clocks.
pub const EXP_LEEWAY: Duration = Duration::from_secs(5);
/// The longest that a request may run.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// How long a verifier holds an end after it has heard it, by the clock that nobody sets: an access token lives for an hour at
/// most, and the rest is for leeways, for requests that run and for clocks that differ. Neither the configuration nor the
/// clock of the server that wrote the end has a say in it.
pub const VERIFIERS_HOLD: Duration = Duration::from_secs(65 * 60);
/// The log holds every end for at least this long.
pub const LOG_LIFE: Duration = Duration::from_secs(24 * 3600);

/// For so long an end that is known is surely in the log still that it was heard from: whoever ends it again only waits until
/// that is durable. Later the log is asked to write it again, so that a log which has lost it has it once more.
pub const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Something that has ended. Its JSON is the `data` of the feed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum End {
    /// One session.
    Session {
        /// Its id.
        session: SessionId,
    },
    /// An account's sessions below an epoch.
    Account {
        /// Whose.
        account: AccountId,
        /// The first epoch that goes on.
        epoch: Epoch,
    },
    /// An app's sessions below an epoch.
    App {
        /// Which app.
        app: AppId,
        /// Only those of this method; `None`: all.
        method: Option<Method>,
        /// The first epoch that goes on.
        epoch: Epoch,
    },
    /// All that a key has signed.
    Key {
        /// The key.
        kid: Kid,
    },
}

/// A line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its place: 1, 2, 3 … without gaps.
    pub sequence: u64,
    /// What ended.
    pub end: End,
    /// When the line was written, by the store's clock; what it says is acknowledged a moment later.
    /// `None`: whoever passed it on did not say.
    pub at: Option<Timestamp>,
    /// Until when the log holds it at least. A verifier goes by [`VERIFIERS_HOLD`].
    pub until: Timestamp,
}

/// How long the log holds the line of an end. How long a verifier does is another matter, and the same for all:
/// [`VERIFIERS_HOLD`]. Servers give durations, and the store adds its own time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    least: Duration,
    /// When the refresh token of a session without a record expires.
    expires: Timestamp,
}

impl Hold {
    /// Of what says so itself once verifiers have heard of it: a record that is gone, or an epoch that was raised.
    pub const NOTED: Self = Self::lasting(VERIFIERS_HOLD);
    /// Of a key: for as long as anything that it made could be presented.
    pub const KEY: Self = Self::lasting(LONGEST_SESSION);

    /// Of a session without a record, which is asked about at each renewal: until the refresh token that was `presented` expires.
    /// Where none was, for as long as any could live, whatever the configuration says of that now.
    pub fn stateless(presented: Option<Timestamp>) -> Self {
        match presented {
            Some(expires) => Self::NOTED.and_past(expires),
            None => Self::lasting(LONGEST_SESSION),
        }
    }

    /// And past this moment, until which something that the line is about can be presented.
    #[must_use]
    pub fn and_past(self, expires: Timestamp) -> Self {
        Self { expires: self.expires.max(expires + EXP_LEEWAY), ..self }
    }

    /// For as long as this.
    pub const fn lasting(least: Duration) -> Self {
        Self { least, expires: Timestamp::from_millis(0) }
    }

    /// Until when, for a line that is written at this moment.
    pub fn until(self, at: Timestamp) -> Timestamp {
        (at + self.least).max(self.expires)
    }
}

/// Of the lines that the log has of a session's end, the one which another end asks for nothing more than: held as long, and not
/// older than [`KNOWN_FOR`]. What is older is written once more, and then never again: who holds old tickets can double the log's
/// lines about their sessions, and no more.
pub(crate) fn line_that_stands(lines: &[Entry], at: Timestamp, until: Timestamp) -> Option<&Entry> {
    let line = lines.iter().max_by_key(|line| (line.until, line.sequence))?;
    let written = line.at.unwrap_or_default();
    // What ends in the same way a moment later is held until a moment later, for facts that nobody can have read any more.
    let covered = line.until >= until || line.until.since(written) >= until.since(at);
    (covered && (at.since(written) < KNOWN_FOR || lines.len() > 1)).then_some(line)
}

/// One life of the log; a restored or failed-over log is another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which set of keys a store holds: a random number that each change of the keys draws anew.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct KeySet(pub u64);

impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A place in a log: `incarnation:sequence`, the `id` of the feed's events.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Position {
    /// Which log.
    pub incarnation: Incarnation,
    /// The last line that is included; 0 before the first.
    pub sequence: u64,
}

impl Position {
    /// Reads `incarnation:sequence`.
    ///
    /// ```
    /// use cloakroom_core::revocation::Position;
    /// let position = Position::parse("00000000000000ff:12").unwrap();
    /// assert_eq!(position.to_string(), "00000000000000ff:12");
    /// assert!(Position::parse("ff:12").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (incarnation, sequence) = text.split_once(':')?;
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let plain = (sequence == "0" || !sequence.starts_with('0')) && sequence.bytes().all(|b| b.is_ascii_digit());
        (incarnation.len() == 16 && incarnation.bytes().all(hex) && plain).then_some(())?;
        let incarnation = Incarnation(u64::from_str_radix(incarnation, 16).ok()?);
        Some(Self { incarnation, sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.incarnation, self.sequence)
    }
}

#[cfg(test)]
mod tests;
