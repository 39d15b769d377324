//! What Cloakroom is compared with: axum, alone, with jsonwebtoken, and with tower-sessions; bare, and dressed in the same
//! accept loop, limits, layers, headers and bytes as Cloakroom's own `/v1/verify`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::any,
    serve::ListenerExt,
};
use clap::{Args, ValueEnum};
use cloakroom_core::ids::AppId;
use cloakroom_lab::{
    stopwatch::pin,
    subject::{Ready, say, words},
};
use cloakroom_server::http::{
    Scheme, cors,
    origins::{OriginBook, Origins},
    security::{self, SecurityHeaders},
    serve::{Limits, serve},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

/// How a baseline finds out who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Check {
    /// It does not.
    Nothing,
    /// jsonwebtoken, HS256.
    Hs256,
    /// jsonwebtoken, `EdDSA`.
    EdDsa,
    /// tower-sessions with its memory store; the answer is written from what the session holds.
    TowerSessions,
    /// The same, but the answer is written beforehand and the session is only asked whether it is there.
    TowerSessionsStatic,
}

/// `serve-baseline`.
#[derive(Args, Debug)]
pub(crate) struct BaselineArgs {
    /// How it finds out who is asking.
    check: Check,
    /// With the same loop, limits, layers, headers and bytes as Cloakroom.
    #[arg(long)]
    dressed: bool,
    /// The core to run on.
    #[arg(long)]
    core: usize,
    /// How many sessions or tokens to make.
    #[arg(long, default_value_t = 1000)]
    credentials: usize,
    /// Where to write them, a header line each.
    #[arg(long)]
    out: PathBuf,
}

/// What a session, or a token, says.
#[derive(Clone, Serialize, Deserialize)]
struct Who {
    sub: String,
    sid: String,
    app: String,
    amr: Vec<String>,
    auth_time: u64,
    exp: u64,
    expires_at: String,
}

/// Everything that a handler needs; cheap to clone.
#[derive(Clone)]
struct Shared {
    dressed: bool,
    key: Arc<DecodingKey>,
    validation: Arc<Validation>,
}

/// Runs a baseline until standard input ends.
pub(crate) fn baseline(args: &BaselineArgs) -> io::Result<()> {
    pin(args.core)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: &BaselineArgs) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(&args.out)?);
    let (router, shared) = match args.check {
        Check::Nothing => {
            for _ in 0..args.credentials {
                writeln!(out, "cookie: cloakroom-web={}", "A".repeat(47))?;
            }
            (Router::new().route(PATH, any(nobody)), Shared::new(args.dressed, Algorithm::HS256, hmac_key()))
        }
        Check::Hs256 => {
            let encoding = EncodingKey::from_secret(&SECRET);
            tokens(&mut out, args.credentials, Algorithm::HS256, &encoding)?;
            (Router::new().route(PATH, any(token)), Shared::new(args.dressed, Algorithm::HS256, hmac_key()))
        }
        Check::EdDsa => {
            let (encoding, decoding) = ed25519()?;
            tokens(&mut out, args.credentials, Algorithm::EdDSA, &encoding)?;
            (Router::new().route(PATH, any(token)), Shared::new(args.dressed, Algorithm::EdDSA, decoding))
        }
        Check::TowerSessions | Check::TowerSessionsStatic => {
            let store = MemoryStore::default();
            for number in 0..args.credentials {
                let session = Session::new(None, Arc::new(store.clone()), None);
                session.insert(WHO, who(number)).await.map_err(io::Error::other)?;
                session.insert(SUB, who(number).sub).await.map_err(io::Error::other)?;
                session.save().await.map_err(io::Error::other)?;
                let id = session.id().ok_or_else(|| io::Error::other("a session without an id"))?;
                writeln!(out, "cookie: id={id}")?;
            }
            let routed = match args.check {
                Check::TowerSessions => Router::new().route(PATH, any(session)),
                _ => Router::new().route(PATH, any(static_session)),
            };
            let layer = SessionManagerLayer::new(store).with_secure(false);
            (routed.layer(layer), Shared::new(args.dressed, Algorithm::HS256, hmac_key()))
        }
    };
    out.flush()?;
    drop(out);
    let router = router.with_state(shared);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&Ready { address: listener.local_addr()? })?;
    let mut words = words();
    if args.dressed {
        let stop = CancellationToken::new();
        let serving = serve(listener, None, dress(router), Limits::default(), stop.clone());
        let ending = async {
            while words.recv().await.is_some() {}
            stop.cancel();
        };
        tokio::join!(serving, ending);
        return Ok(());
    }
    let listener = listener.tap_io(|stream| {
        // Without it the answer may wait; that it could not be set shows in the latency.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).with_graceful_shutdown(async move { while words.recv().await.is_some() {} }).await
}

/// The layers of Cloakroom's API.
fn dress(router: Router) -> Router {
    let apps = AppId::parse("web").map(|app| (app, &[][..] as &[String]));
    let book = Arc::new(OriginBook::new("http://localhost:8080", apps));
    let headers = Arc::new(SecurityHeaders::new(Scheme::Http, &Origins::new(book.listed().iter())));
    router.layer(from_fn_with_state(book, cors::cors)).layer(from_fn_with_state(headers, security::api_headers))
}

impl Shared {
    fn new(dressed: bool, algorithm: Algorithm, key: DecodingKey) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.validate_aud = false;
        Self { dressed, key: Arc::new(key), validation: Arc::new(validation) }
    }
}

