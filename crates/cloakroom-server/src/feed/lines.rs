//! The last of the log as text, as long as it fits.

use std::{collections::VecDeque, fmt::Write as _, time::Duration};

use axum::body::Bytes;
use cloakroom_core::revocation::{Answer, End, Position};

/// The most text that is kept, in bytes.
const KEPT: usize = 4 << 20;

/// What was read last, and how far that is.
#[derive(Default)]
pub(super) struct Lines {
    head: Option<Position>,
    batches: VecDeque<Batch>,
    bytes: usize,
    /// The last line that is not here.
    before: u64,
}

/// What one reading of the log brought: lines of consecutive numbers, each with where its text begins.
#[derive(Default)]
pub(super) struct Batch {
    first: u64,
    begins: Vec<usize>,
    text: Bytes,
}

/// What there is behind a place.
pub(super) enum Found {
    /// This, up to there. There may be more.
    Text(Bytes, Position),
    /// Nothing yet.
    Nothing,
    /// It is not known here any more, or never was.
    Gone,
}

impl Lines {
    /// Begins behind a place, with nothing.
    pub(super) fn begin(&mut self, head: Position) {
        *self = Self { head: Some(head), before: head.sequence, ..Self::default() };
    }

    /// How far it goes.
    pub(super) const fn head(&self) -> Option<Position> {
        self.head
    }

    /// Whether a place is one from which on everything is here.
    pub(super) fn reach(&self, at: Position) -> bool {
        self.head.is_some_and(|head| {
            head.incarnation == at.incarnation && (self.before..=head.sequence).contains(&at.sequence)
        })
    }

    /// Takes what followed the head; or begins anew where the log did.
    pub(super) fn take(&mut self, answer: &Answer, batch: Batch) {
        if answer.snapshot {
            return self.begin(answer.head);
        }
        self.head = Some(answer.reached());
        if batch.begins.is_empty() {
            return;
        }
        self.bytes += batch.text.len();
        self.batches.push_back(batch);
        while self.bytes > KEPT {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.batches.pop_front() {
            self.bytes -= oldest.text.len();
            self.before = oldest.last();
        }
    }

    /// What follows a place: the rest of the batch that it is in, or the next one.
    pub(super) fn after(&self, at: Position) -> Found {
        let Some(head) = self.head.filter(|head| head.incarnation == at.incarnation) else { return Found::Gone };
        if at.sequence < self.before {
            return Found::Gone;
        }
        let next = self.batches.partition_point(|batch| batch.last() <= at.sequence);
        match self.batches.get(next) {
            // A reader may have read further in the log itself.
            None => Found::Nothing,
            Some(batch) => Found::Text(batch.after(at.sequence), Position { sequence: batch.last(), ..head }),
        }
    }
}

impl Batch {
    /// All of it.
    pub(super) fn text(self) -> Bytes {
        self.text
    }

    fn last(&self) -> u64 {
        self.first + self.begins.len() as u64 - 1
    }

    fn after(&self, sequence: u64) -> Bytes {
        let skipped = (sequence + 1).saturating_sub(self.first) as usize;
        self.text.slice(self.begins.get(skipped).copied().unwrap_or(self.text.len())..)
    }
}

/// The lines of an answer, an event each. `at` and `hold` are fields that no reader of events must know: when the line was
/// written (RFC 3339), by which this project's verifiers measure their lag, and for how many seconds its end is to be held.
pub(super) fn batch(answer: &Answer) -> Batch {
    let mut text = String::new();
    let mut begins = Vec::with_capacity(answer.entries.len());
    if !answer.snapshot {
        for entry in &answer.entries {
            begins.push(text.len());
            if let Some(at) = entry.at {
                let _ = writeln!(text, "at: {}", at.precise());
            }
            let id = Position { sequence: entry.sequence, ..answer.head };
            push(&mut text, id, answer.hold, &entry.end);
        }
    }
    let first = answer.entries.first().map_or(0, |entry| entry.sequence);
    Batch { first, begins, text: text.into() }
}

/// How somebody wants everything that must be held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SnapshotForm {
    /// As one event, however long that is.
    Whole,
    /// In pages: an event `page` for each but the last, which is the snapshot that they are all of.
    Pages,
}

