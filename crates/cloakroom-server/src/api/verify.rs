//! `/v1/verify`: who is asking; by itself, or as the forward-auth of nginx, Traefik, Caddy and Envoy.
//!
//! The original request is told by headers that each proxy spells its own way ([`Original`]). They are only ever believed
//! to make a request stricter; where to send a person back to is taken from configured proxies alone.

use std::{
    fmt::{Display, Write},
    ops::Range,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use cloakroom_core::{
    app::App,
    method::Upstream,
    refusal::{Code, Reason, Refusal},
    verify::Identity,
};
use cloakroom_verify::cross_site::{self, Asked};

use utoipa::ToSchema;

use crate::{
    http::{
        Scheme, cookie,
        problem::{Problem, record},
        serve::Peer,
    },
    state::{Asker, ServerState},
};

const ACCOUNT: HeaderName = HeaderName::from_static("x-auth-account");
const SESSION: HeaderName = HeaderName::from_static("x-auth-session");
const APP: HeaderName = HeaderName::from_static("x-auth-app");
const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// What proxies say that the original method was.
static TOLD_METHODS: [HeaderName; 2] =
    [HeaderName::from_static("x-original-method"), HeaderName::from_static("x-forwarded-method")];
const SIGNIN: HeaderName = HeaderName::from_static("x-cloakroom-signin");

/// Who presents a credential, as it is written by [`accepted`] without a detour.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the answer, which is written field by field")]
pub(super) struct VerifiedView {
    /// The account: no more than its id, for a token carries no more.
    account: VerifiedAccount,
    /// The session's id.
    session: String,
    /// The session's app.
    app: String,
    /// The session's method.
    method: String,
    /// By which means the person signed in (RFC 8176).
    amr: Vec<String>,
    /// When the person signed in, in seconds since 1970.
    auth_time: u64,
    /// When what was presented ends (RFC 3339).
    expires_at: String,
}

/// `{"id": …}`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the answer, which is written field by field")]
pub(super) struct VerifiedAccount {
    /// Its id, a `UUIDv7`.
    id: String,
}

/// Who presents this credential. Any method and any path below are taken, as proxies send them.
#[utoipa::path(
    get, path = "/v1/verify", tag = "verify",
    params(
        ("app" = Option<String>, Query, description = "the app that the credential must belong to"),
        ("redirect" = Option<String>, Query, description = "`1`: send a person who is browsing to the sign-in page"),
        ("cookies" = Option<String>, Query, description = "`1`: answer with the cookies that are for the app behind the proxy"),
        ("of" = Option<String>, Query, description = "last: the original path and query, as they are"),
    ),
    responses(
        (status = 200, body = VerifiedView, description = "with `X-Auth-Account`, `X-Auth-Session`, `X-Auth-App` and, for `phantom`, \
            `X-Auth-Token`; with `?cookies=1` a `Cookie` header without this server's own cookies"),
        (status = 302, description = "only with `?redirect=1`: to the sign-in page"),
        (status = 401, description = "no valid credential; every identity header is there and empty, and for a person who is \
            browsing `X-Cloakroom-Signin` is the address of the sign-in page"),
        (status = 403, description = "`cross_site_request`, `not_admitted`"),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn verify(State(state): State<ServerState>, request: Request) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let (query, original) = split(request.uri().query());
    let asker = Asker { state: &state, headers: request.headers(), query, peer };
    match judge(&asker, request.method(), request.uri()).await {
        Ok(identity) => accepted(&asker, &identity).unwrap_or_else(|refusal| refused(&refusal)),
        Err(refusal) => {
            let signs_in = matches!(
                refusal.code(),
                Code::CredentialMissing | Code::CredentialInvalid | Code::SessionExpired | Code::SessionRevoked
            );
            if !signs_in || !is_browsing(request.method(), asker.headers) {
                return refused(&refusal);
            }
            if is_on(&asker, "redirect") {
                record(&refusal);
                let to = sign_in_address(&asker, original);
                with_nobody((StatusCode::FOUND, [(header::LOCATION, to)]).into_response())
            } else {
                // nginx passes no redirect of a question on: it is told where one would lead.
                let mut response = refused(&refusal);
                response.headers_mut().insert(SIGNIN, sign_in_address(&asker, original));
                response
            }
        }
    }
}

async fn judge(asker: &Asker<'_>, method: &Method, uri: &Uri) -> Result<Identity, Refusal> {
    let identity = asker.identity().await?;
    if is_unsafe(method, asker.headers) && asker.is_by_cookie() {
        let allowed = asker.state.origins.of(identity.app_id()).ok_or(Reason::AppGone)?;
        // A proxy tells the host that it was asked for, which must be one of the app's like any other proof.
        let is_told = asker.is_via_proxy() && asker.headers.contains_key("x-forwarded-host");
        let asked = Asked::of(method, uri, asker.headers);
        let host = if is_told { text(asker.headers, "x-forwarded-host") } else { asked.host };
        cross_site::judge(Asked { method: &Method::POST, host, ..asked }, allowed)?;
    }
    Ok(identity)
}

/// Parts a query at `of=`, behind which a proxy that can only put something before the original address (Envoy) writes
/// that address as it is. What stands in it is meant for the app, and neither read nor judged here.
fn split(query: Option<&str>) -> (Option<&str>, Option<&str>) {
    let Some(text) = query else { return (None, None) };
    if let Some(original) = text.strip_prefix("of=") {
        return (None, Some(original));
    }
    match text.split_once("&of=") {
        Some((own, original)) => (Some(own), Some(original)),
        None => (query, None),
    }
}

/// The strictest reading of the method: what was sent here and what a proxy says was sent to it.
fn is_unsafe(method: &Method, headers: &HeaderMap) -> bool {
    let safe = |method: &[u8]| matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE");
    let told = TOLD_METHODS.iter().flat_map(|name| headers.get_all(name));
    !safe(method.as_str().as_bytes()) || told.into_iter().any(|value| !safe(value.as_bytes()))
}

fn accepted(asker: &Asker<'_>, identity: &Identity) -> Result<Response, Refusal> {
    let token = match identity.method().properties().upstream {
        Upstream::MintedToken => value(asker.state.engine.mint_for_upstream(identity)?.expose())?,
        Upstream::Headers => HeaderValue::from_static(""),
    };
    let written = Written::of(identity);
    let mut response = Response::new(Body::from(written.body.clone()));
    let headers = response.headers_mut();
    // Room for those that the layers around add, too.
    headers.reserve(16);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCOUNT, written.value(&written.account)?);
    headers.insert(SESSION, written.value(&written.session)?);
    headers.insert(APP, written.value(&written.app)?);
    headers.insert(TOKEN, token);
    if is_on(asker, "cookies") {
        headers.insert(header::COOKIE, cookie::foreign(asker.headers));
    }
    Ok(response)
}

