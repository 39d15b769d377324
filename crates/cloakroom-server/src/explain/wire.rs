//! HTTP/1.1 as it is on the wire: a request written out, an answer read to its end, over a connection of its own.

use std::{
    io,
    time::{Duration, Instant},
};

use cloakroom_core::trace::Finished;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

use super::Explainer;

/// A request and its answer.
#[derive(Clone)]
pub struct Exchange {
    /// What was sent.
    pub request: Message,
    /// What came back.
    pub answer: Message,
    /// The answer's status.
    pub status: u16,
    /// From the first byte sent to the last one read.
    pub took: Duration,
}

/// Lines as they were sent, and their size.
#[derive(Clone)]
pub struct Message {
    /// Request line or status line.
    pub first: String,
    /// The header lines.
    pub headers: Vec<String>,
    /// The body.
    pub body: String,
    /// All of it, in bytes.
    pub bytes: usize,
}

/// An answer that is longer is none of this server's.
const LONGEST: u64 = 256 * 1024;
/// The server itself gives up sooner.
const PATIENCE: Duration = Duration::from_secs(60);

impl Message {
    /// The values of a header.
    pub fn values<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        self.headers.iter().filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.split("\r\n").map(str::to_owned);
        Self {
            first: lines.next().unwrap_or_default(),
            headers: lines.collect(),
            body: body.to_owned(),
            bytes: text.len(),
        }
    }
}

impl Exchange {
    /// Whether the server did what it was asked.
    pub const fn is_accepted(&self) -> bool {
        200 <= self.status && self.status < 300
    }
}

impl Explainer {
    /// Sends a request with these header lines, and hears what the server does.
    pub(super) async fn ask(
        &self,
        line: &str,
        headers: &[String],
        body: &str,
    ) -> io::Result<(Exchange, Option<Finished>)> {
        let host = self.origin.split_once("://").map_or("", |(_, host)| host);
        let (method, path) = line.split_once(' ').unwrap_or((line, "/"));
        let mut text = format!("{method} {}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", self.base_path);
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            text.push_str("Content-Type: application/json\r\nContent-Length: ");
            text.push_str(&body.len().to_string());
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(body);

        // The address is known, and expected, before the server sees the connection.
        let socket = if self.listener.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind((self.listener.ip(), 0).into())?;
        let from = socket.local_addr()?;
        self.heard.lock().insert(from, None);
        let began = Instant::now();
        let answered = tokio::time::timeout(PATIENCE, async {
            let mut stream = socket.connect(self.listener).await?;
            stream.write_all(text.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.take(LONGEST).read_to_end(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        });
        let answered = answered.await;
        let took = began.elapsed();
        let heard = self.heard.lock().remove(&from).flatten();
        let answer = String::from_utf8_lossy(&answered??).into_owned();
        let answer = Message::read(&answer);
        let status = answer.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Ok((Exchange { request: Message::read(&text), answer, status, took }, heard))
    }
}
