//! The deliberately careless login, as tutorials do it: by a session's number in a cookie, and by JWT. It exists to give way: an
//! attack that does not succeed here shows nothing about anything else. For the lab only: it listens on loopback, for the time
//! of a run, and forgets everything.
//!
//! What is wrong with it stands beside the line that does it.

mod handlers;
mod live;
mod pages;
mod params;
mod people;
mod tokens;

use std::{sync::Arc, thread};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::{any, get},
};
use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::oneshot};

use super::{
    http::{Http, Site},
    plan::Trouble,
    target::{Kind, Lasting, Target},
    tls::{Authority, serve},
};
use people::People;
use tokens::Tokens;

/// A careless login that runs until this is dropped.
pub(super) struct Careless {
    site: Site,
    kind: Kind,
    login: Arc<Login>,
    _stop: oneshot::Sender<()>,
}

/// Its state.
struct Login {
    by_tokens: bool,
    people: People,
    tokens: Tokens,
    log: Mutex<Vec<String>>,
}

/// As many as its pool of workers has places.
const WORKERS: usize = 64;

impl Careless {
    /// Starts one, on a thread of its own as such servers have it.
    pub(super) async fn start(kind: Kind, authority: &Authority) -> Result<Self, Trouble> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = format!("careless-{}.shop.test", kind.method());
        let site = Site { https: true, host, address: listener.local_addr()?, base: String::new() };
        let by_tokens = kind == Kind::CarelessJwt;
        let login = Login { by_tokens, people: People::default(), tokens: Tokens::new()?, log: Mutex::default() };
        let login = Arc::new(login);
        let (router, acceptor, listener) = (router(&login), authority.acceptor(), listener.into_std()?);
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = serve(listener, acceptor, router, WORKERS) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { site, kind, login, _stop: stop })
    }

    /// As a target.
    pub(super) fn target(&self, http: &Http, lasting: Lasting) -> Target {
        let login = Arc::clone(&self.login);
        Target {
            kind: self.kind,
            site: self.site.clone(),
            http: http.clone(),
            app: "web".to_owned(),
            token_app: "web".to_owned(),
            lasting,
            signer: Some(Arc::new(move |bytes| login.tokens.seal(bytes))),
        }
    }

    /// What it has logged.
    pub(super) fn log(&self) -> String {
        self.login.log.lock().join("\n")
    }

    /// Which of both it is.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }
}

/// Every path takes every method: a link can do what a form can.
fn router(login: &Arc<Login>) -> Router {
    Router::new()
        .route("/v1/accounts", any(handlers::sign_up))
        .route("/v1/login", any(handlers::sign_in))
        .route("/v1/verify", any(handlers::verify))
        .route("/v1/account", any(handlers::account))
        .route("/v1/password", any(handlers::password))
        .route("/v1/refresh", any(handlers::refresh))
        .route("/v1/logout", any(handlers::sign_out))
        .route("/.well-known/jwks.json", get(handlers::keys))
        .route("/public.pem", get(handlers::public_key))
        .route("/signin", any(pages::sign_in))
        .route("/home", get(pages::home))
        .route("/live", get(live::listen))
        .layer(from_fn_with_state(Arc::clone(login), around))
        .with_state(Arc::clone(login))
}

/// Around every request.
async fn around(State(login): State<Arc<Login>>, request: Request, next: Next) -> Response {
    // Logs the whole address, with the credentials that are in it, and the credentials that are in a header.
    let presented = request.headers().get(header::AUTHORIZATION).or(request.headers().get(header::COOKIE));
    login.log.lock().push(format!("{} {} {:?}", request.method(), request.uri(), presented));
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = next.run(request).await;
    // Every origin may read everything, with cookies.
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    }
    response
}
