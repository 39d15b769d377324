//! Where a setting's value came from, so that every error can say where to change it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Serialize, Serializer};

/// What gave a setting its value; later ones win over earlier ones.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Origin {
    /// Nothing was set: the value that is built in.
    Default,
    /// The configuration file.
    File {
        /// The file, as it was named.
        path: Arc<Path>,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag of the command line, such as `--listen`.
    Flag(&'static str),
}

impl Origin {
    /// A line of a file.
    pub(super) fn file(path: &Arc<Path>, line: usize) -> Self {
        Self::File { path: Arc::clone(path), line }
    }

    /// The file that it names, if it is one.
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File { path, .. } => Some(path.to_path_buf()),
            _ => None,
        }
    }
}

/// Reads after 'set': 'in cloakroom.toml line 12', 'by `CLOAKROOM_LISTEN`', 'by --listen', 'by default'.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("by default"),
            Self::File { path, line } => write!(f, "in {} line {line}", path.display()),
            Self::Environment(name) => write!(f, "by {name}"),
            Self::Flag(name) => write!(f, "by {name}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
