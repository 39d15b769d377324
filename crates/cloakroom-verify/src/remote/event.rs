//! Server-sent events (HTML Living Standard, section 9.2), as the revocation feed has them, and what they say.

use std::time::Duration;

use cloakroom_core::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    method::Method,
    revocation::{End, Position},
};
use serde::Deserialize;

/// The longest line that is read. A page of a snapshot has 1 MiB at most; a server of an older release sends the whole in one
/// line, and of a hundred thousand ends that has about 8 MiB.
const MAX_LINE: usize = 64 << 20;

/// What the feed says next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// A part of a snapshot of that head, which more follow.
    Page(Position, Vec<End>),
    /// The last part, or all of it: with what came before it, everything that must be held up to a position.
    Snapshot(Position, Vec<End>),
    /// The next line of the log, and when it was written, if the server says so.
    End(Position, End, Option<Timestamp>),
}

/// It is no feed of this contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Strange;

/// Takes bytes in, in whatever pieces they come, and gives events out.
#[derive(Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    name: String,
    id: Option<Position>,
    at: Option<Timestamp>,
    data: String,
    /// The longest that the server has asked for any end to be held.
    hold: Duration,
}

impl Reader {
    /// For how long what it has told is to be held at least.
    pub(super) const fn hold(&self) -> Duration {
        self.hold
    }

    /// The events that these bytes complete.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Strange> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > MAX_LINE {
                return Err(Strange);
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).map_err(|_| Strange)?;
                events.extend(self.line(line)?);
            }
        }
        Ok(events)
    }

    fn line(&mut self, line: &str) -> Result<Option<Event>, Strange> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "id" => self.id = Some(Position::parse(value).ok_or(Strange)?),
            "data" => self.data.push_str(value),
            "at" => self.at = moment(value),
            "hold" => self.hold = self.hold.max(Duration::from_secs(value.parse().map_err(|_| Strange)?)),
            // Comments keep the connection alive; other fields are of a later contract.
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Result<Option<Event>, Strange> {
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        let (id, at) = (self.id.take(), self.at.take());
        if data.is_empty() {
            return Ok(None);
        }
        if name == "page" {
            let page: Page = serde_json::from_str(&data).map_err(|_| Strange)?;
            let head = Position::parse(&page.head).ok_or(Strange)?;
            return Ok(Some(Event::Page(head, ends(page.ended)?)));
        }
        let id = id.ok_or(Strange)?;
        match name.as_str() {
            "" => {
                let end: Told = serde_json::from_str(&data).map_err(|_| Strange)?;
                Ok(Some(Event::End(id, end.end()?, at)))
            }
            "snapshot" => {
                let snapshot: Snapshot = serde_json::from_str(&data).map_err(|_| Strange)?;
                Ok(Some(Event::Snapshot(id, ends(snapshot.ended)?)))
            }
            // What is not understood must not be passed over: it could be an end.
            _ => Err(Strange),
        }
    }
}

/// A moment by RFC 3339; what is none says nothing.
fn moment(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond().try_into().ok()?))
}

fn ends(told: Vec<Told>) -> Result<Vec<End>, Strange> {
    told.into_iter().map(Told::end).collect()
}

#[derive(Deserialize)]
struct Snapshot {
    ended: Vec<Told>,
}

#[derive(Deserialize)]
struct Page {
    head: String,
    ended: Vec<Told>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Told {
    Session { session: String },
    Account { account: String, epoch: u32 },
    App { app: String, method: Option<String>, epoch: u32 },
    Key { kid: String },
}

impl Told {
    fn end(self) -> Result<End, Strange> {
        Ok(match self {
            Self::Session { session } => End::Session { session: SessionId::parse(&session).ok_or(Strange)? },
            Self::Account { account, epoch } => {
                End::Account { account: AccountId::parse(&account).ok_or(Strange)?, epoch: Epoch(epoch) }
            }
            Self::App { app, method, epoch } => End::App {
                app: AppId::parse(&app).ok_or(Strange)?,
                method: method.map(|name| Method::parse(&name).ok_or(Strange)).transpose()?,
                epoch: Epoch(epoch),
            },
            Self::Key { kid } => End::Key { kid: Kid::parse(&kid).ok_or(Strange)? },
        })
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::revocation::Incarnation;
    use proptest::prelude::*;

    use super::*;

    const FEED: &str = "event: page\nhold: 3900\ndata: {\"head\":\"00000000000000ff:2\",\"ended\":[]}\n\n\
        event: snapshot\nid: 00000000000000ff:2\ndata: {\"ended\":[{\"kind\":\"key\",\"kid\":\"abcdef\"}]}\n\n: still here\n\n\
        id: 00000000000000ff:3\r\ndata: {\"kind\":\"app\",\"app\":\"web\",\"method\":null,\"epoch\":4}\r\n\r\n\
        at: 2027-01-15T08:00:00.012Z\nid: 00000000000000ff:4\ndata: {\"kind\":\"account\",\"account\":\"01890000-0000-7000-8000-000000000000\",\"epoch\":7}\n\n";

    fn at(sequence: u64) -> Position {
        Position { incarnation: Incarnation(255), sequence }
    }

    proptest! {
        #[test]
        fn a_feed_reads_the_same_however_it_is_cut(cuts in prop::collection::vec(1usize..40, 0..60)) {
            let (mut reader, mut events, mut rest) = (Reader::default(), Vec::new(), FEED.as_bytes());
            for cut in cuts.into_iter().chain([FEED.len()]) {
                let (piece, left) = rest.split_at(cut.min(rest.len()));
                events.extend(reader.read(piece).unwrap());
                rest = left;
            }
            prop_assert_eq!(events.len(), 4);
            prop_assert_eq!(reader.hold(), Duration::from_secs(3900));
            prop_assert_eq!(events.remove(0), Event::Page(at(2), vec![]));
            let key = End::Key { kid: Kid::parse("abcdef").unwrap() };
            prop_assert_eq!(&events[0], &Event::Snapshot(at(2), vec![key]));
            let app = End::App { app: AppId::parse("web").unwrap(), method: None, epoch: Epoch(4) };
            prop_assert_eq!(&events[1], &Event::End(at(3), app, None));
            let all = End::Account { account: AccountId::parse("01890000-0000-7000-8000-000000000000").unwrap(), epoch: Epoch(7) };
            prop_assert_eq!(&events[2], &Event::End(at(4), all, Some(Timestamp::from_millis(1_800_000_000_012))));
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "(event|id|data|:)?: ?.{0,40}\n\n?") {
            let mut reader = Reader::default();
            let _ = (reader.read(&bytes), reader.read(text.as_bytes()));
        }
    }

    #[test]
    fn what_is_not_understood_is_never_passed_over() {
        for text in [
            "data: {\"kind\":\"session\",\"session\":\"AAAAAAAAAAAAAAAAAAAAAA\"}\n\n",
            "id: ff:1\n",
            "id: 00000000000000ff:1\ndata: {\"kind\":\"galaxy\"}\n\n",
            "id: 00000000000000ff:1\nevent: more\ndata: {}\n\n",
            "event: page\ndata: {\"ended\":[]}\n\n",
            "hold: for ever\n",
            "id: 00000000000000ff:1\ndata: {\"kind\":\"session\",\"session\":\"short\"}\n\n",
        ] {
            assert_eq!(Reader::default().read(text.as_bytes()), Err(Strange), "{text}");
        }
    }
}
