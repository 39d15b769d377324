//! CORS (Fetch standard, section 3.2) for the API, for origins that an app lists and for no other: never `null`, never
//! `*`. Whoever is not listed gets an answer without CORS headers, which its browser keeps from it.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};

use super::origins::OriginBook;

/// The middleware (`axum::middleware::from_fn_with_state`), outside of the cross-site rule and of routing by method, so
/// that it answers preflights for every path below it.
pub async fn cors(State(book): State<Arc<OriginBook>>, request: Request, next: Next) -> Response {
    let origin = allowed(&book, request.headers());
    let preflight =
        *request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight { no_content() } else { next.run(request).await };
    mark(response.headers_mut(), origin, preflight);
    response
}

/// The same for forward-auth, where a preflight is the app's and not ours: a proxy that asks about one would take our
/// answer to it for a yes (F107).
pub async fn cors_but_preflight(State(book): State<Arc<OriginBook>>, request: Request, next: Next) -> Response {
    let origin = allowed(&book, request.headers());
    let mut response = next.run(request).await;
    mark(response.headers_mut(), origin, false);
    response
}

fn mark(headers: &mut HeaderMap, origin: Option<HeaderValue>, preflight: bool) {
    // Always: the answer to a page without an origin must not be served to one with it.
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if preflight {
            headers
                .insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        } else {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After, WWW-Authenticate"));
        }
    }
}

/// The request's origin, if it is one that needs CORS and may have it. It equals a listed one byte for byte, so nothing
/// that a client made up is echoed (F135).
fn allowed(book: &OriginBook, headers: &HeaderMap) -> Option<HeaderValue> {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) if book.listed().contains(origin.as_bytes()) => Some(origin.clone()),
        _ => None,
    }
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

const REQUEST_HEADERS: &str = "Authorization, Content-Type, X-Cloakroom-Passive";

#[cfg(test)]
mod tests {
    use axum::{Router, middleware::from_fn_with_state, routing::post};
    use cloakroom_core::ids::AppId;
    use tower::ServiceExt;

    use super::*;

    async fn ask(method: Method, headers: &[(&'static str, &str)]) -> Response {
        let listed: &[&str] = &["https://shop.example"];
        let book = Arc::new(OriginBook::new("https://auth.example", [(AppId::parse("shop").unwrap(), listed)]));
        let router = Router::new().route("/", post(|| async { "done" })).layer(from_fn_with_state(book, cors));
        let mut request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        router.oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_listed_origin_may_ask_with_credentials() {
        let origin = ("origin", "https://shop.example");
        let preflight = ask(Method::OPTIONS, &[origin, ("access-control-request-method", "POST")]).await;
        assert_eq!(preflight.status(), 204);
        assert_eq!(preflight.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
        assert_eq!(preflight.headers()[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert!(preflight.headers()[ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap().contains("Authorization"));
        let answer = ask(Method::POST, &[origin]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
        assert_eq!(answer.headers()[VARY], "Origin");
    }

    /// F020: `null` is no origin that could be allowed, and neither is any that is not listed.
    #[tokio::test]
    async fn nobody_else_is_allowed_anything() {
        for origin in
            ["null", "*", "https://evil.example", "https://shop.example.evil.example", "http://shop.example", ""]
        {
            for method in [Method::OPTIONS, Method::POST] {
                let headers = [("origin", origin), ("access-control-request-method", "POST")];
                let answer = ask(method, &headers).await;
                assert!(!answer.headers().keys().any(|k| k.as_str().starts_with("access-control-")), "{origin}");
                assert_eq!(answer.headers()[VARY], "Origin");
            }
        }
        let twice = [("origin", "https://shop.example"), ("origin", "https://evil.example")];
        assert!(!ask(Method::POST, &twice).await.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[tokio::test]
    async fn options_that_is_no_preflight_goes_on_to_the_router() {
        assert_eq!(ask(Method::OPTIONS, &[]).await.status(), 405);
    }
}
