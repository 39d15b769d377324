//! What is wrong with a configuration: every mistake at once, each with its path, its value's origin and what would be
//! right. No error carries a secret: values of unknown keys and the log-in part of addresses are never printed.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::origin::Origin;

/// One mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The setting, as `app[1].method`; or the variable or flag itself, where that is wrong.
    pub path: String,
    /// What is wrong, and what would be right.
    pub problem: String,
    /// What set it.
    pub origin: Origin,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.problem)?;
        match &self.origin {
            Origin::Environment(name) if *name == self.path => Ok(()),
            Origin::Flag(name) if *name == self.path => Ok(()),
            origin => write!(f, "; set {origin}"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Serialize for ConfigError {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut fields = s.serialize_struct("ConfigError", 4)?;
        fields.serialize_field("path", &self.path)?;
        fields.serialize_field("problem", &self.problem)?;
        fields.serialize_field("origin", &self.origin)?;
        fields.serialize_field("message", &self.to_string())?;
        fields.end()
    }
}

/// All the mistakes of a configuration, in the order of its keys; never empty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// Each mistake.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// One line for each mistake.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
