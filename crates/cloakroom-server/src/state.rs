//! What every handler is given: the engine, the cookies, the origins; and how a request is read with them.

use std::{
    net::{IpAddr, SocketAddr},
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use cloakroom_core::{
    app::App,
    engine::{Client, Engine},
    refusal::{Reason, Refusal},
    secret::SecretText,
    verify::{Activity, Identity},
};
pub use cloakroom_verify::guard::{is_noise, telling};
use cloakroom_verify::{
    Guard,
    cross_site::{self, Asked},
    guard::{NoAddress, activity},
    query::parameter,
};

use crate::{
    config::{Config, Network},
    explain::Explainer,
    feed::Feed,
    handover::Handover,
    http::{
        Scheme,
        client_address::client_address,
        credential::{Presented, refuse_credential_in_query},
        origins::OriginBook,
        problem::Problem,
        serve::Peer,
    },
    metrics::Requests,
    returns::ReturnAddresses,
    telemetry::Traces,
};

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct ServerState(Arc<Inner>);

/// What is shared.
pub struct Inner {
    /// The domain.
    pub engine: Arc<Engine>,
    /// Reads credentials and has them checked, of the app that `?app=` names or of any.
    pub guard: Guard,
    /// Sets and clears credentials' cookies.
    pub handover: Handover,
    /// Whose pages may act.
    pub origins: Arc<OriginBook>,
    /// Where people may be sent back to.
    pub returns: ReturnAddresses,
    /// The public address with the base path: issuer and beginning of every link (F140).
    pub issuer: String,
    /// What the paths of the server begin with.
    pub base_path: String,
    /// Whether browsers come over TLS.
    pub scheme: Scheme,
    /// Shows what the server does, where it was asked to.
    pub explainer: Option<Arc<Explainer>>,
    /// Whether `/metrics` has a listener of its own.
    pub has_ops_listener: bool,
    /// What ends, for verifiers elsewhere.
    pub(crate) feed: Arc<Feed>,
    /// The requests so far.
    pub(crate) requests: Requests,
    /// Which requests are traced, if any.
    pub(crate) traces: Option<Traces>,
    trusted_proxies: Vec<Network>,
    stopping: AtomicBool,
}

impl Deref for ServerState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl ServerState {
    /// The state of a server that runs this configuration.
    pub fn new(config: &Config, engine: Arc<Engine>) -> Result<Self, NoAddress> {
        let scheme = if config.is_https() { Scheme::Https } else { Scheme::Http };
        let guard = Guard::new(engine.verifier().clone(), &config.origin())?.as_asked();
        Ok(Self(Arc::new(Inner {
            handover: Handover::new(guard.cookies().clone(), engine.clock().clone()),
            origins: Arc::clone(guard.origins()),
            guard,
            returns: ReturnAddresses::new(&config.origin()),
            issuer: config.issuer(),
            base_path: config.base_path.clone(),
            scheme,
            explainer: config.explains().then(|| Arc::new(Explainer::new(config))),
            has_ops_listener: config.ops_listen.is_some(),
            trusted_proxies: config.trusted_proxies.clone(),
            feed: Feed::new(Arc::clone(&engine)),
            requests: Requests::default(),
            traces: config.traces.as_ref().map(|traces| Traces::new(traces, &config.issuer())),
            stopping: AtomicBool::new(false),
            engine,
        })))
    }

    /// The server has begun to stop: `/readyz` says so from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.feed.stop();
    }

    /// Whether it has.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// A request as it is read: borrowed, so that a check of a credential copies nothing.
#[derive(Clone, Copy)]
pub struct Asker<'r> {
    /// The server.
    pub state: &'r ServerState,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Its query.
    pub query: Option<&'r str>,
    /// The other end of the connection.
    pub peer: Option<SocketAddr>,
}

impl<'r> Asker<'r> {
    /// The app that `?app=` asks for.
    ///
    /// # Errors
    /// `unknown_app`.
    pub fn wanted(&self) -> Result<Option<&'r Arc<App>>, Refusal> {
        match self.parameter("app") {
            Some(id) => Ok(Some(self.state.engine.apps().get(&id).ok_or(Reason::UnknownApp)?)),
            None => Ok(None),
        }
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<std::borrow::Cow<'r, str>> {
        parameter(self.query, name)
    }

    /// What the request presents.
    pub fn presented(&self) -> Result<Presented<'r>, Refusal> {
        let wanted = self.wanted()?.map(|app| &app.id);
        Presented::read(self.headers, self.query, self.state.handover.cookies(), wanted)
    }

    /// Who is asking, whatever page the request comes from.
    pub async fn identity(&self) -> Result<Identity, Refusal> {
        self.state.guard.identify(self.headers, self.query).await
    }

    /// Whether the request counts as use; a poll says that it does not.
    pub fn activity(&self) -> Activity {
        activity(self.headers)
    }

    /// Whether cookies are what counts as its credential.
    pub fn is_by_cookie(&self) -> bool {
        matches!(self.presented(), Ok(Presented::Cookies(_)))
    }

    /// Whether a configured proxy passed it on.
    pub fn is_via_proxy(&self) -> bool {
        self.peer.is_some_and(|peer| self.trusts(peer.ip()))
    }

    /// The client, for limits, device list and audit log.
    pub fn client(&self) -> Client {
        let address = self.peer.map(|peer| client_address(peer.ip(), self.headers, |ip| self.trusts(ip)));
        let agent = self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Client::new(address, agent)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.state.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

/// A request as handlers with a body take it: what [`Asker`] borrows, owned.
pub struct Caller {
    state: ServerState,
    headers: HeaderMap,
    method: Method,
    uri: Uri,
    /// The other end of the connection.
    pub peer: Option<SocketAddr>,
    /// The client.
    pub client: Client,
}

impl Caller {
    /// The caller behind the head of a request.
    pub fn of(parts: &Parts, state: &ServerState) -> Self {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        let asker = Asker { state, headers: &parts.headers, query: parts.uri.query(), peer };
        let client = asker.client();
        Self {
            state: state.clone(),
            headers: parts.headers.clone(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            peer,
            client,
        }
    }

    /// The request, to be read.
    pub fn asker(&self) -> Asker<'_> {
        Asker { state: &self.state, headers: &self.headers, query: self.uri.query(), peer: self.peer }
    }

    /// Once the app is known, which may be from the body: the request must come from a page of this one (F023).
    pub fn must_come_from(&self, app: &App) -> Result<(), Refusal> {
        let allowed = self.state.origins.of(&app.id).ok_or(Reason::UnknownApp)?;
        cross_site::judge(Asked::of(&self.method, &self.uri, &self.headers), allowed)
    }

    /// The cookies of an app that may hold a credential.
    pub fn cookies_of(&self, app: &App) -> Vec<SecretText> {
        let read = self.state.handover.cookies().read(&self.headers, Some(&app.id));
        read.map(|found| found.iter().map(|(_, value)| SecretText::new(value.to_owned())).collect()).unwrap_or_default()
    }
}

impl FromRequestParts<ServerState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, Problem> {
        // Also where the credential is read from the body (F127).
        refuse_credential_in_query(parts.uri.query())?;
        Ok(Self::of(parts, state))
    }
}
