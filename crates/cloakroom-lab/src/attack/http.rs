//! A client that does what attackers do: any header, any network of this machine as its own, and nothing put right on the way.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpSocket,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::plan::Trouble;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read.
const LONGEST: usize = 4 << 20;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// Whether by TLS.
    pub(super) https: bool,
    /// What it is called.
    pub(super) host: String,
    /// Where it listens: always a loopback address.
    pub(super) address: SocketAddr,
    /// What every path begins with.
    pub(super) base: String,
}

impl Site {
    /// `https://host:port`.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority())
    }

    /// The address of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin(), self.base)
    }

    fn authority(&self) -> String {
        let usual = if self.https { 443 } else { 80 };
        match self.address.port() {
            port if port == usual => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }
}

/// A request.
#[derive(Clone)]
pub(super) struct Request {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
    from: Option<Ipv4Addr>,
}

impl Request {
    /// Any method.
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Vec::new(), from: None }
    }

    /// A `GET`.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A `POST`.
    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// A header; one that cannot be written as such is left out.
    pub(super) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse(), HeaderValue::from_bytes(value.as_ref())) {
            self.headers.push((name, value));
        }
        self
    }

    /// `Authorization: Bearer`.
    pub(super) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// A body of JSON.
    pub(super) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// A body of any kind.
    pub(super) fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    /// From which address of this machine: each is a network of its own to whoever counts.
    pub(super) const fn from(mut self, address: Ipv4Addr) -> Self {
        self.from = Some(address);
        self
    }

    /// Whether it may change something.
    pub(super) fn is_unsafe(&self) -> bool {
        !self.method.is_safe()
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// From the first byte sent to the last one received, without the connection's making.
    pub(super) took: Duration,
}

impl Answer {
    /// Whether it was granted.
    pub(super) const fn is_ok(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status and code: `401 token_expired`.
    pub(super) fn said(&self) -> String {
        match self.value()["code"].as_str() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The client.
#[derive(Clone)]
pub(super) struct Http {
    tls: Arc<ClientConfig>,
}

impl Http {
    /// One that trusts whom the configuration trusts.
    pub(super) const fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls }
    }

    /// Sends a request over a connection of its own.
    pub(super) async fn send(&self, site: &Site, request: Request) -> Result<Answer, Trouble> {
        let asked = format!("{} {}", request.method, site.url(&short(&request.path)));
        match timeout(PATIENCE, self.exchange(site, request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(trouble)) => Err(format!("{asked}: {trouble}").into()),
            Err(_) => Err(format!("{asked}: no answer in {} s", PATIENCE.as_secs()).into()),
        }
    }

    async fn exchange(&self, site: &Site, request: Request) -> Result<Answer, Trouble> {
        let stream = self.open(site, request.from).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut message = http::Request::builder()
            .method(request.method)
            .uri(format!("{}{}", site.base, request.path))
            .header(header::HOST, site.authority())
            .body(Full::new(Bytes::from(request.body)))?;
        for (name, value) in request.headers {
            message.headers_mut().append(name, value);
        }
        let began = Instant::now();
        let (head, body) = sender.send_request(message).await?.into_parts();
        let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
        let took = began.elapsed();
        connection.abort();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body, took })
    }

    /// Connects, by TLS where the site wants it.
    pub(super) async fn open(&self, site: &Site, from: Option<Ipv4Addr>) -> Result<Box<dyn Stream>, Trouble> {
        let socket = if site.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let (Some(from), true) = (from, site.address.is_ipv4()) {
            socket.bind(SocketAddr::new(IpAddr::V4(from), 0))?;
        }
        let stream = socket.connect(site.address).await?;
        stream.set_nodelay(true)?;
        if !site.https {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(site.host.clone())?;
        Ok(Box::new(TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?))
    }
}

/// A path without what may be long or secret in it.
fn short(path: &str) -> String {
    path.split('?').next().unwrap_or_default().chars().take(80).collect()
}
