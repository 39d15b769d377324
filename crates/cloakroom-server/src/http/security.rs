//! Security headers, computed once: one set for pages, one for the API.
//!
//! `Referrer-Policy` is `same-origin`: with `no-referrer` browsers would send `Origin: null` with our own forms, and the
//! cross-site rule would refuse them (F021). Pages run no script of their own but from our files, cannot be framed, and
//! load nothing from elsewhere (F024, F027).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, SET_COOKIE, STRICT_TRANSPORT_SECURITY, VARY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use super::{Scheme, origins::Origins, problem::VARY_BY_CREDENTIAL};

/// The headers of a server.
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    page: Box<[(HeaderName, HeaderValue)]>,
    api: Box<[(HeaderName, HeaderValue)]>,
}

impl SecurityHeaders {
    /// `form_targets` are the origins that a form's answer may lead on to: browsers built on Chromium apply
    /// `form-action` to the redirect after a sign-in.
    pub fn new(scheme: Scheme, form_targets: &Origins) -> Self {
        let mut form_action = "'self'".to_owned();
        for origin in form_targets.iter() {
            form_action.push(' ');
            form_action.push_str(origin);
        }
        let policy = format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; \
             form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
        );
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(STRICTEST));
        let mut common = vec![
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
            (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
            (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        ];
        if scheme == Scheme::Https {
            common.push((STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000")));
        }
        let mut page = common.clone();
        page.push((CONTENT_SECURITY_POLICY, policy));
        page.push((CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")));
        page.push((PERMISSIONS_POLICY, HeaderValue::from_static(PERMISSIONS)));
        let mut api = common;
        api.push((CONTENT_SECURITY_POLICY, HeaderValue::from_static(STRICTEST)));
        Self { page: page.into(), api: api.into() }
    }

    /// Adds what a page needs; what a handler has set stays.
    pub fn page(&self, headers: &mut HeaderMap) {
        add(&self.page, headers);
    }

    /// Adds what an answer of the API needs; what a handler has set stays.
    pub fn api(&self, headers: &mut HeaderMap) {
        add(&self.api, headers);
    }
}

/// Marks an answer as one person's: no cache keeps it, and if one did, it would not serve it to another (F130, F131).
pub fn personal(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let vary = headers.get_all(VARY).iter().any(|v| v == VARY_BY_CREDENTIAL);
    if !vary {
        headers.append(VARY, HeaderValue::from_static(VARY_BY_CREDENTIAL));
    }
}

/// [`SecurityHeaders::page`] as a middleware (`axum::middleware::from_fn_with_state`). A page is personal unless its
/// handler says how long it may be kept, and always where it sets a cookie.
pub async fn page_headers(State(security): State<Arc<SecurityHeaders>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    security.page(response.headers_mut());
    default_to_personal(response.headers_mut());
    response
}

/// [`SecurityHeaders::api`] as a middleware (`axum::middleware::from_fn_with_state`). An answer is personal unless its
/// handler says how long it may be kept, and always where it sets a cookie.
pub async fn api_headers(State(security): State<Arc<SecurityHeaders>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    security.api(response.headers_mut());
    default_to_personal(response.headers_mut());
    response
}

fn default_to_personal(headers: &mut HeaderMap) {
    if headers.contains_key(SET_COOKIE) || !headers.contains_key(CACHE_CONTROL) {
        personal(headers);
    }
}

fn add(list: &[(HeaderName, HeaderValue)], headers: &mut HeaderMap) {
    headers.reserve(list.len());
    for (name, value) in list {
        headers.entry(name).or_insert_with(|| value.clone());
    }
}

const STRICTEST: &str = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
const PERMISSIONS: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn_with_state, routing::get};
    use tower::ServiceExt;

    use super::*;

    fn headers(scheme: Scheme, fill: fn(&SecurityHeaders, &mut HeaderMap)) -> HeaderMap {
        let mut headers = HeaderMap::new();
        fill(&SecurityHeaders::new(scheme, &Origins::new(["https://shop.example"])), &mut headers);
        headers
    }

    /// F024, F027: no inline script, no framing, nothing from elsewhere.
    #[test]
    fn pages_have_a_policy_without_holes() {
        let headers = headers(Scheme::Https, SecurityHeaders::page);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; "));
        assert!(policy.contains("; form-action 'self' https://shop.example; frame-ancestors 'none'; base-uri 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains('*'));
        assert_eq!(headers[X_FRAME_OPTIONS], "DENY");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(headers.contains_key("permissions-policy"));
    }

    /// F021: under `no-referrer` a browser would send `Origin: null` with our own forms.
    #[test]
    fn the_referrer_policy_lets_own_forms_show_their_origin() {
        for fill in [SecurityHeaders::page as fn(&SecurityHeaders, &mut HeaderMap), SecurityHeaders::api] {
            assert_eq!(headers(Scheme::Http, fill)[REFERRER_POLICY], "same-origin");
        }
    }

    #[test]
    fn transport_security_is_promised_on_https_only() {
        assert!(headers(Scheme::Https, SecurityHeaders::api).contains_key(STRICT_TRANSPORT_SECURITY));
        assert!(!headers(Scheme::Http, SecurityHeaders::page).contains_key(STRICT_TRANSPORT_SECURITY));
    }

    /// F130, F131: answers are not kept unless their handler says so, and never with a cookie.
    #[tokio::test]
    async fn answers_are_personal_unless_said_otherwise() {
        let security = Arc::new(SecurityHeaders::new(Scheme::Https, &Origins::default()));
        let router = Router::new()
            .route("/mine", get(|| async { "x" }))
            .route("/keys", get(|| async { ([(CACHE_CONTROL, "public, max-age=300")], "x") }))
            .route("/cookie", get(|| async { ([(CACHE_CONTROL, "public, max-age=300"), (SET_COOKIE, "a=b")], "x") }))
            .layer(from_fn_with_state(security, api_headers));
        for (path, cache, vary) in
            [("/mine", "no-store", true), ("/keys", "public, max-age=300", false), ("/cookie", "no-store", true)]
        {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let headers = router.clone().oneshot(request).await.unwrap().headers().clone();
            assert_eq!(headers[CACHE_CONTROL], cache, "{path}");
            assert_eq!(headers.get(VARY).is_some_and(|v| v == "Cookie, Authorization"), vary, "{path}");
            assert_eq!(headers[CONTENT_SECURITY_POLICY], STRICTEST);
        }
    }

    #[test]
    fn what_a_handler_has_set_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        SecurityHeaders::new(Scheme::Http, &Origins::default()).page(&mut headers);
        assert_eq!(headers[REFERRER_POLICY], "no-referrer");
    }
}
