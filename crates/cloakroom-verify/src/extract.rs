//! What a handler takes to know who is asking. Having one of these means that the check was made: it cannot be forgotten.

use std::{ops::Deref, time::Duration};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use cloakroom_core::{
    refusal::{Reason, Refusal},
    verify,
};
use http::{StatusCode, header::AUTHORIZATION, request::Parts};

use crate::{layer::Visit, problem::Problem};

/// Who is asking: the bearer of a valid credential. A request without one is refused with a 401.
///
/// `Option<Identity>` lets everybody in. A cookie that is over counts as none there, for a browser sends it without
/// anybody's doing; a `Bearer` that is no good is refused, and so is a request that cannot be judged now (503).
#[derive(Clone, Debug)]
pub struct Identity(pub verify::Identity);

/// Who is asking, if they signed in less than `MINUTES` ago; for what must not be done by whoever finds a browser open.
///
/// Otherwise a 401 with the code `session_expired`, the one to which a client answers by signing in again, which is what
/// helps; the challenge says `insufficient_user_authentication` (RFC 9470), the log `not_recent`. A refresh does not make
/// a sign-in recent (F056).
#[derive(Clone, Debug)]
pub struct Recent<const MINUTES: u64>(pub Identity);

impl Deref for Identity {
    type Target = verify::Identity;

    fn deref(&self) -> &verify::Identity {
        &self.0
    }
}

impl<const MINUTES: u64> Deref for Recent<MINUTES> {
    type Target = verify::Identity;

    fn deref(&self) -> &verify::Identity {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(Visit::of(parts)?.identity(parts).await?))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        match Visit::of(parts)?.identity(parts).await {
            Ok(identity) => Ok(Some(Self(identity))),
            Err(refusal) if is_nobody(&refusal, parts) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

impl<S: Send + Sync, const MINUTES: u64> FromRequestParts<S> for Recent<MINUTES> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let visit = Visit::of(parts)?;
        let identity = visit.identity(parts).await?;
        let now = visit.guard().verifier().clock().now();
        if identity.is_recent(now, Duration::from_secs(MINUTES * 60)) {
            Ok(Self(Identity(identity)))
        } else {
            let age = Duration::from_secs(MINUTES * 60);
            Err(Refusal::from(Reason::NotRecent)
                .within(age)
                .because("this needs a sign-in of a few minutes ago")
                .into())
        }
    }
}

fn is_nobody(refusal: &Refusal, parts: &Parts) -> bool {
    let unauthorized = Problem::from(refusal.clone()).status() == StatusCode::UNAUTHORIZED;
    unauthorized && !parts.headers.contains_key(AUTHORIZATION)
}
