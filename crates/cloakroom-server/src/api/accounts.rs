//! Accounts: register, who am I, change the password, delete me.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloakroom_core::{credential::LoginPassword, engine::Registration};
use cloakroom_verify::Identity;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{self, AccountAnswer, LoginAnswer},
    login::TransportWish,
    person::Person,
    sent::Sent,
};
use crate::{
    handover::Transport,
    http::{body::Json, problem::Problem},
    state::{Caller, ServerState},
};

/// What `POST /v1/accounts` takes.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewAccount {
    email: String,
    password: Sent,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    app: Option<String>,
}

/// Registers an account, where the app's registration is open. It does not sign in.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "accounts", request_body = NewAccount,
    responses(
        (status = 201, body = AccountAnswer),
        (status = 400, description = "`invalid_request`, `unknown_app`"),
        (status = 403, description = "`not_admitted`, `cross_site_request`"),
        (status = 409, description = "`email_taken`"),
        (status = 429, description = "`rate_limited`"),
        (status = 503, description = "`overloaded`, `store_unavailable`"),
    )
)]
pub(super) async fn register(
    State(state): State<ServerState>,
    caller: Caller,
    Json(new): Json<NewAccount>,
) -> Result<Response, Problem> {
    let app = state.engine.app(new.app.as_deref())?;
    caller.must_come_from(app)?;
    let registration = Registration { email: new.email, password: new.password.0, name: new.name };
    let account = state.engine.register(registration, app, &caller.client).await?;
    Ok(answer::json(StatusCode::CREATED, &AccountAnswer { account: (&account).into() }))
}

/// Who I am.
#[utoipa::path(
    get, path = "/v1/account", tag = "accounts",
    responses((status = 200, body = AccountAnswer), (status = 401, description = "no valid credential")),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn whoami(State(state): State<ServerState>, identity: Identity) -> Result<Response, Problem> {
    let account = state.engine.whoami(&identity).await?;
    Ok(answer::json(StatusCode::OK, &AccountAnswer { account: (&account).into() }))
}

/// What `DELETE /v1/account` takes.
#[derive(Deserialize, ToSchema)]
pub(super) struct Proof {
    password: Sent,
}

/// Deletes the account that asks, with all its sessions.
#[utoipa::path(
    delete, path = "/v1/account", tag = "accounts", request_body = Proof,
    responses((status = 204), (status = 401, description = "no valid credential, or another password")),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn delete(
    State(state): State<ServerState>,
    Person(identity): Person,
    caller: Caller,
    Json(proof): Json<Proof>,
) -> Result<Response, Problem> {
    let password = LoginPassword::parse(proof.password.0.as_str().to_owned());
    state.engine.delete_account(&identity, password, &caller.client).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if caller.asker().is_by_cookie() {
        state.handover.clear(&mut response, identity.app())?;
    }
    Ok(response)
}

/// What `POST /v1/password` takes.
#[derive(Deserialize, ToSchema)]
pub(super) struct PasswordChange {
    current: Sent,
    new: Sent,
    /// How the new refresh token is to travel; without a wish as the request's credential did.
    #[serde(default)]
    transport: Option<TransportWish>,
}

/// Changes the password. That ends every session of the account, the one that asks included; the answer is a new one of the
/// same app, as at login.
#[utoipa::path(
    post, path = "/v1/password", tag = "accounts", request_body = PasswordChange,
    responses(
        (status = 200, body = LoginAnswer, description = "the new session"),
        (status = 400, description = "`invalid_request`: the new password is too short, too long or too weak"),
        (status = 401, description = "no valid credential, or another password; `session_revoked` also where the password \
            was changed and only the new session could not be made (`detail` says so): sign in"),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn change_password(
    State(state): State<ServerState>,
    Person(identity): Person,
    caller: Caller,
    Json(change): Json<PasswordChange>,
) -> Result<Response, Problem> {
    let current = LoginPassword::parse(change.current.0.as_str().to_owned());
    let by_cookie = caller.asker().is_by_cookie();
    let as_presented = if by_cookie { Transport::Cookie } else { Transport::Body };
    let transport = change.transport.map_or(as_presented, Into::into);
    let signed_in = state.engine.change_password(&identity, current, change.new.0, &caller.client).await?;
    let mut response = answer::json(StatusCode::OK, &LoginAnswer::signed_in(&signed_in, transport));
    state.handover.give(&mut response, &signed_in, transport)?;
    Ok(response)
}
