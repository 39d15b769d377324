//! A PostgreSQL server.

use std::{
    fs, io,
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{await_ready, end, free_port, on_path};

/// A PostgreSQL server that is gone when this is dropped.
pub struct Postgres {
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Postgres {
    /// Where the newest one's programs are on this machine.
    pub fn installed() -> Option<PathBuf> {
        let versions = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        });
        let newest = versions.filter(|(_, bin)| bin.join("initdb").is_file()).max();
        newest.map(|(_, bin)| bin).or_else(|| on_path("initdb")?.canonicalize().ok()?.parent().map(Path::to_owned))
    }

    /// Makes an empty one and starts it.
    pub fn start(programs: PathBuf) -> io::Result<Self> {
        // It refuses to be run by root.
        let owner = if rustix::process::getuid().is_root() { Some(somebody_else()?) } else { None };
        let dir = tempfile::Builder::new().prefix("cloakroom-lab-").tempdir()?;
        let data = dir.path().join("data");
        fs::DirBuilder::new().mode(0o700).create(&data)?;
        if let Some((user, group)) = owner {
            for path in [dir.path(), &data] {
                std::os::unix::fs::chown(path, Some(user), Some(group))?;
            }
        }
        let port = free_port()?;
        let mut made = as_owner(&programs.join("initdb"), owner);
        made.args(["-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=trust", "-N", "-D"]).arg(&data);
        let output = made.current_dir("/").output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("initdb: {}", String::from_utf8_lossy(&output.stderr).trim())));
        }
        let child = run(&programs, owner, dir.path(), port)?;
        Ok(Self { programs, owner, dir, port, child })
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database in it, as the setting that names it; `port` may be that of something in between.
    pub fn database(&self, name: &str, port: u16) -> io::Result<String> {
        self.tell("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(format!("postgres://postgres@127.0.0.1:{port}/{name}?sslmode=disable&statement_timeout=2&connect_timeout=2"))
    }

    /// What one statement answers, as text.
    pub fn tell(&self, database: &str, statement: &str) -> io::Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                "postgres",
                "-d",
                database,
                "-XAtqc",
                statement,
            ])
            .current_dir("/")
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Ok(Some(pid)) = self.child.try_wait().map(|ended| ended.is_none().then(|| self.child.id())) {
            // SIGQUIT: its children end with it, and nothing is written that was not.
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            }
            let _ = self.child.wait();
        }
    }

    /// Starts it again with what it has.
    pub fn revive(&mut self) -> io::Result<()> {
        self.child = run(&self.programs, self.owner, self.dir.path(), self.port)?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
        end(&mut self.child);
    }
}

fn as_owner(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

fn run(programs: &Path, owner: Option<(u32, u32)>, dir: &Path, port: u16) -> io::Result<Child> {
    let log = dir.join("log");
    let out = fs::File::create(&log)?;
    let mut command = as_owner(&programs.join("postgres"), owner);
    command.arg("-D").arg(dir.join("data")).current_dir("/").process_group(0);
    for setting in
        ["listen_addresses=127.0.0.1", &format!("port={port}"), "unix_socket_directories=", "max_connections=200"]
    {
        command.args(["-c", setting]);
    }
    let mut child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
    let ready = || {
        let mut probe = Command::new(programs.join("pg_isready"));
        probe.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres"]).current_dir("/");
        probe.status().is_ok_and(|status| status.success())
    };
    await_ready(&mut child, &log, ready)?;
    Ok(child)
}

/// The user `postgres`, or `nobody`.
fn somebody_else() -> io::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(|field| field.parse().ok());
        Some((fields.next()??, fields.next()??))
    };
    find("postgres").or_else(|| find("nobody")).ok_or_else(|| io::Error::other("there is no user to run PostgreSQL as"))
}
