//! A PostgreSQL server of a test's own, to be killed, followed by a standby, or given a certificate.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use cloakroom_core::store::postgres::Url;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::database::variable;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    directory: TempDir,
    port: u16,
    server: Option<Child>,
}

impl Cluster {
    /// A new one; `settings` as in `fsync=on`.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let mut cluster = Self::empty();
        let data = cluster.data();
        let initdb = program("initdb")
            .args(["-U", "cloakroom", "-E", "UTF8", "--locale=C", "-A", "trust", "-D"])
            .arg(&data)
            .output();
        let initdb = initdb.unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        let mut file = String::new();
        for setting in settings {
            file.push_str(setting);
            file.push('\n');
        }
        std::fs::write(data.join("postgresql.auto.conf"), file).unwrap();
        cluster.run().await;
        cluster
    }

    fn empty() -> Self {
        let directory = TempDir::new_in(variable("TEST_POSTGRES_DIR")).unwrap();
        if let Some(user) = user() {
            own(&user, directory.path());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { directory, port, server: None }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Gives the server's user a file.
    pub(crate) fn hand_over(path: &Path) {
        if let Some(user) = user() {
            own(&user, path);
        }
    }

    /// Starts it again, until it answers.
    pub(crate) async fn run(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let server = program("postgres")
                .arg("-D")
                .arg(self.data())
                .arg("-k")
                .arg(self.path())
                .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let mut server = server.unwrap();
            loop {
                assert!(Instant::now() < until, "PostgreSQL does not start");
                // The processes of one that was killed may not have gone yet; then it ends at once.
                if server.try_wait().unwrap().is_some() {
                    break;
                }
                if self.connect().await.is_some() {
                    self.server = Some(server);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// The number of its first process, whose children all others are.
    pub(crate) fn process(&self) -> u32 {
        self.server.as_ref().unwrap().id()
    }

    /// What `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// A standby of it, which follows it from now on.
    pub(crate) async fn standby(&self) -> Self {
        let mut standby = Self::empty();
        let copy = program("pg_basebackup")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                "cloakroom",
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "-D",
            ])
            .arg(standby.data())
            .output()
            .unwrap();
        assert!(copy.status.success(), "{}", String::from_utf8_lossy(&copy.stderr));
        standby.run().await;
        standby
    }

    /// Has commits wait for a standby from now on.
    pub(crate) async fn demand_standby(&self) {
        let client = self.connect().await.unwrap();
        client.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let synchronous = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
        while client.query(synchronous, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Has a standby receive nothing until this is dropped.
    pub(crate) fn stall(&self) -> Stalled {
        let receiver = self.receiver();
        signal("STOP", receiver);
        Stalled(receiver)
    }

    /// The process by which a standby receives.
    fn receiver(&self) -> u32 {
        let until = Instant::now() + PATIENCE;
        let parent = self.process().to_string();
        loop {
            assert!(Instant::now() < until, "the standby does not receive");
            for process in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
                let read = |name| std::fs::read_to_string(process.path().join(name)).unwrap_or_default();
                let is_child = read("stat").rsplit(')').next().and_then(|rest| rest.split(' ').nth(2)) == Some(&parent);
                if is_child && read("cmdline").contains("walreceiver") {
                    return process.file_name().to_str().unwrap().parse().unwrap();
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Makes a standby the primary of another timeline, once it has started again where it lost its receiver: until it notices,
    /// it may still answer.
    pub(crate) async fn promote(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(client) = self.connect().await
                && client.query("SELECT pg_promote(true, 60)", &[]).await.is_ok()
            {
                return;
            }
            assert!(Instant::now() < until, "the standby does not start again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A connection of a tool's.
    pub(crate) async fn connect(&self) -> Option<Client> {
        let url = format!("postgres://cloakroom@127.0.0.1:{}/postgres?connect_timeout=2", self.port);
        let (client, driver) = tokio_postgres::connect(&url, NoTls).await.ok()?;
        tokio::spawn(driver);
        Some(client)
    }

    pub(crate) fn url(&self, options: &str) -> Url {
        Url::parse(&format!("postgres://cloakroom@127.0.0.1:{}/postgres?{options}", self.port)).unwrap()
    }
}

/// A standby that receives nothing.
pub(crate) struct Stalled(u32);

impl Stalled {
    /// What had been sent, and not received, is lost: the standby starts anew from what it has.
    pub(crate) fn lose(self) {
        signal("KILL", self.0);
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        signal("CONT", self.0);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Its children see that it has gone, and go too.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Sends a signal; one that has gone needs none.
fn signal(name: &str, process: u32) {
    let _ = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).stderr(Stdio::null()).status();
}

fn user() -> Option<String> {
    Some(variable("TEST_POSTGRES_USER")).filter(|user| !user.is_empty())
}

fn own(user: &str, path: &Path) {
    assert!(Command::new("chown").arg("-R").arg(user).arg(path).status().unwrap().success());
}

/// A program of PostgreSQL's, which refuses to be root.
fn program(name: &str) -> Command {
    let path = Path::new(&variable("TEST_POSTGRES_BIN")).join(name);
    let mut command = match user() {
        None => Command::new(path),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]).arg(path);
            command
        }
    };
    command.stdin(Stdio::null()).current_dir("/");
    command
}
