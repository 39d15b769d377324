//! Revocation: what has ended, how verifiers hear of it, and how they know that they have heard.
//!
//! The log stands in SQL beside the accounts ([`crate::store::AccountStore::end`]). A verifier keeps the recent part as an
//! [`Ended`] set inside its [`Vigil`], which also holds the lease. All transitions here are pure; the model and the
//! verifier run the same ones.

mod ended;
mod lineage;
mod vigil;

use std::{fmt, time::Duration};

use serde::Serialize;

pub use ended::{Ended, Full, Subject, Verdict};
pub use lineage::Lineage;
pub use vigil::{Answer, Gap, Vigil};

use crate::{
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
    /// Until when a verifier must hold it.
    pub until: Timestamp,
}

/// How long an end must be held, from when its line is written. Servers give durations, and the store adds its own time:
/// a server whose clock is behind would otherwise let go of what it ends at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    least: Duration,
    /// When the refresh token of a session without a record expires.
    expires: Timestamp,
}

impl Hold {
    /// As long as a fact could live or a token be checked anew, and, for a session without a record, until its refresh token
    /// expires.
    pub fn of(longest_access_token: Duration, refresh_expires: Option<Timestamp>) -> Self {
        let least = FACT_LIFE.max(longest_access_token) + EXP_LEEWAY + REQUEST_LIMIT;
        Self { least, expires: refresh_expires.map_or(Timestamp::default(), |expires| expires + EXP_LEEWAY) }
    }

    /// As long as this.
    pub const fn lasting(least: Duration) -> Self {
        Self { least, expires: Timestamp::from_millis(0) }
    }

    /// As long as this too.
    #[must_use]
    pub fn and_lasting(self, least: Duration) -> Self {
        Self { least: self.least.max(least), ..self }
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
