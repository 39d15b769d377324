//! How far a store of sessions has surely seen the revocation log, part by part.
//!
//! A store is as new as its oldest part. Parts differ where several servers hold the sessions, each with its own history: one
//! of them may have come back from an old copy while the others went on.

use std::{error::Error, fmt};

use crate::revocation::{Lineage, Position};

/// What a store of sessions said at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Watermark {
    /// Of one store.
    One {
        /// Of each part the positions up to which every end has been done there: none where it is not known, two where the
        /// store keeps a log of its own, with which an end is one transaction.
        marks: Vec<Vec<Position>>,
        /// Who held the sessions: something else where another server has taken over since.
        holder: String,
    },
    /// Of two stores that are used as one.
    Both(Box<Self>, Box<Self>),
}

impl Watermark {
    /// Of a store that has one part, which no other server can take over.
    pub fn of(mark: Option<Position>) -> Self {
        Self::One { marks: vec![mark.into_iter().collect()], holder: String::new() }
    }

    /// The marks of each part.
    pub fn parts(&self) -> Box<dyn Iterator<Item = &[Position]> + Send + '_> {
        match self {
            Self::One { marks, .. } => Box::new(marks.iter().map(Vec::as_slice)),
            Self::Both(one, other) => Box::new(one.parts().chain(other.parts())),
        }
    }

    /// Whether every part has seen as much of a log that what came later can be told from it.
    pub fn is_in_reach(&self, log: &Lineage) -> bool {
        self.parts().all(|marks| log.since(marks).is_some())
    }
}

/// A store of sessions that comes from a time which the revocation log no longer reaches: nobody knows which of its sessions
/// have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooOld {
    /// The line that it has seen; `None`: that is not known.
    pub seen: Option<u64>,
    /// The last line that was removed from the log.
    pub pruned: u64,
}

impl TooOld {
    /// What is wrong, and what helps.
    pub fn told(&self) -> (String, &'static str) {
        let seen = match self.seen {
            Some(line) => format!("it has seen the revocation log up to line {line}"),
            None => "it does not say how far it has seen this revocation log".to_owned(),
        };
        let detail = format!(
            "the store of sessions is too old: {seen}, and lines up to {} are gone, so that sessions which were ended could live \
             again",
            self.pruned
        );
        (detail, "give it a newer copy, or empty it (everybody signs in again)")
    }
}

impl fmt::Display for TooOld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (detail, remedy) = self.told();
        write!(f, "{detail}; {remedy}")
    }
}

impl Error for TooOld {}
