//! One question and one answer on the private socket, as the asking side sees it; and how lines are read on both.

use std::{
    fmt, io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::timeout,
};
use zeroize::Zeroizing;

use super::{SOCKET, command::Command, error::CommandError};

/// The longest question.
pub(super) const MAX_QUESTION: usize = 64 * 1024;
/// The longest answer: a full page of anything has less.
pub(super) const MAX_ANSWER: usize = 1024 * 1024;
/// How long a server that has accepted may take beyond the command itself.
const MARGIN: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);

/// An answer on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It was done.
    Done(Value),
    /// It was not.
    Error(CommandError),
}

/// Why a server gave no answer to a question.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// None runs: there is no socket, or nobody listens at it.
    #[error("no server runs on the data directory {0}")]
    NoServer(PathBuf),
    /// It would not do it.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// The socket belongs to somebody else.
    #[error(
        "the server's socket {0} may not be used by this user; run the command as the server's own user, or as root"
    )]
    Forbidden(PathBuf),
    /// It took too long.
    #[error("the server took longer than {} s to answer; its log says what it is doing", .0.as_secs())]
    Slow(Duration),
    /// The connection broke, or what came was no answer.
    #[error("the server's socket gave no answer: {0}")]
    Broken(#[from] io::Error),
}

/// Asks the server of a data directory to do something.
pub async fn ask(data_dir: &Path, command: &Command) -> Result<Value, AskError> {
    let stream = match timeout(CONNECT, connect(data_dir)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                    AskError::NoServer(data_dir.to_owned())
                }
                io::ErrorKind::PermissionDenied => AskError::Forbidden(data_dir.join(SOCKET)),
                _ => error.into(),
            });
        }
        Err(_) => return Err(AskError::Slow(CONNECT)),
    };
    let limit = command.limit() + MARGIN;
    timeout(limit, exchange(stream, command)).await.map_err(|_| AskError::Slow(limit))?
}

async fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    let address = Address::of(data_dir, SOCKET)?;
    UnixStream::connect(address.path()).await
}

async fn exchange(mut stream: UnixStream, command: &Command) -> Result<Value, AskError> {
    let mut line = Zeroizing::new(serde_json::to_vec(command).map_err(io::Error::from)?);
    line.push(b'\n');
    if line.len() > MAX_QUESTION {
        return Err(CommandError::named("too_large", "the command is too long").into());
    }
    stream.write_all(&line).await?;
    let answer = read_line(&mut stream, MAX_ANSWER).await?;
    match serde_json::from_slice(&answer).map_err(io::Error::from)? {
        Answer::Done(value) => Ok(value),
        Answer::Error(error) => Err(error.into()),
    }
}

/// Reads up to the end of a line, of bounded length.
pub(super) async fn read_line(stream: impl AsyncRead + Unpin, longest: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it, so that no part of a secret stays behind in a buffer that was outgrown.
    let mut line = Zeroizing::new(Vec::with_capacity(longest.min(MAX_QUESTION)));
    let mut reader = BufReader::new(stream.take(longest as u64));
    reader.read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ if line.len() + 1 >= longest => Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long")),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A name in a directory that fits into a socket's address, however long the directory's own path is: where it does not
/// fit, the directory is opened and named by its descriptor.
pub(super) struct Address {
    path: PathBuf,
    _directory: Option<OwnedFd>,
}

/// What Linux's `sun_path` holds, less the final NUL.
const LONGEST_ADDRESS: usize = 107;

impl Address {
    pub(super) fn of(directory: &Path, name: &str) -> io::Result<Self> {
        let path = directory.join(name);
        if path.as_os_str().len() <= LONGEST_ADDRESS {
            return Ok(Self { path, _directory: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}
