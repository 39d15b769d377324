//! The revocation feed: server-sent events that any verifier can follow and resume.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use cloakroom_core::{
    refusal::Refusal,
    revocation::{Answer, End, Position},
    store::Service,
};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::{answer, oauth};
use crate::{
    http::problem::{Challenge, Problem},
    state::{Caller, ServerState},
};

/// How often the log is asked when nothing is heard: also the longest that the stream of a removed service lives on.
const POLL: Duration = Duration::from_secs(1);
/// How often something is sent, so that a dead connection is noticed.
const KEEP_ALIVE: u32 = 15;

/// The head of the log.
#[derive(Serialize, ToSchema)]
pub(super) struct Head {
    /// Which log.
    incarnation: String,
    /// Its last line.
    sequence: u64,
    /// The server's clock (RFC 3339).
    time: String,
}

/// The head of the log, read after the question arrived: what a lease is made of.
#[utoipa::path(
    get, path = "/v1/revocations/head", tag = "services",
    responses((status = 200, body = Head), (status = 401, description = "no service authenticated")),
    security(("service" = []))
)]
pub(super) async fn head(State(state): State<ServerState>, caller: Caller) -> Result<Response, Problem> {
    oauth::authenticate(&state, &caller).await.map_err(for_service)?;
    let head = state.engine.stores().accounts.log_head().await.map_err(Refusal::from)?;
    let head = Head {
        incarnation: head.incarnation.to_string(),
        sequence: head.sequence,
        time: state.engine.clock().now().to_string(),
    };
    Ok(answer::json(StatusCode::OK, &head))
}

fn for_service(refusal: Refusal) -> Problem {
    Problem::from(refusal).challenging(Challenge::Basic)
}

/// What ends, as it ends. `id` is `incarnation:sequence`; `Last-Event-ID` resumes, and without one, or from too far back,
/// the stream begins with `event: snapshot`. A line of the log has a field `at` beside these: when it was written (RFC 3339).
#[utoipa::path(
    get, path = "/v1/revocations", tag = "services",
    responses(
        (status = 200, description = "`text/event-stream`", content_type = "text/event-stream"),
        (status = 401, description = "no service authenticated"),
    ),
    security(("service" = []))
)]
pub(super) async fn follow(State(state): State<ServerState>, caller: Caller) -> Result<Response, Problem> {
    let service = oauth::authenticate(&state, &caller).await.map_err(for_service)?;
    let last = caller.asker().headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let reader = Reader {
        changes: state.engine.log_changes(),
        at: last.and_then(Position::parse),
        begun: false,
        quiet: 0,
        service,
        _place: state.feed_reader(),
        state,
        waiting: VecDeque::new(),
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let next = reader.next().await?;
        Some((Ok::<_, Infallible>(next), reader))
    });
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// One reader's place in the log. It holds no more than one answer of the log at a time: whoever reads slowly is asked for
/// by the next question, not kept in memory.
struct Reader {
    state: ServerState,
    service: Service,
    changes: watch::Receiver<u64>,
    at: Option<Position>,
    begun: bool,
    quiet: u32,
    waiting: VecDeque<Bytes>,
    /// It is counted.
    _place: Arc<()>,
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.begun {
                // A lost wake-up costs one poll; a closed channel is the end of the server.
                match tokio::time::timeout(POLL, self.changes.changed()).await {
                    Ok(Ok(())) | Err(_) => {}
                    Ok(Err(_)) => return None,
                }
            }
            // An open feed would hold up the end of the server; its reader resumes elsewhere.
            if self.state.is_stopping() || !self.still_allowed().await {
                return None;
            }
            let answer = self.state.engine.ended_since(self.at).await.ok()?;
            self.take(&answer);
            self.begun = true;
            self.quiet += 1;
            if self.waiting.is_empty() && self.quiet >= KEEP_ALIVE {
                self.waiting.push_back(Bytes::from_static(b": still here\n\n"));
            }
            if !self.waiting.is_empty() {
                self.quiet = 0;
            }
        }
    }

    /// The feed of a removed service ends (F063).
    async fn still_allowed(&self) -> bool {
        let services = self.state.engine.stores().accounts.services().await;
        services.is_ok_and(|services| services.contains(&self.service))
    }

    fn take(&mut self, answer: &Answer) {
        if answer.snapshot {
            let ended: Vec<&End> = answer.entries.iter().map(|entry| &entry.end).collect();
            self.push("event: snapshot\n", answer.head, &serde_json::json!({ "ended": ended }));
        } else {
            for entry in &answer.entries {
                let id = Position { incarnation: answer.head.incarnation, sequence: entry.sequence };
                // A field that no reader of events must know, and that this project's verifiers measure their lag by.
                let at = entry.at.map(|at| format!("at: {}\n", at.precise())).unwrap_or_default();
                self.push(&at, id, &entry.end);
            }
        }
        self.at = Some(answer.head);
    }

    /// An event; `fields`: what else it has.
    fn push(&mut self, fields: &str, id: Position, data: &impl Serialize) {
        let Ok(data) = serde_json::to_string(data) else { return };
        self.waiting.push_back(Bytes::from(format!("{fields}id: {id}\ndata: {data}\n\n")));
    }
}
