//! `/v1/verify`: who is asking; by itself, or as the forward-auth of nginx, Traefik, Caddy and Envoy.
//!
//! The original request is told by headers that each proxy spells its own way ([`Original`]). They are only ever believed
//! to make a request stricter; where to send a person back to is taken from configured proxies alone.

use std::fmt::Write;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use cloakroom_core::{
    app::App,
    method::Upstream,
    refusal::{Code, Reason, Refusal},
    verify::Identity,
};
use cloakroom_verify::cross_site::{self, Asked};

use crate::{
    http::{
        Scheme,
        problem::{Problem, record},
        serve::Peer,
    },
    state::{Asker, ServerState},
};

const ACCOUNT: HeaderName = HeaderName::from_static("x-auth-account");
const SESSION: HeaderName = HeaderName::from_static("x-auth-session");
const APP: HeaderName = HeaderName::from_static("x-auth-app");
const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Who presents this credential. Any method and any path below are taken, as proxies send them.
#[utoipa::path(
    get, path = "/v1/verify", tag = "verify",
    params(
        ("app" = Option<String>, Query, description = "the app that the credential must belong to"),
        ("redirect" = Option<String>, Query, description = "`1`: send a person who is browsing to the sign-in page"),
    ),
    responses(
        (status = 200, description = "with `X-Auth-Account`, `X-Auth-Session`, `X-Auth-App` and, for `phantom`, `X-Auth-Token`"),
        (status = 302, description = "only with `?redirect=1`: to the sign-in page"),
        (status = 401, description = "no valid credential; every identity header is there and empty"),
        (status = 403, description = "`cross_site_request`, `not_admitted`"),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn verify(State(state): State<ServerState>, request: Request) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let asker = Asker { state: &state, headers: request.headers(), query: request.uri().query(), peer };
    let host = Asked::of(request.method(), request.uri(), request.headers()).host;
    match judge(&asker, request.method(), host).await {
        Ok(identity) => accepted(&state, &identity).unwrap_or_else(|refusal| refused(&refusal)),
        Err(refusal) => {
            let signs_in = matches!(
                refusal.code(),
                Code::CredentialMissing | Code::CredentialInvalid | Code::SessionExpired | Code::SessionRevoked
            );
            let asked = asker.parameter("redirect").is_some_and(|value| value == "1");
            if asked && signs_in && is_browsing(request.method(), asker.headers) {
                record(&refusal);
                to_sign_in(&asker)
            } else {
                refused(&refusal)
            }
        }
    }
}

async fn judge(asker: &Asker<'_>, method: &Method, host: Option<&str>) -> Result<Identity, Refusal> {
    let identity = asker.identity().await?;
    if is_unsafe(method, asker.headers) && asker.is_by_cookie() {
        let allowed = asker.state.origins.of(identity.app_id()).ok_or(Reason::AppGone)?;
        // A proxy tells the host that it was asked for, which must be one of the app's like any other proof.
        let told = if asker.is_via_proxy() { text(asker.headers, "x-forwarded-host") } else { None };
        cross_site::judge(Asked { method: &Method::POST, headers: asker.headers, host: told.or(host) }, allowed)?;
    }
    Ok(identity)
}

/// The strictest reading of the method: what was sent here and what a proxy says was sent to it.
fn is_unsafe(method: &Method, headers: &HeaderMap) -> bool {
    let safe = |method: &[u8]| matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE");
    let told = ["x-original-method", "x-forwarded-method"].into_iter().flat_map(|name| headers.get_all(name));
    !safe(method.as_str().as_bytes()) || told.into_iter().any(|value| !safe(value.as_bytes()))
}

fn accepted(state: &ServerState, identity: &Identity) -> Result<Response, Refusal> {
    let account = identity.account().to_string();
    let session = identity.session().to_string();
    let app = identity.app_id().as_str();
    let mut body = String::with_capacity(320);
    let written = write!(
        body,
        r#"{{"account":{{"id":"{account}"}},"session":"{session}","app":"{app}","method":"{}","amr":["#,
        identity.method().name()
    );
    debug_assert!(written.is_ok(), "a string takes what is written");
    for (i, name) in identity.amr().names().enumerate() {
        body.push_str(if i == 0 { "\"" } else { ",\"" });
        body.push_str(name);
        body.push('"');
    }
    let (auth_time, expires) = (identity.auth_time().secs(), identity.expires_at());
    let written = write!(body, r#"],"auth_time":{auth_time},"expires_at":"{expires}"}}"#);
    debug_assert!(written.is_ok(), "a string takes what is written");

    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCOUNT, value(&account)?);
    headers.insert(SESSION, value(&session)?);
    headers.insert(APP, value(app)?);
    let token = match identity.method().properties().upstream {
        Upstream::MintedToken => value(state.engine.mint_for_upstream(identity)?.expose())?,
        Upstream::Headers => HeaderValue::from_static(""),
    };
    headers.insert(TOKEN, token);
    Ok(response)
}

/// Ids and tokens are of alphabets that a header takes.
fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| Reason::Fault.into())
}

/// Every identity header is in every answer, empty when nobody is asking, so that nothing that a client sent in its place
/// can remain (F109).
fn refused(refusal: &Refusal) -> Response {
    let mut response = Problem::from(refusal.clone()).into_response();
    for name in [ACCOUNT, SESSION, APP, TOKEN] {
        response.headers_mut().insert(name, HeaderValue::from_static(""));
    }
    response
}

/// A navigation of a browser, as far as its headers tell.
fn is_browsing(method: &Method, headers: &HeaderMap) -> bool {
    let html = text(headers, "accept").is_some_and(|accept| accept.contains("text/html"));
    let navigates = text(headers, "sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    !is_unsafe(method, headers) && html && navigates
}

/// 302 to the sign-in page, which sends the person back to where they wanted to go if that is a page of the app.
fn to_sign_in(asker: &Asker<'_>) -> Response {
    let apps = asker.state.engine.apps();
    let app = asker.wanted().ok().flatten().unwrap_or_else(|| apps.default_app());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("app", app.id.as_str());
    if let Some(back) = original_address(asker, app) {
        query.append_pair("return_to", &back);
    }
    let location = format!("{}/signin?{}", asker.state.issuer, query.finish());
    let mut response = StatusCode::FOUND.into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The page that was asked for, if a configured proxy says so and it lies at an origin of the app; the sign-in page judges
/// it once more.
fn original_address(asker: &Asker<'_>, app: &App) -> Option<String> {
    if !asker.is_via_proxy() {
        return None;
    }
    let (headers, returns) = (asker.headers, &asker.state.returns);
    if let Some(whole) = text(headers, "x-original-url") {
        return returns.judge(whole, app);
    }
    let path = text(headers, "x-forwarded-uri").or_else(|| text(headers, "x-original-uri"))?;
    let own = match asker.state.scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    };
    let scheme = text(headers, "x-forwarded-proto").unwrap_or(own);
    let host = text(headers, "x-forwarded-host").or_else(|| text(headers, "host"))?;
    returns.judge(&format!("{scheme}://{host}{path}"), app)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
