//! The JSON API: the public contract's calls, one file for each thing they are about.

mod accounts;
mod answer;
mod exchange;
mod login;
mod oauth;
mod openapi;
mod operations;
mod person;
mod revocations;
mod sent;
mod sessions;
mod verify;

use axum::{
    Router,
    extract::Request,
    http::Method,
    middleware::from_fn_with_state,
    routing::{any, delete, get, post},
};
use cloakroom_verify::GuardLayer;

use crate::{
    http::{
        cors,
        problem::Problem,
        security::{self, SecurityHeaders},
    },
    metrics,
    state::ServerState,
};

/// The API's routes. The cross-site rule and the headers lie around all of them; only `/v1/verify` judges the original
/// request by itself, since what it is sent is a proxy's question and not a page's.
pub(crate) fn routes(state: &ServerState, headers: &std::sync::Arc<SecurityHeaders>) -> Router<ServerState> {
    let guarded = Router::new()
        .route("/v1/accounts", post(accounts::register).fallback(only::<1>))
        .route("/v1/account", get(accounts::whoami).delete(accounts::delete).fallback(only::<2>))
        .route("/v1/password", post(accounts::change_password).fallback(only::<1>))
        .route("/v1/login", post(login::login).fallback(only::<1>))
        .route("/v1/refresh", post(login::refresh).fallback(only::<1>))
        .route("/v1/exchange", post(exchange::exchange).fallback(only::<1>))
        .route("/v1/logout", post(login::logout).fallback(only::<1>))
        .route("/v1/sessions", get(sessions::list).fallback(only::<0>))
        .route("/v1/sessions/{id}", delete(sessions::end).fallback(only::<3>))
        .route("/oauth/introspect", post(oauth::introspect).fallback(only::<1>))
        .route("/oauth/revoke", post(oauth::revoke).fallback(only::<1>))
        .layer(GuardLayer::optional(state.guard.clone()));
    let asked = Router::new()
        .route("/v1/verify", any(verify::verify))
        .route("/v1/verify/", any(verify::verify))
        .route("/v1/verify/{*path}", any(verify::verify))
        .layer(from_fn_with_state(state.origins.clone(), cors::cors_but_preflight));
    let open = Router::new()
        .route("/v1/revocations", get(revocations::follow).fallback(only::<0>))
        .route("/v1/revocations/head", get(revocations::head).fallback(only::<0>))
        .route("/.well-known/jwks.json", get(operations::key_set).fallback(only::<0>))
        .route("/healthz", get(operations::alive).fallback(only::<0>))
        .route("/readyz", get(operations::ready).fallback(only::<0>))
        .route("/metrics", get(operations::metrics).fallback(only::<0>))
        .route("/openapi.json", get(openapi::document).fallback(only::<0>));
    guarded
        .merge(open)
        .layer(from_fn_with_state(state.origins.clone(), cors::cors))
        .layer(from_fn_with_state(state.clone(), metrics::count_requests))
        .merge(asked)
        .layer(from_fn_with_state(headers.clone(), security::api_headers))
}

/// The routes of the operators' own listener.
pub(crate) fn operator_routes() -> Router<ServerState> {
    Router::new()
        .route("/metrics", get(operations::metrics_for_operators))
        .route("/healthz", get(operations::alive))
        .route("/readyz", get(operations::ready))
}

/// What a path answers to methods that it does not have.
async fn only<const ALLOWED: usize>(_: Method, _: Request) -> Problem {
    Problem::method_not_allowed(["GET, HEAD", "POST", "GET, HEAD, DELETE", "DELETE"][ALLOWED])
}
