//! What a process has used: CPU time in nanoseconds, user and system, and resident memory; from `/proc`.

use std::{collections::HashMap, fs, io};

use rustix::{
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
};

/// The CPU time of each thread of a process.
pub struct CpuTimes(HashMap<u32, u64>);

impl CpuTimes {
    /// As they are now. The kernel brings a running thread's time up to date when it stops or at its clock tick, so this is
    /// asked when the process has come to rest.
    pub fn of(pid: u32) -> io::Result<Self> {
        let mut times = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let name = entry?.file_name();
            let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // A thread that has just ended has no file any more.
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")) else { continue };
            let nanos = text.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
            times.insert(thread, nanos.ok_or_else(|| io::Error::other("schedstat is not as expected"))?);
        }
        Ok(Self(times))
    }

    /// Nanoseconds from `before` until these. A thread that ended in between is left out.
    pub fn since(&self, before: &Self) -> u64 {
        self.0.iter().map(|(thread, nanos)| nanos.saturating_sub(before.0.get(thread).copied().unwrap_or(0))).sum()
    }
}

/// Nanoseconds of CPU that this thread has used.
pub fn thread_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Resident memory in bytes, shared pages included.
pub fn resident(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("there is no VmRSS"))
}

/// Keeps this thread, and those that it starts from now on, on one core.
pub fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None::<Pid>, &cores)?)
}
