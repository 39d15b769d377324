//! Servers as they are held: started, asked, measured, and ended with it.

use std::{
    fs::OpenOptions,
    io,
    io::{BufReader, Write},
    net::SocketAddr,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use super::{Ready, hear};
use crate::{
    load::Lines,
    stopwatch::{CpuTimes, resident},
};

/// A server's process; it ends when this is dropped.
pub struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The beginning of the paths of its credentials.
    files: PathBuf,
}

impl Process {
    /// Starts a program, and waits until it says where it listens.
    pub fn start(program: &Path, arguments: &[String], files: PathBuf) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A Ctrl-C is for whoever started it, which then ends it in order.
        command.process_group(0);
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut out = BufReader::new(out);
        match hear::<Ready>(&mut out) {
            Ok(ready) => Ok(Self { child, out, address: ready.address, files }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(io::Error::other(format!("{} does not start: {error}", arguments.join(" "))))
            }
        }
    }

    /// Its credentials of one kind.
    pub fn lines(&self, kind: &str) -> io::Result<Arc<Lines>> {
        Lines::read(&self.files.with_extension(kind))
    }

    /// Says a word to it and hears the answer.
    pub fn ask<T: serde::de::DeserializeOwned>(&mut self, word: &str) -> io::Result<T> {
        let input = self.child.stdin.as_mut().ok_or_else(|| io::Error::other("no input"))?;
        writeln!(input, "{word}")?;
        input.flush()?;
        hear(&mut self.out)
    }

    /// Fills it with so many more live logins of an app; their credentials are the [`lines`](Self::lines) of the app's name, their
    /// refresh tokens those of `APP-refresh`.
    pub fn fill(&mut self, app: &str, count: usize) -> io::Result<()> {
        self.told(&format!("fill {app} {count}"))
    }

    /// Adds so many records of live logins of an app, and nothing that a client could hold.
    pub fn keep(&mut self, app: &str, count: usize) -> io::Result<()> {
        self.told(&format!("keep {app} {count}"))
    }

    fn told(&mut self, word: &str) -> io::Result<()> {
        self.ask::<Option<String>>(word)?.map_or(Ok(()), |error| Err(io::Error::other(error)))
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// The CPU time that it has used up to now.
    pub fn cpu(&self) -> io::Result<CpuTimes> {
        CpuTimes::of(self.child.id())
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        resident(self.child.id())
    }

    /// Lets it come to an orderly end.
    pub fn stop(mut self) -> io::Result<()> {
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

/// Starts a program as a server that is filled before it answers (`serve-subject`), on one core if that is given, its data in
/// a directory at `files`, with settings as their environment variables and further arguments.
pub fn start(
    program: &Path,
    files: PathBuf,
    core: Option<usize>,
    settings: &[&str],
    more: &[String],
) -> io::Result<Process> {
    let mut arguments = vec!["serve-subject".to_owned()];
    if let Some(core) = core {
        arguments.extend(count("core", core));
    }
    arguments.extend(["--dir".to_owned(), files.display().to_string()]);
    // Not as arguments, which others may read: a store's URL may have a password in it.
    let file = files.with_extension("settings");
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)?
        .write_all(settings.join("\n").as_bytes())?;
    arguments.extend(["--settings".to_owned(), file.display().to_string()]);
    arguments.extend_from_slice(more);
    Process::start(program, &arguments, files)
}

/// `--name number`.
pub fn count(name: &str, number: usize) -> [String; 2] {
    [format!("--{name}"), number.to_string()]
}