/// The body of an answer, and where in it the account, the session and the app stand: the headers that say the same share
/// its bytes, so that an answer takes one piece of memory.
struct Written {
    body: Bytes,
    account: Range<usize>,
    session: Range<usize>,
    app: Range<usize>,
}

impl Written {
    fn of(identity: &Identity) -> Self {
        let mut body = String::with_capacity(320);
        let account = append(&mut body, r#"{"account":{"id":""#, &identity.account());
        let session = append(&mut body, r#""},"session":""#, &identity.session());
        let app = append(&mut body, r#"","app":""#, identity.app_id());
        for part in [r#"","method":""#, identity.method().name(), r#"","amr":["#] {
            body.push_str(part);
        }
        for (i, name) in identity.amr().names().enumerate() {
            body.push_str(if i == 0 { "\"" } else { ",\"" });
            body.push_str(name);
            body.push('"');
        }
        append(&mut body, r#"],"auth_time":"#, &identity.auth_time().secs());
        append(&mut body, r#","expires_at":""#, &identity.expires_at());
        body.push_str(r#""}"#);
        Self { body: body.into(), account, session, app }
    }

    fn value(&self, part: &Range<usize>) -> Result<HeaderValue, Refusal> {
        HeaderValue::from_maybe_shared(self.body.slice(part.clone())).map_err(|_| Reason::Fault.into())
    }
}

/// Appends a value behind some text; where it stands.
fn append(body: &mut String, before: &str, value: &impl Display) -> Range<usize> {
    body.push_str(before);
    let start = body.len();
    let written = write!(body, "{value}");
    debug_assert!(written.is_ok(), "a string takes what is written");
    start..body.len()
}

/// A token is of an alphabet that a header takes.
fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| Reason::Fault.into())
}

fn refused(refusal: &Refusal) -> Response {
    with_nobody(Problem::from(refusal.clone()).into_response())
}

/// Every identity header is in every answer, empty when nobody is asking, so that nothing that a client sent in its place
/// can remain (F109).
fn with_nobody(mut response: Response) -> Response {
    for name in [ACCOUNT, SESSION, APP, TOKEN] {
        response.headers_mut().insert(name, HeaderValue::from_static(""));
    }
    response
}

fn is_on(asker: &Asker<'_>, parameter: &str) -> bool {
    asker.parameter(parameter).is_some_and(|value| value == "1")
}

/// A navigation of a browser, as far as its headers tell.
fn is_browsing(method: &Method, headers: &HeaderMap) -> bool {
    let html = text(headers, "accept").is_some_and(|accept| accept.contains("text/html"));
    let navigates = text(headers, "sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    !is_unsafe(method, headers) && html && navigates
}

/// The sign-in page, which sends the person back to where they wanted to go if that is a page of the app.
fn sign_in_address(asker: &Asker<'_>, original: Option<&str>) -> HeaderValue {
    let apps = asker.state.engine.apps();
    let app = asker.wanted().ok().flatten().unwrap_or_else(|| apps.default_app());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("app", app.id.as_str());
    if let Some(back) = original_address(asker, original, app) {
        query.append_pair("return_to", &back);
    }
    let address = format!("{}/signin?{}", asker.state.issuer, query.finish());
    HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("/"))
}

/// The page that was asked for, if a configured proxy says so and it lies at an origin of the app; the sign-in page judges
/// it once more.
fn original_address(asker: &Asker<'_>, original: Option<&str>, app: &App) -> Option<String> {
    if !asker.is_via_proxy() {
        return None;
    }
    let (headers, returns) = (asker.headers, &asker.state.returns);
    // A proxy sets one of these; where there is another beside it, one of them came from the client (F111).
    let [whole, forwarded, named] = ["x-original-url", "x-forwarded-uri", "x-original-uri"]
        .map(|name| headers.contains_key(name).then(|| text(headers, name)));
    let path = match (whole, forwarded, named, original) {
        (Some(whole), None, None, None) => return returns.judge(whole?, app),
        (None, Some(path), None, None) | (None, None, Some(path), None) => path?,
        (None, Some(path), Some(same), None) if path == same => path?,
        (None, None, None, Some(path)) => path,
        _ => return None,
    };
    let own = match asker.state.scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    };
    let scheme = text(headers, "x-forwarded-proto").unwrap_or(own);
    let host = text(headers, "x-forwarded-host").or_else(|| text(headers, "host"))?;
    returns.judge(&format!("{scheme}://{host}{path}"), app)
}

/// A header that is there once, as text.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}
