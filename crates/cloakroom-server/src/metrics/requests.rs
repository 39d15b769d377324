//! Requests by method, route and class of status: how many, and how long each took to be answered.
//!
//! Routes are the router's templates and methods a fixed list, so a stranger makes no new series. It lies around every route but
//! those of verification, which must not pay for it.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use cloakroom_core::tally::{TimeCounts, Times};
use parking_lot::RwLock;

use crate::{http::method_name, state::ServerState};

/// What requests are counted by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Kind {
    pub(super) route: String,
    pub(super) method: &'static str,
    pub(super) status: &'static str,
}

/// The requests of a server so far.
#[derive(Default)]
pub(crate) struct Requests(RwLock<BTreeMap<Kind, Arc<Times>>>);

impl Requests {
    /// All of them.
    pub(super) fn counts(&self) -> Vec<(Kind, TimeCounts)> {
        self.0.read().iter().map(|(kind, times)| (kind.clone(), times.counts())).collect()
    }

    fn times(&self, kind: Kind) -> Arc<Times> {
        let known = self.0.read().get(&kind).cloned();
        known.unwrap_or_else(|| Arc::clone(self.0.write().entry(kind).or_default()))
    }
}

/// Counts a request when its answer begins. One whose client has gone before is not counted.
pub(crate) async fn count_requests(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let method = method_name(request.method());
    let begun = Instant::now();
    let response = next.run(request).await;
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let route = route.strip_prefix(&state.base_path).filter(|rest| !rest.is_empty()).unwrap_or(route).to_owned();
    let status = ["1xx", "2xx", "3xx", "4xx", "5xx"][usize::from(response.status().as_u16() / 100 - 1).min(4)];
    state.requests.times(Kind { route, method, status }).observe(begun.elapsed());
    response
}
