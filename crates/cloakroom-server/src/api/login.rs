//! Signing in, renewing, signing out.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header::SET_COOKIE},
    response::{IntoResponse, Response},
};
use cloakroom_core::{
    app::App,
    credential::LoginPassword,
    engine::{LoginRequest, Others, Renewed, Which},
    ids::AppId,
    refusal::{Code, Reason, Refusal},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{self, LoginAnswer},
    sent::Sent,
};
use crate::{
    handover::Transport,
    http::{
        body::{Json, MaybeJson},
        credential::Presented,
        problem::Problem,
    },
    state::{Asker, Caller, ServerState, is_noise, telling},
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
    password: Sent,
    #[serde(default)]
    app: Option<String>,
    #[serde(default)]
    transport: TransportWish,
    /// End all other sessions of the account, once the password has been proved.
    #[serde(default)]
    end_others: bool,
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
    Json(body): Json<LoginBody>,
) -> Result<Response, Problem> {
    let app = state.engine.app(body.app.as_deref().or(caller.asker().parameter("app").as_deref()))?;
    caller.must_come_from(app)?;
    let request = LoginRequest {
        email: body.email,
        password: LoginPassword::parse(body.password.0.as_str().to_owned()),
        app: Arc::clone(app),
        present: caller.cookies_of(app),
        others: if body.end_others { Others::End } else { Others::GoOn },
    };
    let signed_in = state.engine.login(request, &caller.client).await?;
    let transport = body.transport.into();
    let mut response = answer::json(StatusCode::OK, &LoginAnswer::signed_in(&signed_in, transport));
    state.handover.give(&mut response, &signed_in, transport)?;
    Ok(response)
}

/// What `POST /v1/refresh` takes; nothing where the cookie carries the token.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct RefreshBody {
    #[serde(default)]
    refresh_token: Option<Sent>,
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
    MaybeJson(body): MaybeJson<RefreshBody>,
) -> Result<Response, Problem> {
    let asker = caller.asker();
    if let Some(token) = body.unwrap_or_default().refresh_token {
        let renewed = renew(&asker, &token.0, None).await?;
        return Ok(answer::json(StatusCode::OK, &LoginAnswer::renewed(&renewed, Transport::Body)));
    }
    let Presented::Cookies(candidates) = asker.presented()? else {
        return Err(Refusal::from(Reason::WrongKind)
            .because("a refresh token travels in the body or in its cookie")
            .into());
    };
    let mut refused: Option<(Refusal, &Arc<App>)> = None;
    for (index, token) in candidates.iter() {
        let app = state.handover.cookies().app(index).and_then(|id| state.engine.apps().get(id.as_str()));
        let app = app.ok_or(Reason::UnknownApp)?;
        let renewed = match caller.must_come_from(app) {
            Ok(()) => renew(&asker, token, Some(&app.id)).await,
            Err(refusal) => Err(refusal),
        };
        match renewed {
            Ok(renewed) => {
                let body = LoginAnswer::renewed(&renewed, Transport::Cookie);
                let mut response = answer::json(StatusCode::OK, &body);
                // No cookie is sent when nothing changed (F006).
                if renewed.tokens.refresh.expose() != token {
                    state.handover.give_refresh(&mut response, &renewed.app, &renewed.tokens)?;
                }
                return Ok(response);
            }
            Err(refusal) => {
                let first = refused.as_ref().map(|(first, _)| first.clone());
                let app = refused.as_ref().filter(|(first, _)| !is_noise(first.reason)).map_or(app, |(_, app)| *app);
                refused = Some((telling(first, refusal), app));
            }
        }
    }
    let Some((refusal, app)) = refused else { return Err(Reason::NoCredential.into()) };
    let mut response = Problem::from(refusal.clone()).into_response();
    // A refusal clears only the very credential that it refused, and only for good (F050).
    if is_final(&refusal) {
        state.handover.clear(&mut response, app)?;
    }
    Ok(response)
}

async fn renew(asker: &Asker<'_>, token: &str, app: Option<&AppId>) -> Result<Renewed, Refusal> {
    let wanted = asker.wanted()?.map(|app| &app.id);
    asker.state.engine.renew(token, app.or(wanted), asker.activity(), &asker.client()).await
}

/// Whether asking again could not help. A ticket is no refresh token, but a good credential all the same: it stays.
fn is_final(refusal: &Refusal) -> bool {
    let over = matches!(
        refusal.code(),
        Code::SessionExpired | Code::SessionRevoked | Code::TokenReused | Code::CredentialInvalid
    );
    over && refusal.reason != Reason::WrongKind
}

/// What `POST /v1/logout` takes.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct LogoutBody {
    /// End all of the account's sessions, not only this one.
    #[serde(default)]
    everywhere: bool,
    /// The refresh token, for clients that hold it themselves.
    #[serde(default)]
    refresh_token: Option<Sent>,
}

/// Ends this session, or everything of the account.
#[utoipa::path(
    post, path = "/v1/logout", tag = "sessions", request_body = LogoutBody,
    responses(
        (status = 204),
        (status = 401, description = "nothing was presented that names a session; for everything also \
            `reauthentication_required`: by an access token alone, whose sign-in is more than ten minutes ago"),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn logout(
    State(state): State<ServerState>,
    caller: Caller,
    MaybeJson(body): MaybeJson<LogoutBody>,
) -> Result<Response, Problem> {
    let body = body.unwrap_or_default();
    let which = if body.everywhere { Which::Everywhere } else { Which::This };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let mut ended = false;
    if let Some(token) = &body.refresh_token {
        ended |= state.engine.sign_out(&token.0, which, &caller.client).await?;
    }
    match caller.asker().presented() {
        Ok(Presented::Bearer(token)) => match state.engine.sign_out(token, which, &caller.client).await {
            Ok(named) => ended |= named,
            // Everything may have ended by the refresh token before this one.
            Err(refusal) if ended && !refusal.is_passing() => {}
            Err(refusal) => return Err(refusal.into()),
        },
        Ok(Presented::Cookies(candidates)) => {
            let (mut mine, mut refused) = (false, None);
            for (index, credential) in candidates.iter() {
                let app = state.handover.cookies().app(index).and_then(|id| state.engine.apps().get(id.as_str()));
                let app = app.ok_or(Reason::UnknownApp)?;
                if let Err(refusal) = caller.must_come_from(app) {
                    refused = Some(telling(refused, refusal));
                    continue;
                }
                mine = true;
                match state.engine.sign_out(credential, which, &caller.client).await {
                    Ok(named) => ended |= named,
                    Err(refusal) if refusal.is_passing() => return Err(refusal.into()),
                    // Everything may have ended by the cookie before this one.
                    Err(refusal) => refused = Some(telling(refused, refusal)),
                }
                state.handover.clear(&mut response, app)?;
            }
            // Whatever the cookies held, this browser is signed out; only 'everywhere' takes one that is still good.
            return if mine && (ended || !body.everywhere) {
                Ok(response)
            } else {
                let mut refusal = Problem::from(refused.unwrap_or(Reason::Malformed.into())).into_response();
                for cookie in response.headers().get_all(SET_COOKIE) {
                    refusal.headers_mut().append(SET_COOKIE, cookie.clone());
                }
                Ok(refusal)
            };
        }
        Err(refusal) if !ended => return Err(refusal.into()),
        Err(_) => {}
    }
    if ended { Ok(response) } else { Err(Refusal::from(Reason::Malformed).into()) }
}
