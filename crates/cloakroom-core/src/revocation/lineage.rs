//! What a log was called before, and how far back it reaches: so that a store which has seen line n of a former incarnation
//! is known to be as new as that line, if it is still here.

use super::{Incarnation, Position};

/// A log with its former incarnations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lineage {
    /// The head, in the present incarnation.
    pub head: Position,
    /// The last line that was removed: what stood up to here may be forgotten.
    pub pruned: u64,
    /// The incarnations in which lines were written, each with the last of its lines that is still here. The last one is the
    /// incarnation of the last line, which a log that has just been restored or failed over has left.
    pub former: Vec<Position>,
}

impl Lineage {
    /// The head under the name that the log had when its last line was written. A mark in a store of sessions bears it, so
    /// that it is never of an incarnation which leaves no trace in the log.
    pub fn last_line(&self) -> Position {
        self.former.last().copied().unwrap_or(self.head)
    }

    /// The line of this log up to which something has seen it that has seen it up to `mark`; `None`: the mark is of no log
    /// that this one goes back to.
    pub fn seen(&self, mark: Position) -> Option<u64> {
        let end = if mark.incarnation == self.head.incarnation { Some(self.head) } else { self.of(mark.incarnation) };
        Some(mark.sequence.min(end?.sequence))
    }

    /// The latest line that something has seen which bears these marks; `None`: none of them is of this log.
    pub fn latest(&self, marks: &[Position]) -> Option<u64> {
        marks.iter().filter_map(|mark| self.seen(*mark)).max()
    }

    /// The line behind which it lacks ends, if the log still has all of those: a mark that is not known counts as one before
    /// the first line.
    pub fn since(&self, marks: &[Position]) -> Option<u64> {
        let seen = self.latest(marks).unwrap_or(0);
        (seen >= self.pruned).then_some(seen)
    }

    fn of(&self, incarnation: Incarnation) -> Option<Position> {
        self.former.iter().find(|former| former.incarnation == incarnation).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(incarnation: u64, sequence: u64) -> Position {
        Position { incarnation: Incarnation(incarnation), sequence }
    }

    #[test]
    fn a_mark_of_a_former_incarnation_counts_up_to_the_line_that_is_still_here() {
        let lineage = Lineage { head: at(3, 70), pruned: 10, former: vec![at(1, 40), at(2, 60), at(3, 70)] };
        for (mark, seen) in [
            (at(3, 65), Some(65)),
            (at(3, 99), Some(70)),
            (at(2, 55), Some(55)),
            (at(2, 69), Some(60)),
            (at(1, 69), Some(40)),
            (at(4, 20), None),
        ] {
            assert_eq!(lineage.seen(mark), seen, "{mark}");
        }
        assert_eq!(lineage.last_line(), at(3, 70));
        for (marks, since) in [
            (&[at(3, 65)][..], Some(65)),
            (&[at(1, 9), at(2, 55)], Some(55)),
            (&[at(4, 60), at(3, 12)], Some(12)),
            (&[at(3, 9)], None),
            (&[at(4, 60)], None),
            (&[], None),
        ] {
            assert_eq!(lineage.since(marks), since, "{marks:?}");
        }
        let whole = Lineage { pruned: 0, ..lineage };
        assert_eq!((whole.since(&[]), whole.since(&[at(4, 60)])), (Some(0), Some(0)), "all of it can be done again");
    }

    #[test]
    fn a_log_that_has_written_nothing_under_its_new_name_is_marked_by_the_old_one() {
        let lineage = Lineage { head: at(2, 40), pruned: 0, former: vec![at(1, 40)] };
        assert_eq!(lineage.last_line(), at(1, 40));
        assert_eq!((lineage.seen(at(1, 45)), lineage.seen(at(2, 30))), (Some(40), Some(30)));
    }
}
