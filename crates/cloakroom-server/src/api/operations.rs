//! Operations: the key set, health, readiness, metrics.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use cloakroom_core::{engine::KEY_SET_AGE, health::Whose, refusal::Reason};

use crate::{
    http::{client_address::is_forwarded, problem::Problem},
    metrics,
    state::{Caller, ServerState},
};

/// The public keys (RFC 7517). The one answer here that caches may keep, for less than the lead of a rotation (F045, F130).
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "keys",
    responses((status = 200, description = "a JSON Web Key Set", content_type = "application/jwk-set+json"))
)]
pub(super) async fn key_set(State(state): State<ServerState>) -> Response {
    let mut response = state.engine.key_set().to_string().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    if let Ok(age) = HeaderValue::from_str(&format!("public, max-age={}", KEY_SET_AGE.as_secs())) {
        headers.insert(header::CACHE_CONTROL, age);
    }
    response
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200)))]
pub(super) async fn alive() -> Response {
    plain("ok\n")
}

/// Whether requests should come here: this server is not worse off than its peers could be. A line for each trouble follows,
/// those that all servers share too, which turn nobody away.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, description = "ready", content_type = "text/plain"),
        (status = 503, description = "a task, the keys or the disk of this server fails, or it stops", content_type = "text/plain"),
    )
)]
pub(super) async fn ready(State(state): State<ServerState>) -> Response {
    if state.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, plain("stopping\n")).into_response();
    }
    let troubles = state.engine.ready().await;
    let own = troubles.iter().any(|trouble| trouble.whose == Whose::Own);
    let (status, word) = if own { (StatusCode::SERVICE_UNAVAILABLE, "not ready") } else { (StatusCode::OK, "ready") };
    let lines = troubles.iter().map(|trouble| format!("{trouble}\n"));
    (status, plain(format!("{word}\n{}", lines.collect::<String>()))).into_response()
}

/// For Prometheus; to loopback only, and only when no proxy has forwarded the request, unless `ops_listen` gives it a
/// listener of its own.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, content_type = "text/plain"), (status = 404, description = "asked from elsewhere"))
)]
pub(super) async fn metrics(
    State(state): State<ServerState>,
    caller: Caller,
    version: Version,
    headers: HeaderMap,
) -> Response {
    let near = caller.peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    if state.has_ops_listener || is_forwarded(version, &headers) || !near {
        return Problem::from(Reason::NotFound).into_response();
    }
    exposition(&state)
}

/// The metrics, on a listener of their own.
pub(super) async fn metrics_for_operators(State(state): State<ServerState>) -> Response {
    exposition(&state)
}

fn exposition(state: &ServerState) -> Response {
    let text = metrics::render(state);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn plain(text: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "text/plain")], text).into_response()
}
