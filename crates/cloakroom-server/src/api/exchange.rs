//! Exchanging a session of an app's former method for one of its present method.

use axum::{extract::State, http::StatusCode, response::Response};
use cloakroom_core::{
    engine::{Credentials, SignedIn},
    refusal::{Reason, Refusal},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{self, LoginAnswer},
    login::TransportWish,
    sent::Sent,
};
use crate::{
    handover::Transport,
    http::{
        body::MaybeJson,
        credential::{authorization, bearer},
        problem::Problem,
    },
    state::{Caller, ServerState, telling},
};

/// What `POST /v1/exchange` takes.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct ExchangeBody {
    /// The app; without one, the default one.
    #[serde(default)]
    app: Option<String>,
    /// The old refresh token, for clients that hold it themselves; otherwise the cookie counts, or a ticket as `Bearer`.
    #[serde(default)]
    refresh_token: Option<Sent>,
    #[serde(default)]
    transport: TransportWish,
}

/// Exchanges a session of an app's former method for one of its present method, without a password: with the same
/// `auth_time`, `amr` and absolute expiry. The old session ends; a repeat within the app's `refresh_grace` gets the same
/// successor again. Only where the app's `migrate_from` names the old method.
#[utoipa::path(
    post, path = "/v1/exchange", tag = "sessions", request_body = ExchangeBody,
    responses(
        (status = 200, body = LoginAnswer, description = "as at sign-in, by the app's present method"),
        (status = 400, description = "`invalid_request`, `unknown_app`"),
        (status = 401, description = "`credential_missing`, `credential_invalid`, `session_expired`, `session_revoked`, `token_reused`, `wrong_app`"),
        (status = 403, description = "`not_admitted`, `cross_site_request`"),
        (status = 404, description = "`not_found`: the app takes nothing in exchange"),
        (status = 503, description = "`store_unavailable`"),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn exchange(
    State(state): State<ServerState>,
    caller: Caller,
    MaybeJson(body): MaybeJson<ExchangeBody>,
) -> Result<Response, Problem> {
    let body = body.unwrap_or_default();
    let app = state.engine.app(body.app.as_deref().or(caller.asker().parameter("app").as_deref()))?;
    caller.must_come_from(app)?;
    let transport = body.transport.into();
    if let Some(token) = body.refresh_token {
        let signed_in = state.engine.exchange(&token.0, app, &caller.client).await?;
        return hand_over(&state, &signed_in, transport);
    }
    if let Some(header) = authorization(caller.asker().headers)? {
        let signed_in = state.engine.exchange(bearer(header)?, app, &caller.client).await?;
        return hand_over(&state, &signed_in, transport);
    }
    let mut refused: Option<Refusal> = None;
    for credential in caller.cookies_of(app) {
        match state.engine.exchange(credential.expose(), app, &caller.client).await {
            Ok(signed_in) => {
                let mut response = hand_over(&state, &signed_in, transport)?;
                // What the cookie held has ended, and what takes its place is not in it.
                if transport == Transport::Body && matches!(signed_in.credentials, Credentials::Tokens(_)) {
                    state.handover.clear(&mut response, app)?;
                }
                return Ok(response);
            }
            Err(refusal) => refused = Some(telling(refused, refusal)),
        }
    }
    Err(refused.unwrap_or_else(|| Reason::NoCredential.into()).into())
}

fn hand_over(state: &ServerState, signed_in: &SignedIn, transport: Transport) -> Result<Response, Problem> {
    let mut response = answer::json(StatusCode::OK, &LoginAnswer::signed_in(signed_in, transport));
    state.handover.give(&mut response, signed_in, transport)?;
    Ok(response)
}
