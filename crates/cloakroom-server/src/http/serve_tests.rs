use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{
    Router,
    routing::{any, get, post},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::http::body;

/// A server on loopback. `POST /take` counts the requests that reach it and says how long their bodies are.
struct Lab {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    taken: Arc<AtomicUsize>,
}

impl Lab {
    async fn start(limits: Limits) -> Self {
        Self::start_with(limits, None).await
    }

    async fn start_with(limits: Limits, tls: Option<Arc<Tls>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, taken) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&taken);
        let take = move |request: Request<Body>| async move {
            count.fetch_add(1, Ordering::SeqCst);
            let (parts, body) = request.into_parts();
            match body::read(&parts.headers, body, 1 << 20, Duration::from_millis(150)).await {
                Ok(body) => format!("took {}", body.len()).into_response(),
                Err(refusal) => Problem::from(refusal).into_response(),
            }
        };
        let router = Router::new()
            .route("/", get(|| async { "home" }))
            .route("/peer", get(|Peer(peer): Peer| async move { peer.to_string() }))
            .route("/take", any(take))
            .route("/swallow", post(|body: Body| async move { body.into_data_stream().count().await.to_string() }))
            .route("/panic", get(panics))
            .route("/never", get(std::future::pending::<()>))
            .route(
                "/later",
                get(|| async {
                    sleep(Duration::from_millis(100)).await;
                    "later"
                }),
            )
            .route(
                "/feed",
                get(|| async {
                    let first = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"first "))]);
                    let second = stream::once(async {
                        sleep(Duration::from_millis(250)).await;
                        Ok(Bytes::from_static(b"second"))
                    });
                    Body::from_stream(first.chain(second))
                }),
            );
        let serving = tokio::spawn(serve(listener, tls, router, limits, shutdown.clone()));
        Self { address, shutdown, serving, taken }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What comes back until the server closes the connection.
    async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        until_closed(&mut stream).await
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    async fn is_well(&self) -> bool {
        self.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.starts_with("HTTP/1.1 200")
    }
}

async fn panics() -> &'static str {
    panic!("in a test")
}

async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    // A reset behind the answer is a close, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection must be closed");
    String::from_utf8_lossy(&answer).into_owned()
}

