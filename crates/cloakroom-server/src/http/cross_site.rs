//! The cross-site rule of `cloakroom_verify::cross_site` as a middleware around the server's own routes.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cloakroom_verify::{
    cross_site::{Asked, judge},
    origins::OriginBook,
    problem::Problem,
};

/// The rule as a middleware (`axum::middleware::from_fn_with_state`). With `?app=` that app's origins count, else every
/// app's; a handler that learns of the app later judges again.
pub async fn guard(State(book): State<Arc<OriginBook>>, request: Request, next: Next) -> Response {
    let allowed = match request.uri().query().and_then(app_of) {
        Some(app) => book.named(&app).unwrap_or(book.all()),
        None => book.all(),
    };
    match judge(Asked::of(request.method(), request.uri(), request.headers()), allowed) {
        Ok(()) => next.run(request).await,
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

fn app_of(query: &str) -> Option<std::borrow::Cow<'_, str>> {
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "app").map(|(_, app)| app)
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn_with_state, routing::post};
    use cloakroom_core::ids::AppId;
    use http::{StatusCode, header::ORIGIN};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn the_middleware_judges_by_the_app_that_is_named() {
        let app = |name| AppId::parse(name).unwrap();
        let apps: [(AppId, &[&str]); 2] =
            [(app("shop"), &["https://shop.example"]), (app("blog"), &["https://blog.example"])];
        let book = Arc::new(OriginBook::new("https://auth.example", apps));
        let router = Router::new().route("/", post(|| async { "done" })).layer(from_fn_with_state(book, guard));
        for (uri, origin, expected) in [
            ("/", "https://blog.example", 200),
            ("/?app=blog", "https://blog.example", 200),
            ("/?app=shop", "https://blog.example", 403),
            ("/?app=shop", "https://auth.example", 200),
            ("/?app=none", "https://evil.example", 403),
        ] {
            let request = Request::post(uri).header(ORIGIN, origin).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::from_u16(expected).unwrap(), "{uri} {origin}");
        }
    }
}
