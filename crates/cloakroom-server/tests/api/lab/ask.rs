//! One request over one connection, byte for byte as the test says, and its answer.

use std::{
    future::{Future, IntoFuture},
    net::SocketAddr,
    pin::Pin,
    time::Duration,
};

use data_encoding::BASE64;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Service;

/// A request to be sent; `.await` sends it.
#[derive(Clone)]
pub(crate) struct Ask {
    address: SocketAddr,
    method: String,
    path: String,
    host: String,
    version: &'static str,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Ask {
    pub(super) fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let host = format!("localhost:{}", address.port());
        Self {
            address,
            method: method.into(),
            path: path.into(),
            host,
            version: "HTTP/1.1",
            headers: vec![],
            body: vec![],
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn bearer(self, credential: &str) -> Self {
        self.header("authorization", format!("Bearer {credential}"))
    }

    pub(crate) fn basic(self, service: &Service) -> Self {
        let pair = BASE64.encode(format!("{}:{}", service.id, service.secret).as_bytes());
        self.header("authorization", format!("Basic {pair}"))
    }

    /// `name=value; name=value`.
    pub(crate) fn cookie(self, pairs: &str) -> Self {
        self.header("cookie", pairs)
    }

    /// As a page of the server's own origin would send it.
    pub(crate) fn on_own_page(self) -> Self {
        let origin = format!("http://localhost:{}", self.address.port());
        self.header("origin", origin).header("sec-fetch-site", "same-origin")
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    /// As nginx passes a request on, unless it is told otherwise.
    pub(crate) fn by_http_1_0(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that a test writes json!(…) and nothing around it")]
    pub(crate) fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Opens the connection and sends the request.
    pub(super) async fn open(self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head =
            format!("{} {} {}\r\nhost: {}\r\n", self.method, self.path, self.version, self.host).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() || !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
            head.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        head.extend_from_slice(b"connection: close\r\n\r\n");
        head.extend_from_slice(&self.body);
        stream.write_all(&head).await.unwrap();
        stream
    }

    async fn send(self) -> Answer {
        let mut stream = self.open().await;
        let mut bytes = vec![];
        let whole = stream.read_to_end(&mut bytes);
        // A server that refuses before the body was read may reset the connection behind its answer.
        let _ = tokio::time::timeout(Duration::from_secs(20), whole).await.expect("an answer in time");
        Answer::parse(&bytes)
    }
}

impl IntoFuture for Ask {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head") + 4;
        let (status, headers) = parse_head(&bytes[..end]);
        let mut answer = Self { status, headers, body: bytes[end..].to_owned() };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = unchunk(&answer.body);
        }
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All of a name, joined.
    pub(crate) fn list(&self, name: &str) -> String {
        let all: Vec<_> = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect();
        all.join(", ")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text()))
    }

    /// The code of a problem.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {}", self.text())).to_owned()
    }

    /// Status and code, to be compared at once.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String) {
        assert!(self.status >= 400, "no refusal: {} {}", self.status, self.text());
        (self.status, self.code())
    }

    pub(crate) fn cookies(&self) -> Vec<SetCookie> {
        self.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| SetCookie::parse(value)).collect()
    }
}

/// A `Set-Cookie` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) attributes: Vec<String>,
}

impl SetCookie {
    fn parse(line: &str) -> Self {
        let mut parts = line.split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes = parts.map(str::to_owned).collect();
        Self { name: name.into(), value: value.into(), attributes }
    }

    pub(crate) fn pair(&self) -> String {
        format!("{}={}", self.name, self.value)
    }

    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|a| a == attribute)
    }

    pub(crate) fn max_age(&self) -> u64 {
        self.attributes.iter().find_map(|a| a.strip_prefix("Max-Age=")).expect("a Max-Age").parse().unwrap()
    }
}

pub(super) fn parse_head(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let head = std::str::from_utf8(head).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pairs = lines.filter_map(|line| line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, ""))));
    (status, pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect())
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    while let Some(end) = body.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        out.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    out
}
