//! Accounts: register, who am I, change the password, delete me.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloakroom_core::{
    credential::LoginPassword,
    engine::{PasswordChanged, Registration},
};
use cloakroom_verify::Identity;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::{self, AccountAnswer, LoginAnswer},
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
}

/// Changes the password and ends all other sessions. A session that is looked up gets a new cookie; a `jwt` session goes on
/// with its refresh token, and its access token ends.
#[utoipa::path(
    post, path = "/v1/password", tag = "accounts", request_body = PasswordChange,
    responses(
        (status = 200, body = LoginAnswer, description = "the session that goes on"),
        (status = 204, description = "a `jwt` session goes on: refresh"),
        (status = 400, description = "`invalid_request`: the new password is too short, too long or too weak"),
        (status = 401, description = "no valid credential, or another password"),
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
    let changed = state.engine.change_password(&identity, current, change.new.0, &caller.client).await?;
    Ok(match changed {
        PasswordChanged::CarriedOver => StatusCode::NO_CONTENT.into_response(),
        PasswordChanged::Anew(signed_in) => {
            let transport = if caller.asker().is_by_cookie() { Transport::Cookie } else { Transport::Body };
            let body = LoginAnswer::signed_in(&signed_in, transport);
            let mut response = answer::json(StatusCode::OK, &body);
            state.handover.give(&mut response, &signed_in, transport)?;
            response
        }
    })
}