/// What comes back in one piece.
async fn some(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = [0; 4096];
    let n = timeout(PATIENCE, stream.read(&mut answer)).await.expect("there must be an answer").unwrap_or(0);
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(100);
const HOME: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn requests_are_answered_one_behind_another_and_know_their_peer() {
    let lab = Lab::start(Limits::default()).await;
    let mut stream = lab.connect().await;
    for _ in 0..3 {
        stream.write_all(HOME.as_bytes()).await.unwrap();
        assert!(some(&mut stream).await.ends_with("home"));
    }
    stream.write_all(b"GET /peer HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(some(&mut stream).await.ends_with(&stream.local_addr().unwrap().to_string()));
    let pipelined = "POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
                     POST /take HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n\
                     POST /take HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = lab.raw(pipelined).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    assert!(answers.contains("took 3") && answers.contains("took 2") && answers.ends_with("took 0"));
}

/// F132: nothing that a proxy could frame differently reaches a handler, and the connection is closed.
#[tokio::test]
async fn ambiguous_requests_are_refused_and_the_connection_is_closed() {
    let lab = Lab::start(Limits::default()).await;
    let hidden = "0\r\n\r\nGET /take HTTP/1.1\r\nHost: a\r\n\r\n";
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5,5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length:\r\n 5\r\n",
        "Content-Length: 18446744073709551617\r\n",
        "X: y\nContent-Length: 5\r\n",
        "X: y\rContent-Length: 5\r\n",
        "X: y\0z\r\n",
        "no colon\r\n",
        "Host: b\r\n",
    ] {
        let answer = lab.raw(format!("POST /take HTTP/1.1\r\nHost: a\r\n{fields}\r\n{hidden}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{fields:?}: {answer}");
    }
    for head in [
        "POST /take HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /take HTTP/1.1\nHost: a\r\n\r\n",
        "POST /take HTTP/1.1\r\nHost: a\n\n",
        "POST /take HTTP/1.1\r\n\r\n",
        "POST /take HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "POST  /take HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let answer = lab.raw(head).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer}");
    }
    assert_eq!(lab.taken(), 0);
    for chunks in
        ["5\nabcde\r\n0\r\n\r\n", "+5\r\nabcde\r\n0\r\n\r\n", "2\r\nabcde\r\n0\r\n\r\n", "0x2\r\nab\r\n0\r\n\r\n"]
    {
        let request = format!("POST /take HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{HOME}");
        let answer = lab.raw(request).await;
        assert!(!answer.contains("home") && !answer.contains("HTTP/1.1 200"), "{chunks:?}: {answer}");
    }
    assert!(lab.is_well().await);
}

/// F133: a head that does not come to its end in time closes the connection, however lively it trickles.
#[tokio::test]
async fn slow_heads_and_silent_connections_are_closed() {
    let lab = Lab::start(Limits { head_timeout: SHORT, ..Limits::default() }).await;
    let begun = Instant::now();
    let mut silent = lab.connect().await;
    assert_eq!(until_closed(&mut silent).await, "");

    let mut slow = lab.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
    let trickled = timeout(PATIENCE, async {
        while slow.write_all(b"x").await.is_ok() {
            sleep(SHORT / 10).await;
        }
    });
    assert!(trickled.await.is_ok(), "the slow head must not go on for ever");

    let mut second = lab.connect().await;
    second.write_all(HOME.as_bytes()).await.unwrap();
    assert!(some(&mut second).await.ends_with("home"));
    second.write_all(b"GET / HT").await.unwrap();
    assert_eq!(until_closed(&mut second).await, "");
    assert!(begun.elapsed() < PATIENCE);
    assert!(lab.is_well().await);
}

/// F133: a body that stalls is answered and gone; so is one that its handler waits for without a limit of its own.
#[tokio::test]
async fn slow_bodies_are_refused() {
    let lab = Lab::start(Limits { request_timeout: SHORT * 2, ..Limits::default() }).await;
    let answer = lab.raw("POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("the body took too long"), "{answer}");
    let answer = lab.raw("POST /swallow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.to_lowercase().contains("retry-after: 1"), "{answer}");
}

/// F133: heads have a bound in bytes and in fields.
#[tokio::test]
async fn large_heads_get_431() {
    let lab = Lab::start(Limits::default()).await;
    let fitting = "x".repeat(12 * 1024);
    let answer = lab.raw(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {fitting}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let large = "x".repeat(17 * 1024);
    let answer = lab.raw(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {large}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = "X: y\r\n".repeat(101);
    let answer = lab.raw(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_connection_that_rests_is_closed_and_one_with_a_stream_is_not() {
    let lab = Lab::start(Limits { idle_timeout: SHORT, ..Limits::default() }).await;
    let mut resting = lab.connect().await;
    // The first look comes after the time for heads, the others when a rest could be over.
    resting.write_all(HOME.as_bytes()).await.unwrap();
    assert!(some(&mut resting).await.ends_with("home"));
    let lab = Lab::start(Limits { idle_timeout: SHORT, head_timeout: SHORT / 2, ..Limits::default() }).await;
    let mut resting = lab.connect().await;
    resting.write_all(HOME.as_bytes()).await.unwrap();
    assert!(some(&mut resting).await.ends_with("home"));
    assert_eq!(until_closed(&mut resting).await, "");
    let mut feed = lab.connect().await;
    feed.write_all(b"GET /feed HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let answer = until_closed(&mut feed).await;
    assert!(answer.contains("first ") && answer.contains("second"), "{answer}");
}

#[tokio::test]
async fn beyond_the_bound_a_connection_waits_until_another_closes() {
    let lab = Lab::start(Limits { connections: 2, ..Limits::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = lab.connect().await;
        stream.write_all(HOME.as_bytes()).await.unwrap();
        assert!(some(&mut stream).await.ends_with("home"));
        held.push(stream);
    }
    let mut third = lab.connect().await;
    third.write_all(HOME.as_bytes()).await.unwrap();
    assert!(timeout(SHORT, third.read_u8()).await.is_err());
    held.pop();
    assert!(some(&mut third).await.ends_with("home"));
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_goes_on() {
    let lab = Lab::start(Limits::default()).await;
    let mut stream = lab.connect().await;
    stream.write_all(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let answer = some(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && !answer.contains("in a test"), "{answer}");
    stream.write_all(HOME.as_bytes()).await.unwrap();
    assert!(some(&mut stream).await.ends_with("home"));
}

#[tokio::test]
async fn shutdown_lets_what_is_in_flight_end_and_cuts_what_does_not() {
    let lab = Lab::start(Limits { drain: SHORT * 3, ..Limits::default() }).await;
    let mut idle = lab.connect().await;
    idle.write_all(HOME.as_bytes()).await.unwrap();
    assert!(some(&mut idle).await.ends_with("home"));
    let (mut later, mut never) = (lab.connect().await, lab.connect().await);
    later.write_all(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    never.write_all(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    sleep(SHORT / 2).await;
    lab.shutdown.cancel();
    assert_eq!(until_closed(&mut idle).await, "");
    assert!(until_closed(&mut later).await.ends_with("later"));
    assert_eq!(until_closed(&mut never).await, "");
    timeout(PATIENCE, lab.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(lab.address).await.is_err());
}

/// F133: ten thousand, and a limit on open files, are tests/faults/idle.test.mjs.
#[tokio::test]
async fn a_thousand_idle_connections_do_not_hold_up_others() {
    let lab = Lab::start(Limits::default()).await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(lab.connect().await);
    }
    for _ in 0..10 {
        assert!(lab.is_well().await);
    }
    drop(idle);
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields of HTTP/2 without the table: literal, never indexed (RFC 7541 section 6.2.3).
fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let text = |t: &str| [&[u8::try_from(t.len()).unwrap()], t.as_bytes()].concat();
    list.iter().flat_map(|(name, value)| [vec![0x10], text(name), text(value)].concat()).collect()
}

fn request_fields(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)];
    fields(&[&own[..], more].concat())
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const DATA: u8 = 0;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

async fn http2(lab: &Lab) -> TcpStream {
    let mut stream = lab.connect().await;
    let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..]].concat();
    stream.write_all(&hello).await.unwrap();
    stream
}

/// The frames that the server sends until one is of this kind, or the end.
async fn until_frame(stream: &mut TcpStream, wanted: u8) -> Option<Vec<u8>> {
    let reading = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).await.ok()?;
            if head[3] == wanted {
                return Some(payload);
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("there must be an end")
}

#[tokio::test]
async fn http_2_is_spoken_in_the_clear() {
    let lab = Lab::start(Limits::default()).await;
    let mut stream = http2(&lab).await;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &request_fields("GET", "/", &[]));
    stream.write_all(&request).await.unwrap();
    assert_eq!(until_frame(&mut stream, DATA).await.unwrap(), b"home");
}

/// F132: the same list over HTTP/2, where it makes a request malformed (RFC 9113 sections 8.1.1 and 8.2.2).
#[tokio::test]
async fn fields_of_http_1_framing_are_refused_in_http_2() {
    let lab = Lab::start(Limits::default()).await;
    for more in [
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive"),
        ("content-length", "+5"),
        ("content-length", "5 5"),
        ("content-length", "7"),
        ("x", "y\r\nz: a"),
        ("Upper", "case"),
    ] {
        let mut stream = http2(&lab).await;
        let head = frame(HEADERS, END_HEADERS, 1, &request_fields("POST", "/take", &[more]));
        let body = frame(DATA, END_STREAM, 1, b"abcde");
        stream.write_all(&[head, body].concat()).await.unwrap();
        let mut answered = Vec::new();
        let _ = timeout(SHORT * 2, stream.read_to_end(&mut answered)).await;
        let text = String::from_utf8_lossy(&answered);
        assert!(!text.contains("took"), "{more:?}");
    }
    assert!(lab.is_well().await);
}

/// F133: CVE-2023-44487, streams opened and reset without end.
#[tokio::test]
async fn a_flood_of_resets_ends_in_goaway() {
    let lab = Lab::start(Limits::default()).await;
    let mut stream = http2(&lab).await;
    let mut flood = Vec::new();
    for id in (1..2_000).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, id, &request_fields("GET", "/never", &[])));
        flood.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    let _ = stream.write_all(&flood).await;
    let goaway = until_frame(&mut stream, GOAWAY).await.expect("a farewell");
    assert_eq!(goaway[4..8], 11_u32.to_be_bytes(), "ENHANCE_YOUR_CALM");
    assert!(lab.is_well().await);
}

/// F133: CVE-2024-27316, a head that is continued without end.
#[tokio::test]
async fn a_flood_of_continuations_is_cut_off() {
    let lab = Lab::start(Limits::default()).await;
    let mut stream = http2(&lab).await;
    let _ = stream.write_all(&frame(HEADERS, END_STREAM, 1, &request_fields("GET", "/", &[]))).await;
    let more = frame(CONTINUATION, 0, 1, &fields(&[("x", &"y".repeat(100))]).repeat(100));
    let flooding = timeout(PATIENCE, async { while stream.write_all(&more).await.is_ok() {} });
    assert!(flooding.await.is_ok(), "the flood must end");
    assert!(lab.is_well().await);
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let lab = Lab::start(Limits { streams: 4, ..Limits::default() }).await;
    let mut stream = http2(&lab).await;
    // Until it has acknowledged the server's settings, a client cannot know of the bound.
    stream.write_all(&frame(SETTINGS, 1, 0, &[])).await.unwrap();
    for id in [1, 3, 5, 7, 9] {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, id, &request_fields("GET", "/never", &[]));
        stream.write_all(&request).await.unwrap();
    }
    assert_eq!(until_frame(&mut stream, RST_STREAM).await.unwrap(), 7_u32.to_be_bytes(), "REFUSED_STREAM");
}

struct Certificates(TempDir);

impl Certificates {
    fn new() -> (Self, ClientConfig) {
        let files = Self(TempDir::new().unwrap());
        let client = files.replace();
        (files, client)
    }

    /// Writes a new certificate, and makes a client that trusts it alone.
    fn replace(&self) -> ClientConfig {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.0.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(self.0.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    fn load(&self) -> Arc<Tls> {
        Arc::new(Tls::load(self.0.path().join("cert.pem"), self.0.path().join("key.pem")).unwrap())
    }
}

async fn dial(lab: &Lab, client: &ClientConfig) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(client.clone()));
    connector.connect("localhost".try_into().unwrap(), lab.connect().await).await
}

#[tokio::test]
async fn tls_is_ended_here_and_its_certificate_can_be_replaced() {
    let (files, mut old) = Certificates::new();
    let tls = files.load();
    let lab = Lab::start_with(Limits { head_timeout: SHORT * 3, ..Limits::default() }, Some(Arc::clone(&tls))).await;
    old.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut stream = dial(&lab, &old).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(HOME.as_bytes()).await.unwrap();
    assert!(some(&mut stream).await.ends_with("home"));

    let mut new = files.replace();
    new.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls.reload().unwrap();
    let fresh = dial(&lab, &new).await.unwrap();
    assert_eq!(fresh.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(fresh.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    old.resumption = rustls::client::Resumption::disabled();
    assert!(dial(&lab, &old).await.is_err(), "who trusts the old certificate alone is not served it any more");
    stream.write_all(HOME.as_bytes()).await.unwrap();
    assert!(some(&mut stream).await.ends_with("home"), "connections that are open go on");
}

/// F133: who connects and does not speak TLS is not waited for.
#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut_off() {
    let (files, _client) = Certificates::new();
    let lab = Lab::start_with(Limits { head_timeout: SHORT, ..Limits::default() }, Some(files.load())).await;
    assert_eq!(until_closed(&mut lab.connect().await).await, "");
    let alert = lab.raw(HOME).await;
    assert!(!alert.contains("HTTP/1.1 200"), "{alert}");
}
