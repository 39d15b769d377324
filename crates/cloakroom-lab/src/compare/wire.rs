//! The bytes that credentials take, counted on real connections to a real server as it is in production: https outside, a proxy
//! that ends it, cookies with their long names.

mod indexing;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use cloakroom_core::method::Method;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, body::Bytes, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{Store, Topology, Wire, WirePage, cost::login_body, person::renewal_body};
use crate::{
    call::{Caller, Reply},
    rig::{METHODS, Rig, Workshop, path_of},
};

/// Where the server says that it is; 21 bytes as an issuer.
const PUBLIC: &str = "https://id.example.co";
/// How the server is set for that.
pub const SETTINGS: [&str; 3] = [
    "CLOAKROOM_PUBLIC_URL=https://id.example.co",
    "CLOAKROOM_PROXY_ENDS_TLS=true",
    "CLOAKROOM_TRUSTED_PROXIES=127.0.0.1",
];

/// Requests of a page.
const PAGE: u64 = 30;
/// How often an access token is renewed: it lives for 5 minutes. Between two renewals a client asks so often, at a request a second.
const REQUESTS_PER_RENEWAL: u64 = 300;
const MILLION: u64 = 1_000_000;
const GIGABYTE: f64 = 1_000_000_000.0;

/// Counts what is written to a connection.
struct Counted<S> {
    inner: S,
    written: Arc<AtomicU64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.written.fetch_add(count as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Counts for all methods; `price`: of a gigabyte of traffic.
pub fn count(workshop: &Workshop, price: f64) -> io::Result<Vec<WirePage>> {
    let rig = workshop.build_with(Store::Memory, Topology::One, &SETTINGS)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut all = Vec::new();
        for (number, (method, ..)) in METHODS.into_iter().enumerate() {
            all.push(page(&rig, number, method, price).await?);
        }
        Ok(all)
    })
}

/// What one signed-in client sends and is sent.
async fn page(rig: &Rig, number: usize, method: Method, price: f64) -> io::Result<WirePage> {
    let path = path_of(method);
    let login = post(rig, "/v1/login", login_body(number, method)).await?;
    let name_and_value = login.credential()?;
    let (cold, unindexed) = by_http2(rig, path, Some(&name_and_value)).await?;
    let (bare_cold, _) = by_http2(rig, path, None).await?;
    let credential = (name_and_value.0, name_and_value.1.as_str());
    let [warm, bare_warm] = [Some(credential), None].map(|credential| warm_by_http2(rig, path, credential));
    let (warm, bare_warm) = (warm.await?, bare_warm.await?);
    let http1 = by_http1(rig, path, Some(&name_and_value)).await?;
    let bare = by_http1(rig, path, None).await?;
    let refreshed = match login.json()["refresh_token"].as_str() {
        Some(token) => Some(post(rig, "/v1/refresh", renewal_body(token)).await?),
        None => None,
    };
    let request = Wire {
        // Name, colon, space, value and the line's end.
        credential_bytes: (name_and_value.0.len() + name_and_value.1.len() + 4) as u64,
        request_bytes_http1: http1,
        request_bytes_http2: warm,
    };
    // The value goes over once a renewal in full, and by its place in the table from then on.
    let renewal = refreshed.as_ref().map_or(0, |reply| reply.bytes[0] + reply.bytes[1]);
    let (http1_more, cold_more, warm_more) = (http1 - bare, cold - bare_cold, warm.saturating_sub(bare_warm));
    let renewals = if refreshed.is_some() { MILLION / REQUESTS_PER_RENEWAL } else { 0 };
    let by1 = http1_more * MILLION + renewals * renewal;
    let by2 = warm_more * MILLION + renewals * (renewal + cold_more - warm_more);
    Ok(WirePage {
        method,
        request,
        request_bytes_http2_cold: cold,
        request_bytes_http2_unindexed: unindexed,
        bare: [bare, bare_cold, bare_warm],
        login_answer_bytes: login.bytes[1],
        refresh_answer_bytes: refreshed.map(|reply| reply.bytes[1]),
        page_of_30: [http1_more * PAGE, cold_more + warm_more * (PAGE - 1)],
        per_million_requests: [by1, by2],
        money_per_million_requests: [by1, by2].map(|bytes| bytes as f64 / GIGABYTE * price),
    })
}

