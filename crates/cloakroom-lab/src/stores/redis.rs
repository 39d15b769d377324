//! A Redis server, or a Valkey server.

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{await_ready, end, free_port, on_path};

/// A Redis server that writes each change to the disk before it answers; gone when this is dropped.
pub struct Redis {
    program: PathBuf,
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Redis {
    /// Where it is on this machine.
    pub fn installed() -> Option<PathBuf> {
        on_path("redis-server").or_else(|| on_path("valkey-server"))
    }

    /// Starts an empty one.
    pub fn start(program: PathBuf) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("cloakroom-lab-").tempdir()?;
        let port = free_port()?;
        let child = run(&program, dir.path(), port)?;
        Ok(Self { program, dir, port, child })
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// An address whose keys are apart from those of others; `port` may be that of something in between.
    pub fn keys_apart(name: &str, port: u16) -> String {
        format!("redis://127.0.0.1:{port}?prefix={name}:")
    }

    /// Bytes that its data takes.
    pub fn used(&self) -> io::Result<u64> {
        let told = tell(self.port, "INFO memory")?;
        let used = told.lines().find_map(|line| line.strip_prefix("used_memory:"));
        used.and_then(|used| used.trim().parse().ok())
            .ok_or_else(|| io::Error::other("Redis does not say what it uses"))
    }

    /// Kills it.
    pub fn kill(&mut self) {
        end(&mut self.child);
    }

    /// Starts it again with what it has.
    pub fn revive(&mut self) -> io::Result<()> {
        self.child = run(&self.program, self.dir.path(), self.port)?;
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn run(program: &Path, dir: &Path, port: u16) -> io::Result<Child> {
    let log = dir.join("log");
    let out = fs::File::create(&log)?;
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(dir).process_group(0);
    command.args(["--maxmemory-policy", "noeviction", "--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
    let mut child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
    // It listens before it has read what it has.
    await_ready(&mut child, &log, || tell(port, "PING").is_ok_and(|told| told.starts_with("+PONG")))?;
    Ok(child)
}

/// What an inline command answers, as it came; answers of up to some thousand bytes.
fn tell(port: u16, command: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes())?;
    let mut told = String::new();
    stream.read_to_string(&mut told)?;
    Ok(told)
}