async fn nobody(State(shared): State<Shared>) -> Response {
    if shared.dressed { prepared() } else { "ok".into_response() }
}

async fn token(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(bearer) = bearer.and_then(|value| value.strip_prefix("Bearer ")) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match jsonwebtoken::decode::<Who>(bearer, &shared.key, &shared.validation) {
        Ok(decoded) => answer(&shared, &decoded.claims),
        Err(_) => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn session(State(shared): State<Shared>, session: Session) -> Response {
    match session.get::<Who>(WHO).await {
        Ok(Some(who)) => answer(&shared, &who),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn static_session(State(shared): State<Shared>, session: Session) -> Response {
    match session.get::<String>(SUB).await {
        Ok(Some(_)) if shared.dressed => prepared(),
        Ok(Some(_)) => "ok".into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// The answer of `/v1/verify`, from what was found.
fn answer(shared: &Shared, who: &Who) -> Response {
    if !shared.dressed {
        return "ok".into_response();
    }
    let body = format!(
        r#"{{"account":{{"id":"{}"}},"session":"{}","app":"{}","method":"session","amr":["{}"],"auth_time":{},"expires_at":"{}"}}"#,
        who.sub,
        who.sid,
        who.app,
        who.amr.join("\",\""),
        who.auth_time,
        who.expires_at
    );
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    with_headers(Body::from(body), [value(&who.sub), value(&who.sid), value(&who.app)])
}

/// The same, written beforehand: what the answer costs at least.
fn prepared() -> Response {
    let values =
        ["01890000-0000-7000-8000-000000000000", "AAAAAAAAAAAAAAAAAAAAAQ", "web"].map(HeaderValue::from_static);
    with_headers(Body::from(PREPARED), values)
}

fn with_headers(body: Body, values: [HeaderValue; 3]) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in NAMES.into_iter().zip(values) {
        headers.insert(name, value);
    }
    headers.insert(HeaderName::from_static("x-auth-token"), HeaderValue::from_static(""));
    response
}

fn tokens(out: &mut impl Write, count: usize, algorithm: Algorithm, key: &EncodingKey) -> io::Result<()> {
    let header = jsonwebtoken::Header::new(algorithm);
    for number in 0..count {
        let token = jsonwebtoken::encode(&header, &who(number), key).map_err(io::Error::other)?;
        writeln!(out, "authorization: Bearer {token}")?;
    }
    Ok(())
}

fn hmac_key() -> DecodingKey {
    DecodingKey::from_secret(&SECRET)
}

fn ed25519() -> io::Result<(EncodingKey, DecodingKey)> {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::generate().map_err(io::Error::other)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(io::Error::other)?;
    Ok((EncodingKey::from_ed_der(pkcs8.as_ref()), DecodingKey::from_ed_der(pair.public_key().as_ref())))
}

fn who(number: usize) -> Who {
    Who {
        sub: format!("01890000-0000-7000-8000-{number:012}"),
        sid: format!("AAAAAAAAAA{number:012}"),
        app: "web".into(),
        amr: vec!["pwd".into()],
        auth_time: 1_800_000_000,
        exp: 4_000_000_000,
        expires_at: "2027-01-15T08:00:00Z".into(),
    }
}

const PATH: &str = "/v1/verify";
const WHO: &str = "who";
const SUB: &str = "sub";
const SECRET: [u8; 32] = [7; 32];
const NAMES: [HeaderName; 3] = [
    HeaderName::from_static("x-auth-account"),
    HeaderName::from_static("x-auth-session"),
    HeaderName::from_static("x-auth-app"),
];
const PREPARED: &str = concat!(
    r#"{"account":{"id":"01890000-0000-7000-8000-000000000000"},"session":"AAAAAAAAAAAAAAAAAAAAAQ","app":"web","#,
    r#""method":"session","amr":["pwd"],"auth_time":1800000000,"expires_at":"2027-01-15T08:00:00Z"}"#
);
