//! The accept loop, and the limits of what a stranger can make the server hold: connections, heads, streams and time.
//!
//! Beyond the bound on connections nothing is accepted until some close; a request that takes too long is answered 503;
//! a handler that panics is answered 500 and harms no other request on its connection. On shutdown nothing new is
//! accepted, and what is in flight has a while to end (F132, F133).

use std::{convert::Infallible, io, net::SocketAddr, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use cloakroom_core::{
    engine::{Counted, counted},
    refusal::{Reason, Refusal},
    tasks,
};
use futures_util::FutureExt;
use http::{
    HeaderValue, Request, Version,
    header::{CONNECTION, HOST},
    request::Parts,
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use super::{
    connection::{Activity, Exchange, InFlight, Watched},
    problem::Problem,
    tls::Tls,
};

/// What a listener allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; beyond, nobody is accepted until some close.
    pub connections: usize,
    /// Bytes of a request's head; beyond it is answered 431. At least 8192.
    pub head_bytes: u32,
    /// Fields of a request's head; beyond it is answered 431.
    pub head_fields: usize,
    /// From the first byte of a head to its last, from a connection's beginning to its first request, and for a TLS
    /// handshake.
    pub head_timeout: Duration,
    /// From a request's head to the head of its answer; beyond it is answered 503.
    pub request_timeout: Duration,
    /// How long a client may not take what is written to it.
    pub write_timeout: Duration,
    /// How long a connection may rest between requests.
    pub idle_timeout: Duration,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// How long what is in flight may go on after shutdown began.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            head_bytes: 16 * 1024,
            head_fields: 100,
            head_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            streams: 128,
            drain: Duration::from_secs(10),
        }
    }
}

/// The other end of the connection that a request came on: the client, or a proxy before the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(pub SocketAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| Reason::Fault.into())
    }
}

/// Serves until `shutdown` is cancelled and what was in flight then has ended, or had its time.
pub async fn serve<S>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    service: S,
    limits: Limits,
    shutdown: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let door = Arc::new(Semaphore::new(limits.connections));
    let server = Arc::new(Server { http: http(&limits), limits, service, shutdown });
    let connections = TaskTracker::new();
    let shutdown = &server.shutdown;
    while let Some(Ok(place)) = shutdown.run_until_cancelled(Arc::clone(&door).acquire_owned()).await {
        let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await else { break };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error, shutdown).await;
                continue;
            }
        };
        let (server, tls) = (Arc::clone(&server), tls.clone());
        connections.spawn(tasks::guarded("http", async move {
            server.connection(stream, Peer(peer), tls.as_deref(), Arc::new(place)).await;
        }));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A client that went away while it waited costs nothing. Anything else is the system's want of something, most likely
/// of file descriptors: then trying again at once would only burn time.
async fn pause_after(error: &io::Error, shutdown: &CancellationToken) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
        tracing::warn!(%error, "cannot accept connections");
        shutdown.run_until_cancelled(sleep(Duration::from_millis(100))).await;
    }
}

struct Server<S> {
    http: auto::Builder<TokioExecutor>,
    limits: Limits,
    service: S,
    shutdown: CancellationToken,
}

fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It would count the rest between requests too; `Watched` times heads.
        .header_read_timeout(None)
        .max_buf_size((limits.head_bytes as usize).max(8192))
        .max_headers(limits.head_fields);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.head_bytes)
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(256 * 1024)
        .max_send_buf_size(64 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

impl<S> Server<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    /// `place`: its own among the connections, which is free again when this and all that it has begun have ended.
    async fn connection(&self, stream: TcpStream, peer: Peer, tls: Option<&Tls>, place: Counted) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let Some(tls) = tls else { return self.http(stream, peer, place).await };
        let handshake = timeout(self.limits.head_timeout, tls.acceptor().accept(stream));
        match self.shutdown.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => self.http(stream, peer, place).await,
            Some(Ok(Err(error))) => tracing::debug!(%error, "no TLS with a client"),
            Some(Err(_)) | None => {}
        }
    }

    async fn http<T>(&self, stream: T, peer: Peer, place: Counted)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limits = &self.limits;
        let activity = Activity::new();
        let io = TokioIo::new(Watched::new(stream, limits.head_timeout, limits.write_timeout));
        let (service, request_timeout) = (self.service.clone(), limits.request_timeout);
        let begun = Arc::clone(&activity);
        let connection = self.http.serve_connection(
            io,
            service_fn(move |request| {
                counted(Arc::clone(&place), answer(service.clone(), request, peer, begun.begin(), request_timeout))
            }),
        );
        let mut connection = pin!(connection);
        // Of its own: a token that all connections look at would be a lock that all connections take.
        let shutdown = self.shutdown.child_token();
        let mut shutdown = pin!(shutdown.cancelled());
        let mut look = pin!(sleep(limits.head_timeout));
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return log_end(ended),
                () = shutdown.as_mut() => break,
                () = look.as_mut() => {}
            }
            match activity.rests_until(limits.head_timeout, limits.idle_timeout) {
                Some(until) if until <= Instant::now() => break,
                Some(until) => look.as_mut().reset(until),
                None => look.as_mut().reset(Instant::now() + limits.idle_timeout),
            }
        }
        connection.as_mut().graceful_shutdown();
        if let Ok(ended) = timeout(limits.drain, connection).await {
            log_end(ended);
        }
    }
}

fn log_end(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn answer<S>(
    mut service: S,
    request: Request<Incoming>,
    peer: Peer,
    exchange: Exchange,
    limit: Duration,
) -> Result<Response<InFlight<Body>>, Infallible>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
{
    if let Err(refusal) = check(&request) {
        let response = close(Problem::from(refusal).into_response());
        return Ok(response.map(|body| InFlight::new(body, exchange)));
    }
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    let work = AssertUnwindSafe(async move { service.call(request).await }).catch_unwind();
    let response = match timeout(limit, work).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        // The panic itself has been reported where it happened.
        Ok(Err(_)) => Problem::from(Reason::Fault).into_response(),
        Err(_) => Problem::from(Reason::TimedOut).into_response(),
    };
    Ok(response.map(|body| InFlight::new(body, exchange)))
}

/// HTTP/1.1 wants exactly one `Host` (RFC 9112 section 3.2).
fn check(request: &Request<Incoming>) -> Result<(), Refusal> {
    let hosts = request.headers().get_all(HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 || hosts > 1 {
        return Err(Refusal::from(Reason::BadRequest).because("there must be one Host header"));
    }
    Ok(())
}

fn close(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
