//! Who may act for an account: the person, by what they hold themselves.

use axum::{extract::FromRequestParts, http::request::Parts};
use cloakroom_core::refusal::{Reason, Refusal};
use cloakroom_verify::Identity;

use crate::http::problem::Problem;

/// Whoever asks, where what they present is their own. A token that was minted for an upstream says who its person is and
/// no more: an app behind a proxy must not be able to sign its users out elsewhere, or look at their devices.
pub(super) struct Person(pub(super) Identity);

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let identity = <Identity as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        if identity.is_for_upstream() {
            return Err(Refusal::from(Reason::WrongKind).because("a token for an upstream cannot act").into());
        }
        Ok(Self(identity))
    }
}
