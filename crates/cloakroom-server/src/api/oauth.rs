//! For authenticated services: introspection (RFC 7662) and revocation (RFC 7009).

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use cloakroom_core::{
    refusal::{Code, Reason, Refusal},
    store::Service,
    verify::{Activity, Question},
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::answer;
use crate::{
    http::{
        body::StrictForm,
        problem::{OauthProblem, Problem},
    },
    state::{Caller, ServerState},
};

/// The form that both endpoints take.
#[derive(Deserialize, ToSchema)]
pub(super) struct TokenForm {
    token: Zeroizing<String>,
    /// Not needed: a token's kind shows in its form.
    #[serde(default, rename = "token_type_hint")]
    _hint: Option<String>,
}

/// An introspection answer (RFC 7662 section 2.2).
#[derive(Serialize, ToSchema, Default)]
pub(super) struct Introspection {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
}

/// Whether an access token or a ticket is good, and whose it is. A refresh token is for nobody but its client: not active.
#[utoipa::path(
    post, path = "/oauth/introspect", tag = "services",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Introspection), (status = 401, description = "`invalid_client`")),
    security(("service" = []))
)]
pub(super) async fn introspect(
    State(state): State<ServerState>,
    headers: HeaderMap,
    StrictForm(form): StrictForm<TokenForm>,
) -> Result<Response, OauthProblem> {
    authenticate(&state, &headers).await.map_err(OauthProblem)?;
    let question = Question { credential: &form.token, app: None, activity: Activity::Passive };
    let found = match state.engine.verifier().verify(question).await {
        Ok(identity) => Introspection {
            active: true,
            iss: Some(state.issuer.clone()),
            sub: Some(identity.account().to_string()),
            client_id: Some(identity.app_id().to_string()),
            aud: Some(identity.app_id().to_string()),
            sid: Some(identity.session().to_string()),
            exp: Some(identity.expires_at().secs()),
            auth_time: Some(identity.auth_time().secs()),
            amr: Some(identity.amr().names().collect()),
            token_type: Some(if form.token.contains('.') { "Bearer" } else { "ticket" }),
        },
        Err(refusal) if refusal.code() == Code::StoreUnavailable => return Err(OauthProblem(refusal)),
        Err(_) => Introspection::default(),
    };
    Ok(answer::personal(StatusCode::OK, found))
}

/// Ends what a token belongs to: an expired access token, or an older refresh token, too. Unknown ones are no error.
#[utoipa::path(
    post, path = "/oauth/revoke", tag = "services",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200), (status = 401, description = "`invalid_client`")),
    security(("service" = []))
)]
pub(super) async fn revoke(
    State(state): State<ServerState>,
    caller: Caller,
    headers: HeaderMap,
    StrictForm(form): StrictForm<TokenForm>,
) -> Result<Response, OauthProblem> {
    authenticate(&state, &headers).await.map_err(OauthProblem)?;
    state.engine.revoke_token(&form.token, &caller.client).await.map_err(OauthProblem)?;
    let mut response = StatusCode::OK.into_response();
    answer::mark_personal(&mut response);
    Ok(response)
}

/// The service that authenticates by HTTP Basic (RFC 7617).
pub(super) async fn authenticate(state: &ServerState, headers: &HeaderMap) -> Result<Service, Refusal> {
    let given = basic(headers).ok_or_else(|| Refusal::from(Reason::UnknownService))?;
    let (id, secret) = given.split_once(':').ok_or_else(|| Refusal::from(Reason::UnknownService))?;
    state.engine.service(id, secret).await
}

fn basic(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    let (scheme, encoded) = only.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 512 {
        return None;
    }
    String::from_utf8(BASE64.decode(encoded.trim().as_bytes()).ok()?).ok().map(Zeroizing::new)
}

/// A refusal of a service that did not authenticate, for endpoints that are not OAuth's.
pub(super) fn unauthenticated(refusal: Refusal) -> Response {
    let mut response = Problem::from(refusal).into_response();
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"cloakroom\", charset=\"UTF-8\""));
    response
}
