//! The revocation feed over HTTP: server-sent events that any verifier can follow and resume.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use cloakroom_core::{refusal::Refusal, revocation::Position};
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use super::{answer, oauth};
use crate::{
    feed::SnapshotForm,
    http::problem::{Challenge, Problem},
    state::{Caller, ServerState},
};

/// The head of the log.
#[derive(Serialize, ToSchema)]
pub(super) struct Head {
    /// Which log.
    incarnation: String,
    /// Its last line.
    sequence: u64,
    /// The store's time, to the millisecond (RFC 3339).
    time: String,
    /// Which set of keys the server publishes: another one after each change of them.
    key_set: String,
}

/// The head of the log, read after the question arrived: what a lease is made of.
#[utoipa::path(
    get, path = "/v1/revocations/head", tag = "services",
    responses((status = 200, body = Head), (status = 401, description = "no service authenticated")),
    security(("service" = []))
)]
pub(super) async fn head(State(state): State<ServerState>, caller: Caller) -> Result<Response, Problem> {
    oauth::authenticate(&state, &caller).await.map_err(for_service)?;
    let head = state.engine.log_head().await?;
    let head = Head {
        incarnation: head.incarnation.to_string(),
        sequence: head.sequence,
        time: state.engine.clock().now().precise(),
        key_set: state.engine.keys_at_hand().to_string(),
    };
    Ok(answer::json(StatusCode::OK, &head))
}

fn for_service(refusal: Refusal) -> Problem {
    Problem::from(refusal).challenging(Challenge::Basic)
}

/// What ends, as it ends. `id` is `incarnation:sequence`; `Last-Event-ID` resumes, and without one, or from too far back,
/// the stream begins with `event: snapshot`. A line of the log has a field `at` beside these: when it was written (RFC 3339);
/// and each event has `hold`: for how many seconds what it ends must be held, counted from when it is received on a clock that
/// nobody sets.
#[utoipa::path(
    get, path = "/v1/revocations", tag = "services",
    params(("pages" = Option<u8>, Query, description = "`1`: a long snapshot comes as events `page`, each of at most 1 MiB, and \
        the `snapshot` is the last part of it")),
    responses(
        (status = 200, description = "`text/event-stream`", content_type = "text/event-stream"),
        (status = 401, description = "no service authenticated"),
    ),
    security(("service" = []))
)]
pub(super) async fn follow(State(state): State<ServerState>, caller: Caller) -> Result<Response, Problem> {
    let service = oauth::authenticate(&state, &caller).await.map_err(for_service)?;
    let last = caller.asker().headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let paged = caller.asker().parameter("pages").is_some_and(|pages| pages == "1");
    let form = if paged { SnapshotForm::Pages } else { SnapshotForm::Whole };
    let reader = state.feed.follow(service, last.and_then(Position::parse), form).await.map_err(for_service)?;
    let events = stream::unfold(reader, |mut reader| async move {
        let next = reader.next().await?;
        Some((Ok::<_, Infallible>(next), reader))
    });
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}
