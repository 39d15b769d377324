//! A PostgreSQL of a test's own, to be stopped in the middle of things.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use cloakroom_core::{key::MasterSecret, random::Rng};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::variable;

pub(crate) struct Cluster {
    directory: TempDir,
    port: u16,
    server: Child,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new_in(variable("TEST_POSTGRES_DIR")).unwrap();
        let user = variable("TEST_POSTGRES_USER");
        if !user.is_empty() {
            assert!(Command::new("chown").arg(&user).arg(directory.path()).status().unwrap().success());
        }
        let data = directory.path().join("data");
        let options = ["-U", "cloakroom", "-E", "UTF8", "--locale=C", "-A", "trust", "-D"];
        let initdb = program("initdb", &user).args(options).arg(&data).output().unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = program("postgres", &user)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .spawn();
        let mut cluster = Self { directory, port, server: server.unwrap() };
        let until = Instant::now() + Duration::from_secs(60);
        while cluster.tool().await.is_none() {
            assert!(
                Instant::now() < until && cluster.server.try_wait().unwrap().is_none(),
                "PostgreSQL does not start"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cluster
    }

    /// Settings of a server that has everything here.
    pub(crate) fn settings(&self, options: &str) -> String {
        let secret = self.directory.path().join("secret");
        let (_, text) = MasterSecret::generate(&Rng::system());
        fs::write(&secret, text.as_bytes()).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&secret, private).unwrap();
        let url = format!("postgres://cloakroom@127.0.0.1:{}/postgres?{options}", self.port);
        format!("store.accounts = '{url}'\nsecret_file = '{}'\n", secret.display())
    }

    /// A connection of a tool's.
    pub(crate) async fn tool(&self) -> Option<Client> {
        let url = format!("postgres://cloakroom@127.0.0.1:{}/postgres?connect_timeout=2", self.port);
        let (client, driver) = tokio_postgres::connect(&url, NoTls).await.ok()?;
        tokio::spawn(driver);
        Some(client)
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// None of its processes does anything until [`Self::go_on`]; whatever is sent to it is taken by the system.
    pub(crate) fn stop(&self) {
        // The one that makes others first.
        signal("STOP", &[self.server.id()]);
        signal("STOP", &children(self.server.id()));
    }

    pub(crate) fn go_on(&self) {
        signal("CONT", &children(self.server.id()));
        signal("CONT", &[self.server.id()]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.go_on();
        // Its children see that it has gone, and go too.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn signal(name: &str, processes: &[u32]) {
    let numbers = processes.iter().map(u32::to_string);
    let _ = Command::new("kill").arg(format!("-{name}")).args(numbers).stderr(Stdio::null()).status();
}

fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    fs::read_to_string(path).unwrap_or_default().split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// A program of PostgreSQL's, which refuses to be root.
fn program(name: &str, user: &str) -> Command {
    let path = Path::new(&variable("TEST_POSTGRES_BIN")).join(name);
    let mut command = if user.is_empty() {
        Command::new(path)
    } else {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]).arg(path);
        command
    };
    command.stdin(Stdio::null()).current_dir("/");
    command
}
