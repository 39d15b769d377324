//! One call at a time over a keep-alive connection: what a person's client does, as opposed to a load.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::load::parse_head;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a server.
pub struct Caller {
    stream: TcpStream,
    host: String,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the request was, and the answer.
    pub bytes: [u64; 2],
}

impl Reply {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; anything else is `null`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The header, name and value, by which requests show who is asking, of an answer to a sign-in.
    pub fn credential(&self) -> io::Result<(&'static str, String)> {
        if let Some(token) = self.json()["access_token"].as_str() {
            return Ok(("authorization", format!("Bearer {token}")));
        }
        let cookie = self.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.ok_or_else(|| io::Error::other("a sign-in without a credential"))?;
        Ok(("cookie", cookie.to_owned()))
    }

    /// Fails unless it has that status.
    pub fn demand(self, status: u16) -> io::Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(&self.body);
        Err(io::Error::other(format!("{} where {status} was expected: {body}", self.status)))
    }
}

impl Caller {
    /// Connects; `host` is what the requests name.
    pub fn connect(address: SocketAddr, host: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, host: host.to_owned() })
    }

    /// Sends a request with these header lines, and a JSON body if there is one.
    pub fn call(&mut self, method: &str, path: &str, lines: &[&str], body: Option<&str>) -> io::Result<Reply> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        if let Some(body) = body {
            text.push_str("content-type: application/json\r\ncontent-length: ");
            text.push_str(&body.len().to_string());
            text.push_str("\r\n\r\n");
            text.push_str(body);
        } else {
            text.push_str(if method == "GET" { "\r\n" } else { "content-length: 0\r\n\r\n" });
        }
        self.stream.write_all(text.as_bytes())?;
        self.receive(text.len() as u64)
    }

    fn receive(&mut self, sent: u64) -> io::Result<Reply> {
        let (mut read, mut piece) = (Vec::with_capacity(4096), [0; 8192]);
        loop {
            let count = self.stream.read(&mut piece)?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
            read.extend_from_slice(&piece[..count]);
            if let Some(head) = parse_head(&read)?.filter(|head| read.len() >= head.end) {
                let lines = String::from_utf8_lossy(&read[..head.body_at]).into_owned();
                let headers = lines.lines().skip(1).filter_map(|line| line.split_once(':'));
                return Ok(Reply {
                    status: head.status,
                    headers: headers
                        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                        .collect(),
                    body: read[head.body_at..head.end].to_vec(),
                    bytes: [sent, head.end as u64],
                });
            }
        }
    }
}
