//! The server with nothing to do: its memory, and how soon it serves on data that is there already.

use std::{
    env, io,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    process::subject,
    report::{Bound, Figure, Findings},
    rounds::Extent,
};
use cloakroom_lab::{stats::Estimate, stopwatch::resident, subject::count};

pub(super) fn idle(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new_in(env::current_dir()?)?;
    let sessions = if extent.quick { 1_000 } else { 100_000 };
    let more = [count("accounts", sessions / 10), count("sessions", sessions)].concat();
    subject(at.path(), "subject", &[], &more)?.stop()?;
    let (program, name) = program()?;
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for round in 0..extent.rounds {
        let (server, started) = Started::new(&program, &at.path().join("subject"))?;
        starts.push(started.as_secs_f64() * 1000.0);
        if round < 5 {
            thread::sleep(if extent.quick { Duration::from_millis(500) } else { Duration::from_secs(3) });
            memory.push(resident(server.0.id())? as f64 / 1_048_576.0);
        }
    }
    let mut findings = Findings::new("idle");
    findings.add(Figure::new("resident memory, idle", Estimate::of(&memory), "MiB").bound(Bound::AtMost(25.0)));
    findings
        .add(Figure::new("start to /readyz, existing data", Estimate::of(&starts), "ms").bound(Bound::AtMost(150.0)));
    let slowest = starts.iter().copied().fold(0.0, f64::max);
    findings.add(Figure::new("the slowest start", Estimate::exact(slowest), "ms").bound(Bound::AtMost(150.0)));
    findings.note(format!("{name}, on all cores; {sessions} sessions and {} accounts in SQLite", sessions / 10));
    findings.note("from before the process is made until a connection is answered with 200, asked every 0.5 ms");
    Ok(findings)
}

/// The server's own binary, if it was built beside this one and can serve; else this one.
fn program() -> io::Result<(PathBuf, &'static str)> {
    let this = env::current_exe()?;
    let own = this.with_file_name("cloakroom");
    let help = Command::new(&own).args(["serve", "--help"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(if help.is_ok_and(|status| status.success()) && knows_serve(&own) {
        (own, "cloakroom serve")
    } else {
        (this, "cloakroom-bench serve-subject (the server in the benchmark's binary)")
    })
}

fn knows_serve(program: &Path) -> bool {
    let output = Command::new(program).args(["serve", "--help"]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("--listen"))
}

/// A server that was started from outside.
struct Started(Child);

impl Started {
    fn new(program: &Path, data: &Path) -> io::Result<(Self, Duration)> {
        let address = free_address()?;
        let is_own = program.file_name().is_some_and(|name| name == "cloakroom");
        let mut command = Command::new(program);
        if is_own {
            command.args(["serve", "--listen", &address.to_string()]);
        } else {
            command.args(["serve-subject", "--listen", &address.to_string()]);
        }
        command.arg("--data-dir").arg(data).env("CLOAKROOM_PUBLIC_URL", "http://localhost:8080");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let server = Self(command.spawn()?);
        while !ready(address) {
            if start.elapsed() > Duration::from_secs(20) {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not become ready"));
            }
            thread::sleep(Duration::from_micros(500));
        }
        Ok((server, start.elapsed()))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost:8080\r\nconnection: close\r\n\r\n");
    let mut answer = [0; 12];
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"HTTP/1.1 200"
}
