//! The case file, which `advise` and `compare` share.

use std::path::Path;

use cloakroom_lab::case::{Case, CaseErrors};

use crate::failure::Failure;

/// What a file says; `None`: there is none.
pub(super) fn read(path: Option<&Path>) -> Result<Option<Case>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!(
            "the case file {} cannot be read: {error}; name one, or leave --case out",
            path.display()
        ))
    })?;
    Ok(Some(Case::parse(path, &text)?))
}

/// All of them, one a line.
impl From<CaseErrors> for Failure {
    fn from(errors: CaseErrors) -> Self {
        let more = serde_json::to_value(&errors).ok();
        Self::wrong_file("bad_case", errors.to_string(), more)
    }
}
