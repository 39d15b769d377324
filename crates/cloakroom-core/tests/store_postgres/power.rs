//! Power can fail at any moment: what was acknowledged must be on the disk before the acknowledgement leaves. A trace of
//! PostgreSQL's system calls shows in which order the two happen.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use cloakroom_core::{
    ids::Generation,
    random::Rng,
    revocation::Hold,
    session::Write,
    store::{AccountStore, EndRequest, SessionStore, postgres::Postgres},
};

use crate::{DAY, NOW, cluster::Cluster, log_in};

/// A tracer of a server and all its processes; it lets go of them when it is dropped.
struct Tracer {
    process: Child,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Tracer {
    fn attach(process: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trace");
        let process = Command::new("strace")
            .args(["-f", "-y", "-s", "4096", "-e", "trace=recvfrom,sendto,fsync,fdatasync", "-o"])
            .arg(&file)
            .args(["-p", &process.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed (package strace)");
        Self { process, file, _directory: directory }
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The system calls from the last request of a connection on, up to the answer that says `done`, of those behind
    /// `after`; and where they end.
    fn until_answer(&self, done: &str, after: usize) -> (Vec<String>, usize) {
        let began = Instant::now();
        loop {
            let lines = self.lines();
            let is_answer = |line: &String| line.contains("sendto(") && line.contains(done);
            if let Some(end) = lines.iter().skip(after).position(is_answer).map(|at| after + at) {
                let process = lines[end].split(' ').next().unwrap().to_owned();
                let asked = |line: &String| {
                    line.starts_with(&process)
                        && line.contains("recvfrom")
                        && !line.ends_with("EAGAIN (Resource temporarily unavailable)")
                };
                let begin = lines[..end].iter().rposition(asked).unwrap_or(after);
                return (lines[begin..end].to_vec(), end + 1);
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no {done} in the trace");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the write-ahead log was synced, and the sync had answered.
fn synced(calls: &[String]) -> bool {
    let whole = |line: &String| line.contains("sync(") && line.contains("pg_wal") && line.ends_with("= 0");
    let resumed = |line: &String| line.contains("sync resumed>") && line.ends_with("= 0");
    calls.iter().any(|line| whole(line) || resumed(line))
}

/// F125: login, rotation and end; activity is not waited for, by which the trace shows that it tells the two apart.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_leaves_after_the_sync_to_the_disk() {
    let cluster = Cluster::start(&["fsync = on", "wal_writer_delay = 10s", "autovacuum = off"]).await;
    let rng = Rng::seeded(1);
    let tracer = Tracer::attach(cluster.process());
    let began = Instant::now();
    // A connection is traced if its process began after the tracer watched.
    let store = loop {
        assert!(began.elapsed() < Duration::from_secs(60), "strace sees nothing: may it trace this server?");
        let store = Postgres::open(&cluster.url("pool_size=1&listen=off&statement_timeout=60")).await.unwrap();
        log_in(&store, &rng).await;
        std::thread::sleep(Duration::from_millis(100));
        if tracer.lines().iter().any(|line| line.contains("INSERT 0 1")) {
            break store;
        }
    };
    let mut at = tracer.lines().len();
    let id = log_in(&store, &rng).await;
    let (calls, next) = tracer.until_answer("INSERT 0 1", at);
    assert!(synced(&calls), "a login: {calls:#?}");
    at = next;
    store.touch(&[(id, NOW + DAY)]).await.unwrap();
    let (calls, next) = tracer.until_answer("UPDATE 1", at);
    assert!(!synced(&calls), "activity: {calls:#?}");
    at = next;
    let write = Write::Rotate { from: Generation(0), to: Generation(1), at: Some(NOW), active: Some(NOW) };
    let _ = store.write(id, write).await.unwrap();
    let (calls, next) = tracer.until_answer("UPDATE 1", at);
    assert!(synced(&calls), "a rotation: {calls:#?}");
    at = next;
    store.end(&[(EndRequest::Session(id), Hold::lasting(DAY))], Some(NOW)).await.unwrap();
    let (calls, _) = tracer.until_answer("COMMIT", at);
    assert!(synced(&calls), "an end: {calls:#?}");
    drop(tracer);
    assert!(Path::new("/proc").join(cluster.process().to_string()).exists());
}
