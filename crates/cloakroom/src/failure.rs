//! Why a command ends without having done its work, with its exit status.

use std::error::Error;

use cloakroom_server::{
    assemble::OpenError,
    config::ConfigErrors,
    control::{AskError, CommandError},
};
use serde_json::{Value, json};

/// Refused, or something was found.
pub(crate) const REFUSED: u8 = 1;
/// Wrong usage or configuration.
pub(crate) const USAGE: u8 = 2;

/// Why not.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: u8,
    code: String,
    detail: String,
    /// What `--json` tells besides.
    more: Option<(&'static str, Value)>,
}

impl Failure {
    /// It would not be done.
    pub(crate) fn refused(code: &str, detail: impl Into<String>) -> Self {
        Self { exit: REFUSED, code: code.to_owned(), detail: detail.into(), more: None }
    }

    /// It was asked for in the wrong way.
    pub(crate) fn usage(detail: impl Into<String>) -> Self {
        Self { exit: USAGE, ..Self::refused("usage", detail) }
    }

    /// A file says what it cannot; `errors` are its mistakes one by one.
    pub(crate) fn wrong_file(code: &str, detail: String, errors: Option<Value>) -> Self {
        Self { exit: USAGE, more: errors.map(|errors| ("errors", errors)), ..Self::refused(code, detail) }
    }

    /// The system would not.
    pub(crate) fn fault(error: &dyn Error) -> Self {
        Self::refused("fault", error.to_string())
    }

    /// For people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// `{"error":{"code","detail"}}`.
    pub(crate) fn json(&self) -> Value {
        let mut error = json!({ "code": self.code, "detail": self.detail });
        if let Some((name, value)) = &self.more {
            error[*name] = value.clone();
        }
        json!({ "error": error })
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let exit = if error.code == "bad_argument" { USAGE } else { REFUSED };
        Self { exit, ..Self::refused(&error.code, error.detail) }
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let code = match error {
            AskError::Refused(error) => return error.into(),
            AskError::NoServer(_) => "no_server",
            AskError::Forbidden(_) => "forbidden",
            _ => "no_answer",
        };
        Self::refused(code, error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => CommandError::from(error).into(),
            OpenError::Start(error) => CommandError::from(error).into(),
            // A secret that cannot be read is a matter of how the server is set up.
            OpenError::Secret(_) => Self { exit: USAGE, ..Self::refused("secret_file", error.to_string()) },
            OpenError::Unwritable { .. } => Self::refused("store_unavailable", error.to_string()),
            error => Self::refused("cannot_open", error.to_string()),
        }
    }
}

/// All of them, one a line.
impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::wrong_file("bad_configuration", errors.to_string(), serde_json::to_value(&errors).ok())
    }
}
