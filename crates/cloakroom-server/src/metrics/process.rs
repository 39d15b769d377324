//! What the process takes of the machine, under the names that Prometheus's own clients use.

use std::{
    fs,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use super::{families as f, text::Page};

/// When the server began.
pub(super) static BEGUN: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);

pub(super) fn render(page: &mut Page) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    page.one(&f::CPU, cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
    // Where there is no such file system (proc(5)), these have no samples.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of_status = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<f64>().ok()
    };
    if let Some(kib) = of_status("VmRSS") {
        page.one(&f::RESIDENT, kib * 1024.0);
    }
    if let Some(threads) = of_status("Threads") {
        page.one(&f::THREADS, threads);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The directory itself is open while it is read.
        page.one(&f::OPEN_FILES, open.count().saturating_sub(1) as f64);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        page.one(&f::MOST_FILES, most as f64);
    }
    let begun = BEGUN.duration_since(UNIX_EPOCH).unwrap_or_default();
    page.one(&f::STARTED, begun.as_secs_f64());
}
