//! On what, and how, it is measured.

use std::fs;

use cloakroom_core::clock::Clock;

use super::{Comparison, Machine, Measurement, Model, Verdict, run::Options};

/// A core for the servers and one for the load, where there are two.
pub(super) fn two_cores() -> Option<(usize, usize)> {
    let cores = rustix::thread::sched_getaffinity(None).ok()?;
    let mut usable = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| cores.is_set(*core));
    Some((usable.next()?, usable.next()?))
}

/// A comparison in which nothing has been found yet.
pub(super) fn blank(options: &Options) -> Comparison {
    Comparison {
        case: serde_json::to_value(&options.case).unwrap_or_default(),
        machine: machine(),
        measurement: Measurement {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            began: Clock::system().now().to_string(),
            quick: options.extent.quick,
            optimised: !cfg!(debug_assertions),
            command: options.command.clone(),
            ..Measurement::default()
        },
        left_out: Vec::new(),
        rows: Vec::new(),
        wire: Vec::new(),
        growth: Vec::new(),
        feed_cut: Vec::new(),
        theft: Vec::new(),
        survival: Vec::new(),
        model: Model::default(),
        verdict: Verdict::default(),
    }
}

fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let kib: Option<u64> =
        after(&read("/proc/meminfo"), "MemTotal").and_then(|value| value.split(' ').next()?.parse().ok());
    Machine {
        processor: after(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: kib.unwrap_or_default() / 1024,
        system: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
        noise: None,
    }
}
