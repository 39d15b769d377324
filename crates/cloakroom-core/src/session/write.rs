//! What a session store does to one record, as a pure function.
//!
//! Every write but [`Write::Create`] requires that the record exists: that is why an ended session stays ended (F004).
//! Adapters that can read and write under one lock call [`Write::apply`]; the others are held to it by the conformance
//! suite.

use super::record::Record;
use crate::{
    clock::Timestamp,
    ids::{Epoch, Generation},
};

/// One change of one record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// A login. An id is never used twice, so a record that is there already refuses it.
    Create(Record),
    /// A rotation: swap the generation if it is still `from`.
    Rotate {
        /// What it must be.
        from: Generation,
        /// What it becomes.
        to: Generation,
        /// When, where a test says so; `None`: now, by the store's own clock, which also tells how long ago it was.
        at: Option<Timestamp>,
        /// When its client was active, by the time that servers go by, unless this is no activity.
        active: Option<Timestamp>,
    },
    /// Activity; never moves `last_active` back.
    Touch(Timestamp),
    /// 'All others were ended': this session goes on in the account's new epoch, if it still stands at the epoch that was
    /// raised. A session that another raise has ended stays behind.
    CarryOver {
        /// What it must be.
        from: Epoch,
        /// What it becomes.
        to: Epoch,
    },
    /// An end. Done twice, it is done.
    Delete,
}

/// What became of a [`Write`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Written {
    /// It was done; the record as it stands now, or `None` when deleted.
    Done(Option<Record>),
    /// There is no such record, and none was made.
    Absent,
    /// The record is not as the write demands; as it stands.
    Conflict(Record),
}

/// What to store after a [`Write`]: leave it, put the record, or remove it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    Leave,
    Put(Record),
    Remove,
}

impl Write {
    /// What this write makes of what is stored, where the store's clock says `time`. The effect of an adapter is exactly this.
    pub(crate) fn apply(&self, present: Option<&Record>, time: impl FnOnce() -> Timestamp) -> (Effect, Written) {
        let Some(record) = present else {
            return match self {
                Self::Create(new) => (Effect::Put(new.clone()), Written::Done(Some(new.clone()))),
                Self::Delete => (Effect::Leave, Written::Done(None)),
                _ => (Effect::Leave, Written::Absent),
            };
        };
        let mut next = record.clone();
        match self {
            Self::Create(_) => return (Effect::Leave, Written::Conflict(next)),
            Self::Delete => return (Effect::Remove, Written::Done(None)),
            Self::Rotate { from, to, at, active } => {
                if record.generation != *from {
                    return (Effect::Leave, Written::Conflict(next));
                }
                next.generation = *to;
                next.rotated = at.unwrap_or_else(time);
                next.last_active = next.last_active.max(active.unwrap_or_default());
            }
            Self::Touch(at) => next.last_active = next.last_active.max(*at),
            Self::CarryOver { from, to } => {
                if record.epoch != *from && record.epoch != *to {
                    return (Effect::Leave, Written::Conflict(next));
                }
                next.epoch = *to;
            }
        }
        if next == *record {
            return (Effect::Leave, Written::Done(Some(next)));
        }
        (Effect::Put(next.clone()), Written::Done(Some(next)))
    }
}
