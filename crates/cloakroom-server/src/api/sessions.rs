//! My devices: list them, end one.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloakroom_core::{
    clock::Timestamp,
    engine::Proof,
    ids::SessionId,
    refusal::{Reason, Refusal},
};

use super::{
    answer::{self, DevicesAnswer},
    person::Person,
};
use crate::{
    http::problem::Problem,
    state::{Caller, ServerState},
};

/// This account's devices: newest first, at most 100 a page. Methods without a record have none to show.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "sessions",
    params(("before" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, body = DevicesAnswer), (status = 401, description = "no valid credential")),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn list(
    State(state): State<ServerState>,
    Person(identity): Person,
    caller: Caller,
) -> Result<Response, Problem> {
    let before = match caller.asker().parameter("before") {
        Some(place) => Some(read_place(&place).ok_or_else(bad_place)?),
        None => None,
    };
    let list = state.engine.devices(identity.account(), Some(identity.session()), before).await?;
    let answer = DevicesAnswer {
        sessions: list.devices.iter().map(Into::into).collect(),
        next: list.next.map(|(created, id)| format!("{}.{id}", created.millis())),
    };
    Ok(answer::json(StatusCode::OK, &answer))
}

/// Ends one of this account's sessions: its own at any time, another one with a recent sign-in. Another account's, or one that
/// is not there, is 404 and stays as it is.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "the session's id")),
    responses(
        (status = 204),
        (status = 401, description = "no valid credential; `reauthentication_required` for another session than the own one, \
            where the sign-in is more than ten minutes ago"),
        (status = 403, description = "`cross_site_request`"),
        (status = 404, description = "`not_found`"),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn end(
    State(state): State<ServerState>,
    Person(identity): Person,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    // What is not even text is no session's id either.
    let id = id.ok().and_then(|Path(id)| SessionId::parse(&id)).ok_or(Refusal::from(Reason::NotFound))?;
    let own = id == identity.session();
    if !state.engine.end_own(&identity, id, Proof::SignIn, &caller.client).await? {
        return Err(Refusal::from(Reason::NotFound).into());
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if own && caller.asker().is_by_cookie() {
        state.handover.clear(&mut response, identity.app())?;
    }
    Ok(response)
}

/// Where a page of the list ends: when the last one began, and its id.
fn read_place(text: &str) -> Option<(Timestamp, SessionId)> {
    let (created, id) = text.split_once('.')?;
    Some((Timestamp::from_millis(created.parse().ok()?), SessionId::parse(id)?))
}

fn bad_place() -> Refusal {
    Refusal::from(Reason::BadRequest).because("`before` is no place in the list; take it from `next`")
}
