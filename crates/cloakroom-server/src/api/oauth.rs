//! For authenticated services: introspection (RFC 7662) and revocation (RFC 7009).

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloakroom_core::{
    refusal::Refusal,
    revocation::Position,
    store::Service,
    verify::{Activity, Question},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use crate::{
    http::{body::Form, oauth_problem::OAuthProblem, problem::Problem, service::ServiceCredential},
    state::{Caller, ServerState},
};

/// The form that both endpoints take. A `token_type_hint` is not needed: a token's kind shows in its form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read field by field")]
pub(super) struct TokenForm {
    token: String,
    token_type_hint: Option<String>,
    /// `1`: the session is in use, and the question counts as that.
    #[serde(rename = "use")]
    in_use: Option<String>,
    /// `incarnation:sequence`: how far the asker has heard the revocation log. The answer knows of every line up to there.
    as_of: Option<String>,
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
    /// The session's method; with what follows, for verifiers that go on to judge by the revocation feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    /// The account's epoch that it carries, when not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    /// The app's epoch that it carries, when not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_epoch: Option<u32>,
    /// The key that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
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
    caller: Caller,
    form: Result<Form, Problem>,
) -> Result<Response, OAuthProblem> {
    authenticate(&state, &caller).await?;
    let form = form?;
    let token = form.require("token")?;
    if let Some(heard) = form.get("as_of").and_then(Position::parse) {
        state.engine.verifier().hear_up_to(heard).await?;
    }
    let activity = if form.get("use") == Some("1") { Activity::Active } else { Activity::Passive };
    let question = Question { credential: token, app: None, activity };
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
            token_type: Some(if token.contains('.') { "Bearer" } else { "ticket" }),
            method: Some(identity.method().name()),
            epoch: Some(identity.epochs().0.0).filter(|epoch| *epoch != 0),
            app_epoch: Some(identity.epochs().1.0).filter(|epoch| *epoch != 0),
            kid: identity.kid().map(|kid| kid.to_string()),
        },
        Err(refusal) if refusal.is_passing() => return Err(refusal.into()),
        Err(_) => Introspection::default(),
    };
    Ok(answer::json(StatusCode::OK, &found))
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
    form: Result<Form, Problem>,
) -> Result<Response, OAuthProblem> {
    authenticate(&state, &caller).await?;
    let form = form?;
    let token = form.require("token")?;
    state.engine.revoke_token(token, &caller.client).await?;
    Ok(StatusCode::OK.into_response())
}

/// The service that authenticates by HTTP Basic (RFC 7617).
pub(super) async fn authenticate(state: &ServerState, caller: &Caller) -> Result<Service, Refusal> {
    let asker = caller.asker();
    let given = ServiceCredential::read(asker.headers, asker.query)?;
    let found = state.engine.service(&given.id, given.secret.expose()).await;
    found.inspect_err(|refusal| state.engine.note_refusal(refusal.reason, None, &caller.client))
}