async fn connect(rig: &Rig) -> io::Result<(TokioIo<Counted<TcpStream>>, Arc<AtomicU64>)> {
    let stream = TcpStream::connect(rig.first()?.address).await?;
    stream.set_nodelay(true)?;
    let written = Arc::new(AtomicU64::new(0));
    Ok((TokioIo::new(Counted { inner: stream, written: Arc::clone(&written) }), written))
}

fn host() -> &'static str {
    PUBLIC.trim_start_matches("https://")
}

/// A `POST` by HTTP/1.1.
async fn post(rig: &Rig, path: &'static str, body: String) -> io::Result<Reply> {
    let address = rig.first()?.address;
    let call = move || {
        let mut caller = Caller::connect(address, host())?;
        caller.call("POST", path, &["x-forwarded-proto: https"], Some(&body))?.demand(200)
    };
    tokio::task::spawn_blocking(call).await.map_err(io::Error::other)?
}

/// The length of a request by HTTP/1.1.
async fn by_http1(rig: &Rig, path: &str, credential: Option<&(&'static str, String)>) -> io::Result<u64> {
    let (stream, written) = connect(rig).await?;
    let (mut sender, connection) = conn::http1::handshake(stream).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let mut request = Request::get(path).header("host", host());
    if let Some((name, value)) = credential {
        request = request.header(*name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let reply = sender.send_request(request).await.map_err(io::Error::other)?;
    demand(reply.status(), credential.is_some())?;
    driver.abort();
    Ok(written.load(Ordering::Relaxed))
}

/// The length of the first request of a connection by HTTP/2, and of one that follows.
async fn by_http2(rig: &Rig, path: &str, credential: Option<&(&'static str, String)>) -> io::Result<(u64, u64)> {
    let (stream, written) = connect(rig).await?;
    let handshake = conn::http2::handshake(TokioExecutor::new(), stream).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let mut lengths = Vec::new();
    // Before the first one there are the preface and settings; their acknowledgements go with it.
    for _ in 0..6 {
        settled(&written).await;
        let before = written.load(Ordering::Relaxed);
        let mut request = Request::get(format!("{PUBLIC}{path}"));
        if let Some((name, value)) = credential {
            request = request.header(*name, value);
        }
        let request = request.body(Full::<Bytes>::default()).map_err(io::Error::other)?;
        let reply = sender.send_request(request).await.map_err(io::Error::other)?;
        demand(reply.status(), credential.is_some())?;
        reply.into_body().collect().await.map_err(io::Error::other)?;
        settled(&written).await;
        lengths.push(written.load(Ordering::Relaxed) - before);
    }
    driver.abort();
    let least = lengths[1..].iter().min().copied().unwrap_or_default();
    Ok((lengths[0], least))
}

/// The length of a request by HTTP/2 whose credential the connection remembers.
async fn warm_by_http2(rig: &Rig, path: &str, credential: Option<(&'static str, &str)>) -> io::Result<u64> {
    let (address, path) = (rig.first()?.address, path.to_owned());
    let credential = credential.map(|(name, value)| (name, value.to_owned()));
    let call = move || {
        let credential = credential.as_ref().map(|(name, value)| (*name, value.as_str()));
        indexing::warm_request(address, host(), &path, credential)
    };
    tokio::task::spawn_blocking(call).await.map_err(io::Error::other)?
}

/// Waits until nothing more is written.
async fn settled(written: &AtomicU64) {
    loop {
        let before = written.load(Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        if written.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

fn demand(status: http::StatusCode, signed_in: bool) -> io::Result<()> {
    let expected = if signed_in { 200 } else { 401 };
    if status == expected { Ok(()) } else { Err(io::Error::other(format!("{status} where {expected} was expected"))) }
}
