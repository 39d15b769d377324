//! Signing in, renewing, signing out.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloakroom_core::{
    app::App,
    credential::LoginPassword,
    engine::{LoginRequest, Renewed, Which},
    refusal::{Code, Reason, Refusal},
    verify::Activity,
};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::answer::{self, LoginAnswer, Transport};
use crate::{
    http::{
        body::{OptionalJson, StrictJson},
        problem::Problem,
    },
    state::{Caller, ServerState},
};

/// How the refresh token is to travel, as clients ask for it.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TransportWish {
    /// In bodies.
    #[default]
    Body,
    /// In its cookie.
    Cookie,
}

impl From<TransportWish> for Transport {
    fn from(wish: TransportWish) -> Self {
        match wish {
            TransportWish::Body => Self::Body,
            TransportWish::Cookie => Self::Cookie,
        }
    }
}

/// What `POST /v1/login` takes.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginBody {
    email: String,
    password: Zeroizing<String>,
    #[serde(default)]
    app: Option<String>,
    #[serde(default)]
    transport: TransportWish,
}

/// Signs in. A login over a present session of the same app ends the old one.
#[utoipa::path(
    post, path = "/v1/login", tag = "sessions", request_body = LoginBody,
    responses(
        (status = 200, body = LoginAnswer, description = "`session`, `phantom`: sets the cookie; `jwt`, `jwt-stateless`: tokens"),
        (status = 400, description = "`invalid_request`, `unknown_app`"),
        (status = 401, description = "`invalid_credentials`"),
        (status = 403, description = "`not_admitted`, `cross_site_request`"),
        (status = 429, description = "`rate_limited`"),
        (status = 503, description = "`overloaded`, `store_unavailable`"),
    )
)]
pub(super) async fn login(
    State(state): State<ServerState>,
    caller: Caller,
    StrictJson(body): StrictJson<LoginBody>,
) -> Result<Response, Problem> {
    let app = state.engine.app(body.app.as_deref().or(caller.wanted()))?;
    caller.must_come_from(app)?;
    let request = LoginRequest {
        email: body.email,
        password: LoginPassword::parse(body.password.as_str().to_owned()),
        app: Arc::clone(app),
        present: caller.cookies_of(app).map(str::to_owned).collect(),
    };
    let signed_in = state.engine.login(request, &caller.client).await?;
    let transport = body.transport.into();
    let mut response = answer::personal(StatusCode::OK, LoginAnswer::signed_in(&signed_in, transport));
    state.cookies.hand_over(&mut response, &signed_in, transport)?;
    Ok(response)
}

/// What `POST /v1/refresh` takes; nothing where the cookie carries the token.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct RefreshBody {
    #[serde(default)]
    refresh_token: Option<Zeroizing<String>>,
}

/// Renews: a refresh token for a new access token and, at most once per grace period, for its successor.
#[utoipa::path(
    post, path = "/v1/refresh", tag = "sessions", request_body = RefreshBody,
    responses(
        (status = 200, body = LoginAnswer),
        (status = 401, description = "`credential_missing`, `credential_invalid`, `session_expired`, `session_revoked`, `token_reused`, `wrong_app`"),
        (status = 403, description = "`not_admitted`, `cross_site_request`"),
        (status = 503, description = "`store_unavailable`"),
    )
)]
pub(super) async fn refresh(
    State(state): State<ServerState>,
    caller: Caller,
    OptionalJson(body): OptionalJson<RefreshBody>,
) -> Result<Response, Problem> {
    if let Some(token) = body.refresh_token {
        let renewed = renew(&state, &caller, &token).await?;
        return Ok(answer::personal(StatusCode::OK, LoginAnswer::renewed(&renewed, Transport::Body)));
    }
    let mut refused = Refusal::from(Reason::NoCredential);
    for (app, token) in caller.cookies(&state) {
        match renew(&state, &caller, token).await {
            Ok(renewed) => {
                let body = LoginAnswer::renewed(&renewed, Transport::Cookie);
                let mut response = answer::personal(StatusCode::OK, body);
                // No cookie is sent when nothing changed (F006).
                if renewed.tokens.refresh.expose() != token {
                    state.cookies.set_refresh(&mut response, &renewed.app, &renewed.tokens)?;
                }
                return Ok(response);
            }
            Err(refusal) => refused = clearing(refused, refusal, app),
        }
    }
    let mut response = Problem::from(refused.clone()).into_response();
    // A refusal clears only the very credential that it refused, and only for good (F050).
    if is_final(&refused) {
        for (app, _) in caller.cookies(&state) {
            state.cookies.clear(&mut response, app);
        }
    }
    Ok(response)
}

async fn renew(state: &ServerState, caller: &Caller, token: &str) -> Result<Renewed, Refusal> {
    let app = caller.wanted().map(|id| state.engine.app(Some(id))).transpose()?;
    state.engine.renew(token, app.map(|app| &app.id), caller.activity, &caller.client).await
}

/// Of several refusals the first that is not about the form of what was sent.
fn clearing(first: Refusal, next: Refusal, _app: &App) -> Refusal {
    match first.reason {
        Reason::NoCredential | Reason::Malformed | Reason::BadMac | Reason::UnknownKey | Reason::WrongKind => next,
        _ => first,
    }
}

/// Whether asking again could not help.
fn is_final(refusal: &Refusal) -> bool {
    matches!(
        refusal.code(),
        Code::SessionExpired | Code::SessionRevoked | Code::TokenReused | Code::CredentialInvalid
    )
}

/// What `POST /v1/logout` takes.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct LogoutBody {
    /// End all of the account's sessions, not only this one.
    #[serde(default)]
    everywhere: bool,
    /// The refresh token, for clients that hold it themselves.
    #[serde(default)]
    refresh_token: Option<Zeroizing<String>>,
}

/// Ends this session, or everything of the account.
#[utoipa::path(
    post, path = "/v1/logout", tag = "sessions", request_body = LogoutBody,
    responses((status = 204), (status = 401, description = "nothing was presented that names a session")),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn logout(
    State(state): State<ServerState>,
    caller: Caller,
    OptionalJson(body): OptionalJson<LogoutBody>,
) -> Result<Response, Problem> {
    let which = if body.everywhere { Which::Everywhere } else { Which::This };
    let mut response = answer::done();
    let mut ended = false;
    if let Some(token) = &body.refresh_token {
        ended |= state.engine.sign_out(token, which, &caller.client).await?;
    }
    if let Some(token) = caller.bearer() {
        ended |= state.engine.sign_out(token, which, &caller.client).await?;
    }
    let mut cleared = false;
    for (app, credential) in caller.cookies(&state) {
        ended |= state.engine.sign_out(credential, which, &caller.client).await?;
        state.cookies.clear(&mut response, app);
        cleared = true;
    }
    if ended || cleared {
        return Ok(response);
    }
    let presented = caller.bearer().is_some() || body.refresh_token.is_some();
    let reason = if presented { Reason::Malformed } else { Reason::NoCredential };
    Err(Refusal::from(reason).into())
}

/// Whether a request counts as use.
pub(super) fn activity(passive: Option<&str>) -> Activity {
    if passive == Some("1") { Activity::Passive } else { Activity::Active }
}
