//! The machine: clocks, memory for password hashing, disk, open files.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cloakroom_server::config::Config;
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, DynamicClockId, clock_gettime, clock_gettime_dynamic},
};
use serde_json::Value;

use super::{Finding, Server};

pub(super) fn look(config: &Config, server: &Server) -> Vec<Finding> {
    let mut findings = vec![wall_clock(), boot_clock(), memory(config), disk(&config.data_dir)];
    findings.extend(open_files(server));
    findings
}

/// No release of this program is older (2026-01-01).
const EARLIEST: u64 = 1_767_225_600;

fn wall_clock() -> Finding {
    const CHECK: &str = "clock";
    const REMEDY: &str = "set the clock, and let NTP keep it (timedatectl set-ntp true)";
    let now = clock_gettime(ClockId::Realtime).tv_sec.unsigned_abs();
    let shown = jiff::Timestamp::from_second(now.cast_signed()).map_or_else(|_| now.to_string(), |at| at.to_string());
    // A program cannot have been installed tomorrow.
    let installed = std::env::current_exe().and_then(fs::metadata).and_then(|about| about.modified()).ok();
    let installed = installed.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    if now < EARLIEST {
        return Finding::fail(
            CHECK,
            format!("the clock shows {shown}, which is long past: tokens and sessions would be wrong"),
            REMEDY,
        );
    }
    if installed > Duration::from_secs(now + 86_400) {
        return Finding::warn(
            CHECK,
            format!("the clock shows {shown}, which is before this program was installed"),
            REMEDY,
        );
    }
    Finding::ok(CHECK, format!("the clock shows {shown}"))
}

/// Leases are measured on it, because it goes on while the machine sleeps.
fn boot_clock() -> Finding {
    const CHECK: &str = "suspend";
    match clock_gettime_dynamic(DynamicClockId::Boottime) {
        Ok(_) => Finding::ok(CHECK, "there is a clock that counts suspend (CLOCK_BOOTTIME)"),
        Err(error) => Finding::fail(
            CHECK,
            format!("there is no clock that counts suspend (CLOCK_BOOTTIME): {error}"),
            "use Linux 2.6.39 or later, and a sandbox that lets clock_gettime through",
        ),
    }
}

fn memory(config: &Config) -> Finding {
    const CHECK: &str = "memory";
    let password = &config.password;
    let needed = password.threads as u64 * u64::from(password.memory_kib) / 1024;
    let Some(free) = available_mib() else {
        return Finding::ok(
            CHECK,
            format!("hashing passwords takes up to {needed} MiB; how much is free is not known"),
        );
    };
    let detail =
        format!("hashing passwords takes up to {needed} MiB ({} at once), {free} MiB are free", password.threads);
    let remedy = "set password.threads lower: a queue waits for its turn";
    match needed {
        _ if needed > free => Finding::fail(CHECK, detail, remedy),
        _ if needed > free / 2 => Finding::warn(CHECK, detail, remedy),
        _ => Finding::ok(CHECK, detail),
    }
}

/// What the machine has, or what is left of the control group's limit where that is less.
fn available_mib() -> Option<u64> {
    let about = fs::read_to_string("/proc/meminfo").ok()?;
    let line = about.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024;
    let group = |name| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    let left = group("memory.max").zip(group("memory.current")).map(|(max, used)| max.saturating_sub(used) >> 20);
    Some(left.map_or(machine, |left| left.min(machine)))
}

fn disk(data_dir: &Path) -> Finding {
    const CHECK: &str = "disk";
    const REMEDY: &str = "make room, or move data_dir; a full disk refuses every sign-in";
    let existing = data_dir.ancestors().find(|path| path.exists()).filter(|path| !path.as_os_str().is_empty());
    let existing = existing.unwrap_or(Path::new("."));
    match rustix::fs::statvfs(existing) {
        Ok(about) => {
            let free = about.f_bavail.saturating_mul(about.f_frsize) >> 20;
            let detail = format!("{free} MiB are free for {}", data_dir.display());
            match free {
                0..100 => Finding::fail(CHECK, detail, REMEDY),
                100..1024 => Finding::warn(CHECK, detail, REMEDY),
                _ => Finding::ok(CHECK, detail),
            }
        }
        Err(error) => Finding::fail(CHECK, format!("{} cannot be looked at: {error}", existing.display()), REMEDY),
    }
}

/// The running server's limit, or the one that a server would get from here.
fn open_files(server: &Server) -> Option<Finding> {
    const CHECK: &str = "open files";
    const REMEDY: &str = "raise it: LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536";
    let limit = match server {
        Server::Runs(status) => limit_of(&status["pid"])?,
        // A server raises its own limit as far as it may.
        _ => getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
    };
    let shown = if limit == u64::MAX { "any number of".to_owned() } else { limit.to_string() };
    let detail = format!("{shown} files may be open at once; each connection is one");
    Some(match limit {
        0..256 => Finding::fail(CHECK, detail, REMEDY),
        256..4096 => Finding::warn(CHECK, detail, REMEDY),
        _ => Finding::ok(CHECK, detail),
    })
}

fn limit_of(pid: &Value) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

/// How long until, or since, a moment in seconds of the Unix epoch; negative when it is past.
pub(super) fn seconds_until(moment: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    moment.saturating_sub(now.cast_signed())
}
