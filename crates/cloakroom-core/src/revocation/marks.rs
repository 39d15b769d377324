//! What a full set of ends could not hold: for each of 65,536 places the last line that it was.
//!
//! A credential whose place is marked may be of a session or account that such a line ended, or of another that has the same
//! place. So it is asked about, once for each mark; all others go on as before.

use std::time::Duration;

use hashbrown::HashMap;

use super::Subject;
use crate::{
    clock::Boot,
    ids::{AccountId, SessionId},
};

/// The marks of a verifier: 3 MiB where every place has one, and nothing while there are none.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// By place, of which there are 2¹⁶.
    places: HashMap<u16, Mark>,
    /// Of what is about more than one session or account.
    everybody: Mark,
    /// The last line of all, and when any was heard last.
    latest: Mark,
}

/// The last line of a place, and when one of that place was heard last; line 0: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Mark {
    line: u64,
    heard: Boot,
}

impl Mark {
    /// Lines may be heard out of order, and the earlier one must be remembered for as long.
    fn set(&mut self, line: u64, now: Boot) {
        *self = Self { line: self.line.max(line), heard: self.heard.max(now) };
    }

    #[inline]
    fn line(self, now: Boot, hold: Duration) -> u64 {
        if self.heard + hold > now { self.line } else { 0 }
    }
}

impl Marks {
    /// The last line that was not held and may be about this credential; 0: there is none.
    #[inline]
    pub(super) fn line(&self, subject: &Subject<'_>, now: Boot, hold: Duration) -> u64 {
        if self.latest.line == 0 {
            return 0;
        }
        let at = |place: u16| self.places.get(&place).map_or(0, |mark| mark.line(now, hold));
        let own = at(place(subject.session.bytes())).max(at(place(subject.account.0.bytes())));
        own.max(self.everybody.line(now, hold))
    }

    /// The last line of all: what is read from here on knows of every one.
    pub(super) const fn latest(&self) -> u64 {
        self.latest.line
    }

    /// How many places are marked.
    pub(super) fn count(&self, now: Boot, hold: Duration) -> usize {
        self.places.values().chain([&self.everybody]).filter(|mark| mark.line(now, hold) > 0).count()
    }

    pub(super) fn session(&mut self, session: SessionId, line: u64, now: Boot) {
        self.at(place(session.bytes()), line, now);
    }

    pub(super) fn account(&mut self, account: AccountId, line: u64, now: Boot) {
        self.at(place(account.bytes()), line, now);
    }

    pub(super) fn everybody(&mut self, line: u64, now: Boot) {
        self.everybody.set(line, now);
        self.latest.set(line, now);
    }

    fn at(&mut self, place: u16, line: u64, now: Boot) {
        self.places.entry(place).or_default().set(line, now);
        self.latest.set(line, now);
    }

    /// Gives the memory back when the last of them is over.
    pub(super) fn expire(&mut self, now: Boot, hold: Duration) {
        if self.latest.line > 0 && self.latest.line(now, hold) == 0 {
            *self = Self::default();
        }
    }

    /// The marked places, for the model.
    #[cfg(test)]
    pub(super) fn image(&self) -> Vec<(u16, u64, Boot)> {
        let mut marks: Vec<_> = self.places.iter().map(|(place, mark)| (*place, mark.line, mark.heard)).collect();
        marks.sort_unstable();
        marks
    }
}

/// Where a session or an account is: ids are random, but for the time in an account's, so that folding them suffices.
#[inline]
fn place(id: &[u8; 16]) -> u16 {
    id.chunks_exact(2).fold(0, |all, two| all ^ u16::from_be_bytes([two[0], two[1]]))
}
