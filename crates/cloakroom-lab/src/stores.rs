//! PostgreSQL and Redis as the lab needs them: found on this machine, started on free ports of loopback with data of their own,
//! and gone when they are dropped.

mod postgres;
mod redis;

pub use postgres::Postgres;
pub use redis::Redis;

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

/// How long a store may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A port that nobody listens on.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A program in one of the directories of `PATH`.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// Waits until it is ready, or has ended, or takes too long.
fn await_ready(child: &mut Child, log: &Path, ready: impl Fn() -> bool) -> io::Result<()> {
    let begin = Instant::now();
    while !ready() {
        if child.try_wait()?.is_some() || begin.elapsed() > PATIENCE {
            let told = std::fs::read_to_string(log).unwrap_or_default();
            return Err(io::Error::other(format!("a store does not start: {}", told.trim())));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn end(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
}
