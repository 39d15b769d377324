//! Answers for people: a page, a way on, and refusals as pages.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cloakroom_core::refusal::{Reason, Refusal};

use super::visit::Visit;
use crate::{
    http::problem::Problem,
    pages::{self, ErrorPage, Flow, Locale, Page},
    state::ServerState,
};

/// A page.
pub(super) fn page(visit: &Visit, page: &impl Page) -> Response {
    with_page(Response::new(Body::empty()), visit.locale, page.render(visit.locale, visit.base()))
}

/// A page that says why it did not go through: status and headers of the refusal, which is counted and logged.
pub(super) fn refused(visit: &Visit, refusal: Refusal, page: &impl Page) -> Response {
    let mut response = Problem::from(refusal).into_response();
    response.extensions_mut().remove::<Refusal>();
    with_page(response, visit.locale, page.render(visit.locale, visit.base()))
}

/// 303: whatever the method was, the browser goes on with GET.
pub(super) fn lead_to(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else { return Problem::from(Reason::Fault).into_response() };
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// A refusal that no form takes up, with what its page carries on.
pub(super) fn problem(refusal: Refusal, flow: Flow) -> Response {
    let mut response = Problem::from(refusal).into_response();
    response.extensions_mut().insert(flow);
    response
}

/// A middleware that turns problems into pages; status and headers stay.
pub(super) async fn problems_as_pages(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let locale = locale(request.headers());
    let mut response = next.run(request).await;
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else { return response };
    let flow = response.extensions_mut().remove::<Flow>().unwrap_or_default();
    let sentence = pages::Problem::from(&refusal).sentence(locale);
    let page = ErrorPage { flow, code: refusal.code(), sentence: Some(sentence) };
    with_page(response, locale, page.render(locale, &state.base_path))
}

/// Whether the client is a browser that shows what it gets.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The language that a browser asks for.
pub(super) fn locale(headers: &HeaderMap) -> Locale {
    Locale::negotiate(headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}

fn with_page(mut response: Response, locale: Locale, html: String) -> Response {
    *response.body_mut() = Body::from(html);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(locale.tag()));
    headers.append(header::VARY, HeaderValue::from_static("Accept-Language"));
    response
}
