//! Commands to the browser and its answers: JSON, with a NUL after each.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdin, ChildStdout},
    sync::{Mutex as AsyncMutex, oneshot},
    time::timeout,
};

use super::super::plan::Trouble;

const PATIENCE: Duration = Duration::from_secs(60);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// The connection to a browser.
pub(super) struct Pipe {
    to: AsyncMutex<ChildStdin>,
    waiting: Waiting,
    last: AtomicU64,
}

impl Pipe {
    /// Over the browser's files.
    pub(super) fn new(to: ChildStdin, from: ChildStdout) -> Self {
        let waiting = Waiting::default();
        tokio::spawn(listen(BufReader::new(from), Arc::clone(&waiting)));
        Self { to: AsyncMutex::new(to), waiting, last: AtomicU64::new(0) }
    }

    /// Gives a command, to a page or to the browser, and waits for its result.
    pub(super) async fn ask(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value, Trouble> {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut line = command.to_string().into_bytes();
        line.push(0);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().insert(id, sender);
        self.to.lock().await.write_all(&line).await?;
        let answer = timeout(PATIENCE, answer).await;
        let mut answer = answer
            .map_err(|_| format!("the browser does not answer {method}"))?
            .map_err(|_| "the browser has ended")?;
        match answer["error"]["message"].as_str() {
            Some(error) => Err(format!("{method}: {error}").into()),
            None => Ok(answer["result"].take()),
        }
    }
}

/// Hands answers to whoever waits for them; events are nobody's.
async fn listen(mut from: BufReader<ChildStdout>, waiting: Waiting) {
    let mut line = Vec::new();
    while from.read_until(0, &mut line).await.is_ok_and(|read| read > 0) {
        line.pop();
        if let Ok(answer) = serde_json::from_slice::<Value>(&line) {
            let asked = answer["id"].as_u64().and_then(|id| waiting.lock().remove(&id));
            if let Some(asked) = asked {
                // Who asked may have gone.
                let _ = asked.send(answer);
            }
        }
        line.clear();
    }
    waiting.lock().clear();
}
