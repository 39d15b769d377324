//! Servers as the benchmark holds them: started, asked, measured, and ended with it.

use std::{
    env, io,
    io::{BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use crate::{
    load::Lines,
    serve::Ready,
    stopwatch::{CpuTimes, resident},
};

/// The core of the servers, and the core of the load.
pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

/// A server's process; it ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    /// The beginning of the paths of its credentials.
    files: PathBuf,
}

impl Process {
    /// Starts this program with other arguments, and waits until it says where it listens.
    pub(crate) fn start(arguments: &[String], files: PathBuf) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut out = BufReader::new(out);
        match crate::serve::hear::<Ready>(&mut out) {
            Ok(ready) => Ok(Self { child, out, address: ready.address, files }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(io::Error::other(format!("{} does not start: {error}", arguments.join(" "))))
            }
        }
    }

    /// Its credentials of one kind.
    pub(crate) fn lines(&self, kind: &str) -> io::Result<Arc<Lines>> {
        Lines::read(&self.files.with_extension(kind))
    }

    /// Says a word to it and hears the answer.
    pub(crate) fn ask<T: serde::de::DeserializeOwned>(&mut self, word: &str) -> io::Result<T> {
        let input = self.child.stdin.as_mut().ok_or_else(|| io::Error::other("no input"))?;
        writeln!(input, "{word}")?;
        input.flush()?;
        crate::serve::hear(&mut self.out)
    }

    pub(crate) fn cpu(&self) -> io::Result<CpuTimes> {
        CpuTimes::of(self.child.id())
    }

    pub(crate) fn resident(&self) -> io::Result<u64> {
        resident(self.child.id())
    }

    /// Lets it come to an orderly end.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().map(|_| ())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A baseline's arguments.
pub(crate) fn baseline(check: &str, dressed: bool, at: &Path, name: &str) -> io::Result<Process> {
    let files = at.join(name);
    let out = files.with_extension("sessions");
    let mut arguments = vec!["serve-baseline".to_owned(), check.to_owned()];
    arguments.extend(["--core".to_owned(), SERVER_CORE.to_string(), "--out".to_owned(), out.display().to_string()]);
    if dressed {
        arguments.push("--dressed".to_owned());
    }
    Process::start(&arguments, files)
}

/// The subject with further arguments; its data is in a directory of that name.
pub(crate) fn subject(at: &Path, name: &str, settings: &[&str], more: &[String]) -> io::Result<Process> {
    let files = at.join(name);
    let mut arguments = vec!["serve-subject".to_owned(), "--core".to_owned(), SERVER_CORE.to_string()];
    arguments.extend(["--data-dir".to_owned(), files.display().to_string()]);
    for setting in settings {
        arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    arguments.extend_from_slice(more);
    Process::start(&arguments, files)
}

/// `--name number`.
pub(crate) fn count(name: &str, number: usize) -> [String; 2] {
    [format!("--{name}"), number.to_string()]
}
