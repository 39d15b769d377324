//! The laboratory with this program's own servers.

mod compare;
mod given;

use std::path::PathBuf;

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_cloakroom"))
}
