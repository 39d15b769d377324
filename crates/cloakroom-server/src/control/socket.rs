//! The server's end of the private socket.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cloakroom_core::{random::Rng, tasks};
use thiserror::Error;
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    SOCKET,
    command::Command,
    error::CommandError,
    execute::Control,
    wire::{Address, Answer, MAX_ANSWER, MAX_QUESTION, read_line},
};

/// The most commands at once; more wait for their turn.
const AT_ONCE: usize = 16;
/// How long a caller may take to put its question, or to take its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a shutdown waits for commands under way.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Why there is no private socket.
#[derive(Debug, Error)]
#[error("the private socket {path} cannot be made: {error}")]
pub struct SocketError {
    path: PathBuf,
    #[source]
    error: io::Error,
}

/// A bound private socket.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file, by which a successor's is told from it.
    file: (u64, u64),
}

impl Socket {
    /// Makes the socket of a data directory, in the place of one that an earlier server left there. To be called by who
    /// holds the lock of the data directory, so that no living server's is replaced.
    pub fn bind(data_dir: &Path) -> Result<Self, SocketError> {
        let path = data_dir.join(SOCKET);
        Self::make(data_dir, &path).map_err(|error| SocketError { path, error })
    }

    fn make(data_dir: &Path, path: &Path) -> io::Result<Self> {
        // Its permissions are set before it has its name.
        let draft = format!(".{SOCKET}.{:08x}", u32::from_be_bytes(Rng::system().bytes()));
        let address = Address::of(data_dir, &draft)?;
        let listener = UnixListener::bind(address.path())?;
        let draft = data_dir.join(draft);
        let named = fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::metadata(&draft))
            .and_then(|about| fs::rename(&draft, path).map(|()| (about.dev(), about.ino())));
        match named {
            Ok(file) => Ok(Self { listener, path: path.to_owned(), file }),
            Err(error) => {
                // What matters is why it could not be named.
                let _ = fs::remove_file(&draft);
                Err(error)
            }
        }
    }

    /// Answers until `shutdown`, then removes the socket and waits a little for commands under way.
    pub async fn serve(self, control: Arc<Control>, shutdown: impl Future<Output = ()>) {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            while running.try_join_next().is_some() {}
            let turn = tokio::select! {
                () = &mut shutdown => break,
                turn = Arc::clone(&turns).acquire_owned() => turn,
            };
            let Ok(turn) = turn else { break };
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let control = Arc::clone(&control);
                    running.spawn(tasks::guarded("control", async move {
                        answer(stream, control).await;
                        drop(turn);
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "the private socket does not accept");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        self.remove();
        if timeout(LAST_WAIT, async { while running.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!("an operator's command was still under way at shutdown");
        }
    }

    /// Removes the file, unless another server has put its own there.
    fn remove(&self) {
        let own = fs::symlink_metadata(&self.path).is_ok_and(|about| (about.dev(), about.ino()) == self.file);
        if own && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "the private socket cannot be removed");
        }
    }
}

async fn answer(mut stream: UnixStream, control: Arc<Control>) {
    let done = match timeout(PATIENCE, question(&mut stream)).await {
        Ok(Ok((command, uid))) => execute(command, uid, control).await,
        Ok(Err(error)) => Err(error),
        Err(_) => return,
    };
    let line = line(&match done {
        Ok(value) => Answer::Done(value),
        Err(error) => Answer::Error(error),
    });
    let sent = timeout(PATIENCE, async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    });
    if !matches!(sent.await, Ok(Ok(()))) {
        tracing::debug!("an operator did not wait for the answer");
    }
}

/// The question, and who asks it. The socket's mode keeps others out; this keeps them out where a file system forgets
/// modes.
async fn question(stream: &mut UnixStream) -> Result<(Command, u32), CommandError> {
    let broken = |error: io::Error| CommandError::named("bad_request", error.to_string());
    let uid = stream.peer_cred().map_err(broken)?.uid();
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        tracing::warn!(uid, "another user was turned away from the private socket");
        return Err(CommandError::named("forbidden", "only the server's own user and root may do this"));
    }
    let line = read_line(stream, MAX_QUESTION).await.map_err(broken)?;
    // The error's text could quote what was sent.
    let command = serde_json::from_slice(&line).map_err(|_| {
        let release = env!("CARGO_PKG_VERSION");
        CommandError::named("unknown_command", format!("the server, of release {release}, does not know this command"))
    })?;
    Ok((command, uid))
}

/// What was begun is finished, even if nobody waits for the answer.
async fn execute(command: Command, uid: u32, control: Arc<Control>) -> Result<serde_json::Value, CommandError> {
    let (name, limit) = (command.name(), command.limit());
    tracing::info!(command = name, uid, "an operator's command");
    let task = tasks::once("command", async move { control.execute(command, uid).await });
    match timeout(limit, task).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            tracing::error!(command = name, %error, "a command broke off");
            Err(CommandError::named("internal", "the command broke off; the server's log says where"))
        }
        Err(_) => Err(CommandError::named("timeout", "the command takes long and goes on; ask again in a while")),
    }
}

fn line(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    if line.is_empty() || line.len() >= MAX_ANSWER {
        let error = CommandError::named("too_large", "the answer is too large; ask for less");
        line = serde_json::to_vec(&Answer::Error(error)).unwrap_or_default();
    }
    line.push(b'\n');
    line
}
