//! Why a command was not done, in words for an operator.

use cloakroom_core::{
    engine::StartError,
    key::{RingError, SecretError},
    refusal::{Code, Reason, Refusal},
    store::StoreError,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A refused command: a stable code, and a sentence that says what to do. Holds no secret.
#[derive(Clone, PartialEq, Eq, Debug, Error, Serialize, Deserialize)]
#[error("{detail}")]
pub struct CommandError {
    /// A stable code: those of the API, and a few of the command line's own.
    pub code: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl CommandError {
    /// An error of a code of the API.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::named(code.as_str(), detail)
    }

    /// An error of the command line's own.
    pub fn named(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.detail.unwrap_or_else(|| sentence(refusal.reason)))
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let code = if matches!(error, StoreError::InUse(_)) { "store_in_use" } else { Code::StoreUnavailable.as_str() };
        Self::named(code, error.to_string())
    }
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Refused(refusal) => refusal.into(),
            StartError::Secret(SecretError::Wrong) | StartError::Keys(RingError::Secret(..)) => {
                Self::named("wrong_secret", error.to_string())
            }
            error => Self::new(Code::Internal, error.to_string()),
        }
    }
}

fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::BadEmail => "this is no e-mail address",
        Reason::EmailTaken => "this e-mail address has an account already",
        Reason::NotFound => "there is no such thing",
        Reason::UnknownApp => "there is no such app in the configuration",
        Reason::PasswordTooShort => "the password is too short",
        Reason::PasswordTooLong => "the password is too long",
        Reason::PasswordTooWeak => "the password would be guessed early",
        Reason::HashQueueFull => "too many passwords are being hashed at once; try again in a moment",
        Reason::Busy => "too much waits for the store; try again in a moment",
        Reason::StoreDown => "the store does not answer; the server's log says why",
        reason => reason.as_str(),
    }
}
