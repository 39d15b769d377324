//! Where the servers run, and how baselines and subjects are started.

use std::{env, io, path::Path};

use cloakroom_lab::subject::{self, Process};

/// The core of the servers, and the core of the load.
pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

/// A baseline's arguments.
pub(crate) fn baseline(check: &str, dressed: bool, at: &Path, name: &str) -> io::Result<Process> {
    let files = at.join(name);
    let out = files.with_extension("sessions");
    let mut arguments = vec!["serve-baseline".to_owned(), check.to_owned()];
    arguments.extend(["--core".to_owned(), SERVER_CORE.to_string(), "--out".to_owned(), out.display().to_string()]);
    if dressed {
        arguments.push("--dressed".to_owned());
    }
    Process::start(&env::current_exe()?, &arguments, files)
}

/// The subject with further arguments; its data is in a directory of that name.
pub(crate) fn subject(at: &Path, name: &str, settings: &[&str], more: &[String]) -> io::Result<Process> {
    subject::start(&env::current_exe()?, at.join(name), Some(SERVER_CORE), settings, more)
}
