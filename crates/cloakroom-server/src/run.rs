//! A running server: listeners, background work, and an orderly end.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use cloakroom_core::{clock::Clock, engine::Engine, random::Rng, store::sqlite::DirectoryLock};
use cloakroom_verify::{Guard, guard::NoAddress};
use thiserror::Error;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    api,
    assemble::{self, OpenError},
    config::Config,
    control::{Control, Serving, Socket, SocketError},
    explain,
    http::{
        origins::Origins,
        security::SecurityHeaders,
        serve::{self, Limits},
        tls::{Tls, TlsError},
    },
    metrics,
    state::ServerState,
    telemetry::{Traces, trace_request},
    web,
};

/// Why a server cannot run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configured system cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The public address is none that browsers can be at.
    #[error(transparent)]
    Address(#[from] NoAddress),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Operators could not reach it.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// A server that listens; it answers once [`run`](Self::run) is awaited.
pub struct Server {
    listener: TcpListener,
    operators: Option<TcpListener>,
    tls: Option<Arc<Tls>>,
    socket: Socket,
    control: Arc<Control>,
    state: ServerState,
    service: Router,
    limits: Limits,
    /// Of the data directory, where no store holds it.
    _lock: Option<DirectoryLock>,
}

/// How long a stop waits for the last traces to be sent.
const LAST_TRACES: Duration = Duration::from_secs(11);
/// How often the certificate's files are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(5);

impl Server {
    /// Opens the stores, binds the listeners and puts the routes together.
    pub async fn bind(config: Config) -> Result<Self, ServeError> {
        Self::bind_with(config, Clock::system(), Rng::system()).await
    }

    /// The same, by another clock and other randomness: so that tests move time instead of waiting for it.
    pub async fn bind_with(mut config: Config, clock: Clock, rng: Rng) -> Result<Self, ServeError> {
        let listener = listen(config.listen).await?;
        let address = listener.local_addr().map_err(|error| ServeError::Listen(config.listen, error))?;
        config.bound(address);
        let lock = assemble::lock(&config)?;
        let engine = Box::pin(assemble::open(&config, clock, rng)).await?;
        Self::over(engine, config, listener, lock).await
    }

    /// The same over an engine that is open.
    async fn over(
        engine: Arc<Engine>,
        config: Config,
        listener: TcpListener,
        lock: Option<DirectoryLock>,
    ) -> Result<Self, ServeError> {
        let address = listener.local_addr().map_err(|error| ServeError::Listen(config.listen, error))?;
        let operators = match config.ops_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let tls = match &config.tls {
            Some(tls) => Some(Arc::new(Tls::load(&tls.certificate, &tls.key)?)),
            None => None,
        };
        metrics::install();
        let state = ServerState::new(&config, Arc::clone(&engine))?;
        let service = router(&state);
        // Last: from here on the command line speaks to this server.
        let socket = Socket::bind(&config.data_dir)?;
        let serving = Serving { listen: address, since: engine.clock().now() };
        let control = Arc::new(Control::new(engine, Arc::new(config)).serving(serving));
        Ok(Self { listener, operators, tls, socket, control, state, service, limits: Limits::default(), _lock: lock })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What it serves.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.state.engine
    }

    /// The server's public address, with its base path.
    pub fn public_url(&self) -> &str {
        &self.state.issuer
    }

    /// Guards the routes of an app in this process, which shares the host with the server: browsers send it the server's
    /// cookies. It takes the credentials of every app; see [`Guard::for_app`].
    pub fn guard(&self) -> Result<Guard, NoAddress> {
        Guard::new(Arc::clone(self.state.engine.verifier()), &self.state.issuer)
    }

    /// Serves until `shutdown`: then `/readyz` turns, what is in flight ends, and what waits is written.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let background = self.state.engine.spawn();
        let exporter = self.state.traces.as_ref().and_then(Traces::exporter);
        let over = CancellationToken::new();
        let exporting = exporter.map(|exporter| exporter.start(over.clone()));
        let watch = self.tls.clone().map(|tls| tls.watch(CERTIFICATE_CHECK, stop.clone()));
        let main = serve::serve(self.listener, self.tls, self.service, self.limits.clone(), stop.clone());
        let operators = async {
            if let Some(listener) = self.operators {
                let service = api::operator_routes().with_state(self.state.clone());
                serve::serve(listener, None, service, self.limits.clone(), stop.clone()).await;
            }
        };
        let stopping = async {
            shutdown.await;
            self.state.stop();
            stop.cancel();
        };
        let control = self.socket.serve(self.control, stop.clone().cancelled_owned());
        tokio::join!(main, operators, control, stopping);
        // What their clients have left is finished all the same.
        self.state.engine.finish().await;
        background.stop().await;
        over.cancel();
        if let Some(exporting) = exporting {
            // What it has not sent by then is lost with it.
            let _ = timeout(LAST_TRACES, exporting.over()).await;
        }
        if let Err(error) = self.state.engine.flush().await {
            tracing::error!(%error, "what was waiting could not be written");
        }
        if let Some(watch) = watch {
            watch.stop().await;
        }
    }
}

/// Runs a server from its configuration to its end.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    Server::bind(config).await?.run(shutdown).await;
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|error| ServeError::Listen(address, error))
}

/// All routes under the base path.
pub fn router(state: &ServerState) -> Router {
    let targets = Origins::new(state.origins.listed().iter());
    let headers = Arc::new(SecurityHeaders::new(state.scheme, &targets));
    let routes = api::routes(state, &headers).merge(web::routes(state, &headers));
    let routes = match state.base_path.as_str() {
        "" => routes,
        // `nest` alone would know the base path only without the slash at its end.
        base => Router::new().nest(base, routes).route(&format!("{base}/"), web::front_door()),
    };
    // Inside the traces for a collector, so that an explained request is heard here whether or not it is one of those.
    let routes = match &state.explainer {
        Some(explainer) => routes.layer(from_fn_with_state(Arc::clone(explainer), explain::listen)),
        None => routes,
    };
    let routes = match state.traces {
        Some(_) => routes.layer(from_fn_with_state(state.clone(), trace_request)),
        None => routes,
    };
    routes.fallback_service(web::nothing_here(state, &headers)).with_state(state.clone())
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
