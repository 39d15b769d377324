//! The revocation feed as a verifier reads it: events, one after another, each within a bound.

use std::time::Duration;

use serde_json::Value;
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use super::{Ask, ask::parse_head};

/// An open feed.
pub(crate) struct Feed {
    stream: TcpStream,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    raw: Vec<u8>,
    text: String,
}

/// An event; a comment has no data.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) id: String,
    pub(crate) data: Value,
}

const PATIENCE: Duration = Duration::from_secs(5);

impl Feed {
    pub(crate) async fn open(ask: Ask) -> Self {
        let mut feed = Self { stream: ask.open().await, status: 0, headers: vec![], raw: vec![], text: String::new() };
        let end = loop {
            if let Some(at) = feed.raw.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(feed.read().await, "the connection closed before its head was whole");
        };
        (feed.status, feed.headers) = parse_head(&feed.raw[..end]);
        feed.raw.drain(..end);
        feed
    }

    /// The next event; `None`: the stream ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if !block.starts_with(':') {
                    return Some(parse(&block));
                }
                continue;
            }
            if self.unchunk() {
                continue;
            }
            if !self.read().await {
                return None;
            }
        }
    }

    async fn read(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.raw);
        timeout(PATIENCE, read).await.expect("something within the bound").is_ok_and(|n| n > 0)
    }

    /// Moves one whole chunk into the text.
    fn unchunk(&mut self) -> bool {
        let Some(end) = self.raw.windows(2).position(|w| w == b"\r\n") else { return false };
        let size = usize::from_str_radix(std::str::from_utf8(&self.raw[..end]).unwrap(), 16).unwrap();
        let whole = end + 2 + size + 2;
        if size == 0 || self.raw.len() < whole {
            return false;
        }
        self.text.push_str(std::str::from_utf8(&self.raw[end + 2..end + 2 + size]).unwrap());
        self.raw.drain(..whole);
        true
    }
}

fn parse(block: &str) -> Event {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let name = field("event: ");
    // A page of a snapshot is no place to go on from.
    let without = (name.as_deref() == Some("page")).then(String::new);
    Event {
        id: field("id: ").or(without).expect("an id"),
        name,
        data: serde_json::from_str(&field("data: ").expect("data")).expect("JSON"),
    }
}
