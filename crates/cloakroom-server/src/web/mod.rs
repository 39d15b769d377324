//! The handlers of the pages: they read the form, ask the engine, and answer with a page or lead on to one.
//!
//! Every change is a POST that ends in a 303, so that no reload repeats it; a GET changes nothing
//! (F022). A refusal is a page too: [`answer::problems_as_pages`] sees to those that no
//! form takes up. What a visitor came for is read in [`visit`], who is visiting in [`visitor`].

mod answer;
mod delete;
mod devices;
mod explain;
mod password;
mod signin;
mod signout;
mod signup;
mod visit;
mod visitor;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Request},
    http::{HeaderValue, Method, header},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use cloakroom_core::refusal::Reason;
use cloakroom_verify::GuardLayer;

use crate::{
    http::{
        problem::Problem,
        security::{self, SecurityHeaders},
    },
    metrics,
    pages::assets,
    state::ServerState,
};

/// The pages' routes, with the cross-site rule and the pages' headers around them.
pub(crate) fn routes(state: &ServerState, headers: &Arc<SecurityHeaders>) -> Router<ServerState> {
    let pages = Router::new()
        .route("/", front_door())
        .route("/signin", get(signin::show).post(signin::submit).fallback(only::<BOTH>))
        .route("/signup", get(signup::show).post(signup::submit).fallback(only::<BOTH>))
        .route("/signout", get(signout::show).post(signout::submit).fallback(only::<BOTH>))
        .route("/devices", get(devices::show).fallback(only::<READ>))
        .route("/devices/end", post(devices::end).fallback(only::<POST>))
        .route("/devices/end-others", post(devices::end_others).fallback(only::<POST>))
        .route("/password", get(password::show).post(password::submit).fallback(only::<BOTH>))
        .route("/account/delete", get(delete::show).post(delete::submit).fallback(only::<BOTH>))
        .layer(GuardLayer::optional(state.guard.clone()));
    // Not behind the guard: it is nobody's page, and shows nothing of whoever looks at it.
    let explained = state.explainer.as_ref().map(explain::routes);
    pages
        .merge(explained.unwrap_or_default())
        .route("/assets/{file}", get(asset).fallback(only::<READ>))
        .layer(from_fn_with_state(state.clone(), answer::problems_as_pages))
        .layer(from_fn_with_state(headers.clone(), security::page_headers))
        .layer(from_fn_with_state(state.clone(), metrics::count_requests))
}

/// The root leads to the devices, which lead on to the sign-in page where nobody is signed in.
pub(crate) fn front_door() -> MethodRouter<ServerState> {
    get(devices::lead_here).fallback(only::<READ>)
}

/// What paths answer that are none: a page to a browser, a problem to a program.
pub(crate) fn nothing_here(state: &ServerState, headers: &Arc<SecurityHeaders>) -> Router {
    let missing = async |_: Request| Problem::from(Reason::NotFound);
    let for_people = Router::new()
        .fallback(missing)
        .layer(from_fn_with_state(state.clone(), answer::problems_as_pages))
        .layer(from_fn_with_state(headers.clone(), security::page_headers));
    let for_programs =
        Router::new().fallback(missing).layer(from_fn_with_state(headers.clone(), security::api_headers));
    let for_all = for_programs.layer(from_fn(move |request: Request, next: axum::middleware::Next| {
        let people = for_people.clone();
        async move {
            if answer::wants_page(request.headers()) {
                tower::ServiceExt::oneshot(people, request).await.into_response()
            } else {
                next.run(request).await
            }
        }
    }));
    for_all.layer(from_fn_with_state(state.clone(), metrics::count_requests))
}

/// A file that pages refer to. Its address changes with its content: it can be kept for good.
async fn asset(Path(file): Path<String>) -> Result<Response, Problem> {
    let asset = assets::find(&format!("/assets/{file}")).ok_or(Problem::from(Reason::NotFound))?;
    let mut response = asset.body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(assets::CACHE_CONTROL));
    Ok(response)
}

const READ: usize = 0;
const POST: usize = 1;
const BOTH: usize = 2;

/// What a path answers to methods that it does not have.
async fn only<const ALLOWED: usize>(_: Method, _: Request) -> Problem {
    Problem::method_not_allowed(["GET, HEAD", "POST", "GET, HEAD, POST"][ALLOWED])
}
