//! A PostgreSQL server.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{ffi::OsStringExt, fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use cloakroom_core::random::Rng;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use tempfile::TempDir;
use url::Url;

use super::{await_ready, end, free_port, on_path};

/// A PostgreSQL server of our own, which is gone when this is dropped; or somebody's, in which what was made is gone then.
pub struct Postgres {
    psql: PathBuf,
    /// The database that it is entered by.
    door: Url,
    /// What the names of its databases begin with.
    prefix: String,
    made: Mutex<Vec<String>>,
    own: Option<Own>,
}

/// What was started for it.
struct Own {
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    dir: TempDir,
    port: u16,
    child: Child,
}

/// What a URL may say that `psql` understands too.
const SHARED: [&str; 2] = ["sslmode", "sslrootcert"];

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
        let door = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
        Ok(Self {
            psql: programs.join("psql"),
            door: Url::parse(&door).map_err(io::Error::other)?,
            prefix: String::new(),
            made: Mutex::default(),
            own: Some(Own { programs, owner, dir, port, child }),
        })
    }

    /// One that somebody has. It is asked for databases of its own, which are dropped in the end, and is never killed.
    ///
    /// # Errors
    /// Where it does not answer, or there is no `psql`.
    pub fn given(door: Url) -> io::Result<Self> {
        let psql = on_path("psql").or_else(|| Some(Self::installed()?.join("psql")).filter(|psql| psql.is_file()));
        let psql = psql.ok_or_else(|| {
            io::Error::other("a PostgreSQL that is given is spoken to by psql, which is not installed")
        })?;
        let prefix = format!("cloakroom_compare_{}_", HEXLOWER.encode(&Rng::system().bytes::<4>()));
        let given = Self { psql, door, prefix, made: Mutex::default(), own: None };
        given.run("SELECT 1", &given.door)?;
        Ok(given)
    }

    /// Reads the URL of one that may be [given](Self::given).
    ///
    /// # Errors
    /// What it must be; without what it is, which may be secret.
    pub fn url(text: &str) -> Result<Url, &'static str> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
        let url = url.filter(|url| url.has_host() && !url.username().is_empty() && url.path().len() > 1);
        url.ok_or("it is no URL as postgres://USER:PASSWORD@HOST:PORT/DATABASE")
    }

    /// Whether it is somebody's.
    pub const fn is_given(&self) -> bool {
        self.own.is_none()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.door.port().unwrap_or(5432)
    }

    /// A new, empty database in it, as the setting that names it.
    pub fn database(&self, name: &str) -> io::Result<String> {
        let name = self.called(name);
        self.run(&format!("CREATE DATABASE {name}"), &self.door)?;
        let mut url = self.door.clone();
        url.set_path(&name);
        for bound in ["statement_timeout", "connect_timeout"] {
            if !self.door.query_pairs().any(|(key, _)| key == bound) {
                url.query_pairs_mut().append_pair(bound, "2");
            }
        }
        self.made.lock().push(name);
        Ok(url.into())
    }

    fn called(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What one statement answers in a database of that name, as text.
    pub fn tell(&self, database: &str, statement: &str) -> io::Result<String> {
        let mut url = self.door.clone();
        url.set_path(&self.called(database));
        self.run(statement, &url)
    }

    fn run(&self, statement: &str, url: &Url) -> io::Result<String> {
        let mut bare = url.clone();
        let password = url.password().map(|password| percent_decode_str(password).collect::<Vec<u8>>());
        // Others may read a program's arguments.
        let _ = bare.set_password(None);
        let shared = url.query_pairs().filter(|(key, _)| SHARED.contains(&&**key));
        bare.query_pairs_mut().clear().extend_pairs(shared).finish();
        let mut command = Command::new(&self.psql);
        command.args(["-d", bare.as_str(), "-XAtqc", statement]).current_dir("/");
        if let Some(password) = password {
            command.env("PGPASSWORD", OsString::from_vec(password));
        }
        let output = command.output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Kills it, if it is our own.
    pub fn kill(&mut self) {
        if let Some(own) = &mut self.own {
            own.kill();
        }
    }

    /// Starts it again with what it has.
    pub fn revive(&mut self) -> io::Result<()> {
        match &mut self.own {
            Some(own) => own.revive(),
            None => Ok(()),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.own.is_some() {
            return;
        }
        for name in self.made.lock().drain(..) {
            // Servers that were killed may not have left it yet.
            let _ = self.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), &self.door);
        }
    }
}

impl Own {
    fn kill(&mut self) {
        if let Ok(Some(pid)) = self.child.try_wait().map(|ended| ended.is_none().then(|| self.child.id())) {
            // SIGQUIT: its children end with it, and nothing is written that was not.
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            }
            let _ = self.child.wait();
        }
    }

    fn revive(&mut self) -> io::Result<()> {
        self.child = run(&self.programs, self.owner, self.dir.path(), self.port)?;
        Ok(())
    }
}

impl Drop for Own {
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