/// What must be held, as text, a page at a time.
pub(super) struct Snapshot {
    form: SnapshotForm,
    begun: bool,
}

impl Snapshot {
    pub(super) const fn new(form: SnapshotForm) -> Self {
        Self { form, begun: false }
    }

    /// The text of the next page.
    pub(super) fn page(&mut self, answer: &Answer) -> Bytes {
        let is_last = answer.rest.is_none();
        let mut text = String::new();
        let opens = self.form == SnapshotForm::Pages || !self.begun;
        if opens {
            let (head, hold) = (answer.head, answer.hold.as_secs());
            // Only of all of it may somebody say that it was heard up to the head.
            if self.form == SnapshotForm::Whole || is_last {
                let _ = write!(text, "event: snapshot\nhold: {hold}\nid: {head}\ndata: {{\"ended\":[");
            } else {
                let _ = write!(text, "event: page\nhold: {hold}\ndata: {{\"head\":\"{head}\",\"ended\":[");
            }
        }
        for (at, entry) in answer.entries.iter().enumerate() {
            if at > 0 || !opens {
                text.push(',');
            }
            text.push_str(&json(&entry.end));
        }
        if self.form == SnapshotForm::Pages || is_last {
            text.push_str("]}\n\n");
        }
        self.begun = true;
        text.into()
    }
}

fn push(text: &mut String, id: Position, hold: Duration, end: &End) {
    let _ = write!(text, "hold: {}\nid: {id}\ndata: {}\n\n", hold.as_secs(), json(end));
}

