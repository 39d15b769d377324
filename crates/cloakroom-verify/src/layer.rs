//! The tower layer that puts a [`Guard`] around routes.
//!
//! It turns unsafe cross-site requests away, and gives the extractors what they ask. The credential is checked once per
//! request: at once where it is required, else when the first extractor asks.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::response::{IntoResponse, Response};
use cloakroom_core::{
    refusal::{Reason, Refusal},
    verify::Identity,
};
use http::{HeaderValue, Request, header::VARY, request::Parts};
use tokio::sync::OnceCell;
use tower::{Layer, Service};

use crate::{
    cross_site::Asked,
    guard::Guard,
    problem::{Problem, VARY_BY_CREDENTIAL},
};

/// Guards the routes below it.
#[derive(Clone, Debug)]
pub struct GuardLayer {
    guard: Guard,
    need: Need,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Need {
    Required,
    Optional,
}

impl GuardLayer {
    /// Nobody passes who does not present a valid credential; not even to a handler that takes no extractor.
    pub const fn required(guard: Guard) -> Self {
        Self { guard, need: Need::Required }
    }

    /// Everybody passes, but for cross-site requests; handlers say by what they take whether somebody must be signed in.
    pub const fn optional(guard: Guard) -> Self {
        Self { guard, need: Need::Optional }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.guard.clone(), need: self.need }
    }
}

/// A service that a [`GuardLayer`] lies around.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
    need: Need,
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response: IntoResponse, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was found ready is the one to call.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let visit = Visit::new(self.guard.clone());
        let need = self.need;
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if let Err(refusal) = visit.pass(&parts, need).await {
                return Ok(Problem::from(refusal).into_response());
            }
            parts.extensions.insert(visit);
            let mut response = inner.call(Request::from_parts(parts, body)).await?.into_response();
            let headers = response.headers_mut();
            if !headers.get_all(VARY).iter().any(|value| value == VARY_BY_CREDENTIAL) {
                headers.append(VARY, HeaderValue::from_static(VARY_BY_CREDENTIAL));
            }
            Ok(response)
        })
    }
}

/// One request's visit: the guard, and what it found once somebody has asked.
#[derive(Clone)]
pub(crate) struct Visit(Arc<Inner>);

struct Inner {
    guard: Guard,
    found: OnceCell<Result<Identity, Refusal>>,
}

impl Visit {
    fn new(guard: Guard) -> Self {
        Self(Arc::new(Inner { guard, found: OnceCell::new() }))
    }

    /// The visit that a [`GuardLayer`] began; a route without one is a mistake of the program.
    pub(crate) fn of(parts: &Parts) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!(
                path = parts.uri.path(),
                "a handler asks who is there, but no GuardLayer lies around its route"
            );
            Reason::Fault.into()
        })
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.0.guard
    }

    pub(crate) async fn identity(&self, parts: &Parts) -> Result<Identity, Refusal> {
        let guard = &self.0.guard;
        let ask = || guard.admit(Asked::of(&parts.method, &parts.uri, &parts.headers), parts.uri.query());
        self.0.found.get_or_init(ask).await.clone()
    }

    async fn pass(&self, parts: &Parts, need: Need) -> Result<(), Refusal> {
        let asked = Asked::of(&parts.method, &parts.uri, &parts.headers);
        self.0.guard.judge_page(asked, parts.uri.query())?;
        if need == Need::Required {
            self.identity(parts).await?;
        }
        Ok(())
    }
}
