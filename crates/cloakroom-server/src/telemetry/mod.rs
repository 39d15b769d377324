//! Traces of requests, for a collector that speaks OTLP: which requests are looked at, what is told of them, and how it gets there.
//!
//! Off unless `telemetry.traces` names an endpoint; then one request in so many is traced, and all others pay for one random
//! number. Nothing waits for the collector: what does not fit into the queue is lost, and counted. Names follow OpenTelemetry's
//! semantic conventions for HTTP servers; what stands in a span cannot come from a request ([`cloakroom_core::trace`]).

mod export;
mod otlp;
mod parent;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use cloakroom_core::{
    random::Rng,
    trace::{Attribute, Finished, Trace},
};
pub(crate) use export::Exporter;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    config::TracesConfig,
    http::{Scheme, method_name, serve::Peer},
    state::{Asker, ServerState},
};

/// The most finished traces that wait for the collector.
const QUEUE: usize = 2048;

/// Which requests are traced, and the way to the collector.
pub(crate) struct Traces {
    one_in: u32,
    rng: Rng,
    queue: mpsc::Sender<Finished>,
    counts: Arc<Counts>,
    exporter: Mutex<Option<Exporter>>,
}

/// Traces since the start.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    pub(crate) lost: AtomicU64,
}

impl Traces {
    pub(crate) fn new(config: &TracesConfig, issuer: &str) -> Self {
        let (queue, finished) = mpsc::channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let exporter = Exporter::new(config.clone(), issuer, finished, Arc::clone(&counts));
        Self { one_in: config.one_in, rng: Rng::system(), queue, counts, exporter: Mutex::new(Some(exporter)) }
    }

    /// What sends them; there is one.
    pub(crate) fn exporter(&self) -> Option<Exporter> {
        self.exporter.lock().take()
    }

    /// How many were sent, and how many were lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.counts.sent.load(Ordering::Relaxed), self.counts.lost.load(Ordering::Relaxed))
    }

    /// Begins a trace of this request, if it is one to be looked at. A proxy that is trusted has decided that for those that it
    /// traces; what strangers say of traces is not read, or they could make the server trace each of their requests.
    fn begin(&self, state: &ServerState, request: &Request) -> Option<(Arc<Trace>, cloakroom_core::trace::Here)> {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let asker = Asker { state, headers: request.headers(), query: None, peer };
        if let Some(parent) = parent::of(request.headers()).filter(|_| asker.is_via_proxy()) {
            return parent.is_sampled.then(|| Trace::begin(Some((parent.trace, parent.span)), &self.rng));
        }
        (self.rng.below(u64::from(self.one_in)) == 0).then(|| Trace::begin(None, &self.rng))
    }
}

/// Traces a request from its head to the head of its answer.
pub(crate) async fn trace_request(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let Some(traces) = &state.traces else { return next.run(request).await };
    let Some((trace, here)) = traces.begin(&state, &request) else { return next.run(request).await };
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = method_name(request.method());
    let response = here.within(next.run(request)).await;
    let status = response.status();
    let mut attributes = vec![
        ("http.request.method", Attribute::Word(method)),
        ("http.response.status_code", Attribute::Number(status.as_u16().into())),
        ("url.scheme", Attribute::Word(if state.scheme == Scheme::Https { "https" } else { "http" })),
    ];
    if status.is_server_error() {
        attributes.push(("error.type", Attribute::Word("server_error")));
    }
    let name = match &route {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    };
    attributes.extend(route.map(|route| ("http.route", Attribute::Route(route))));
    if traces.queue.try_send(trace.finish(name, attributes, status.is_server_error())).is_err() {
        traces.counts.lost.fetch_add(1, Ordering::Relaxed);
    }
    response
}