fn json(end: &End) -> String {
    // What ends has no map whose keys are no text.
    serde_json::to_string(end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{
        clock::Timestamp,
        ids::{AccountId, AppId, Epoch, SessionId},
        method::Method,
        revocation::{Entry, Extent, Head, Incarnation, KeySet, PAGE},
    };
    use proptest::prelude::*;

    use super::*;

    const LOG: Incarnation = Incarnation(7);

    fn place(sequence: u64) -> Position {
        Position { incarnation: LOG, sequence }
    }

    fn told(head: u64) -> Head {
        Head { position: place(head), time: Timestamp::default(), keys: KeySet::default() }
    }

    /// What the log answers about lines behind `after`, up to `head`.
    fn answer(after: u64, head: u64) -> Answer {
        let entry = |sequence| Entry {
            sequence,
            end: End::Session { session: SessionId::from_bytes([sequence as u8; 16]) },
            at: None,
            until: Timestamp::default(),
        };
        Answer::following(told(head), (after + 1..=head).map(entry).collect())
    }

    fn take(lines: &mut Lines, answer: &Answer) {
        lines.take(answer, batch(answer));
    }

    /// The numbers of the lines that somebody is given from a place on, and whether it is told that some are missing.
    fn walk(lines: &Lines, mut at: Position) -> (Vec<u64>, bool) {
        let mut told = vec![];
        loop {
            match lines.after(at) {
                Found::Nothing => return (told, false),
                Found::Gone => return (told, true),
                Found::Text(text, to) => {
                    let text = std::str::from_utf8(&text).unwrap();
                    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
                    told.extend(ids.map(|id| Position::parse(id).unwrap().sequence));
                    assert_eq!(told.last(), Some(&to.sequence));
                    at = to;
                }
            }
        }
    }

    proptest! {
        /// However the log is read: from each place every line comes, once and in order; or that it is gone is said.
        #[test]
        fn nothing_is_left_out_silently(start in 0_u64..9, sizes in prop::collection::vec(0_u64..6, 0..30), gone in 0_usize..20) {
            let mut lines = Lines::default();
            lines.begin(place(start));
            let mut head = start;
            for size in sizes {
                take(&mut lines, &answer(head, head + size));
                head += size;
            }
            for _ in 0..gone.min(lines.batches.len()) {
                lines.drop_oldest();
            }
            for from in 0..=head + 2 {
                let (told, missing) = walk(&lines, place(from));
                prop_assert_eq!(missing, from < lines.before);
                prop_assert_eq!(lines.reach(place(from)), !missing && from <= head);
                let expected: Vec<u64> = if missing { vec![] } else { (from + 1..=head).collect() };
                prop_assert_eq!(told, expected);
            }
        }
    }

    #[test]
    fn it_keeps_no_more_than_it_may() {
        let mut lines = Lines::default();
        lines.begin(place(0));
        for n in 0..100 {
            take(&mut lines, &answer(n * 1000, (n + 1) * 1000));
            assert!(lines.bytes <= KEPT);
            assert_eq!(lines.bytes, lines.batches.iter().map(|batch| batch.text.len()).sum::<usize>());
        }
        let (told, missing) = walk(&lines, place(lines.before));
        assert!(!missing && told.len() > 30_000 && told.last() == Some(&100_000), "{}", told.len());
        assert!(walk(&lines, place(lines.before - 1)).1);
    }

    /// F062: of another log nothing is known.
    #[test]
    fn another_log_begins_anew() {
        let mut lines = Lines::default();
        lines.begin(place(0));
        take(&mut lines, &answer(0, 5));
        let other = Position { incarnation: Incarnation(8), sequence: 3 };
        assert!(walk(&lines, other).1);
        take(&mut lines, &Answer { head: other, snapshot: true, ..answer(0, 2) });
        assert_eq!(walk(&lines, other), (vec![], false));
        assert!(walk(&lines, place(5)).1);
    }

    /// However it is asked for, a snapshot says the same; in pages none is over 1 MiB, and only the last has a place.
    #[test]
    fn a_snapshot_in_pages_says_what_a_whole_one_says() {
        let app = || AppId::parse(&"a".repeat(32)).unwrap();
        let longest = |n: u64| match n % 3 {
            0 => End::App { app: app(), method: Some(Method::JwtStateless), epoch: Epoch(u32::MAX) },
            1 => End::Account { account: AccountId::from_bytes([n as u8; 16]), epoch: Epoch(u32::MAX) },
            _ => End::Session { session: SessionId::from_bytes([n as u8; 16]) },
        };
        let entry = |n| Entry { sequence: n, end: longest(n), at: None, until: Timestamp::default() };
        let page = |lowest: u64, lines: usize| {
            let entries = (lowest..lowest + lines as u64).map(entry).collect();
            Answer::snapshot(told(20_000), Extent { lines, lowest }, entries)
        };
        let pages = [page(11_809, PAGE), page(3_617, PAGE), page(3_000, 617)];
        let text = |form| {
            let mut snapshot = Snapshot::new(form);
            pages.each_ref().map(|page| String::from_utf8(snapshot.page(page).to_vec()).unwrap())
        };
        let ended = |event: &str| {
            let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            data["ended"].as_array().unwrap().clone()
        };
        let whole = text(SnapshotForm::Whole).concat();
        assert_eq!((whole.matches("\n\n").count(), whole.matches("event: snapshot\n").count()), (1, 1));
        let paged = text(SnapshotForm::Pages);
        for (n, event) in paged.iter().enumerate() {
            assert!(event.len() < 1 << 20 && event.ends_with("]}\n\n"));
            assert_eq!(event.contains("\nid: "), n == 2);
            assert!(event.starts_with(if n == 2 { "event: snapshot\n" } else { "event: page\n" }));
        }
        assert_eq!(ended(&whole), paged.iter().flat_map(|event| ended(event)).collect::<Vec<_>>());
    }
}
