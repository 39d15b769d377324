//! Ten thousand to a million live sessions before a near-cache of 10⁵ entries: throughput, p99 and memory, by memory and by
//! SQLite, where some are asked for more than others and where all are alike.

use std::io;

use tempfile::TempDir;

use super::verify::VERIFY_WEB;
use crate::{
    process::subject,
    report::{Bound, Figure, Findings},
    rounds::Extent,
};
use cloakroom_lab::{
    load::{Client, Order, Pace, Requests},
    stats::{Estimate, median},
    subject::count,
};

/// What a live session may cost in memory, where it is kept there.
const PER_SESSION: f64 = 150.0;

pub(super) fn many(extent: &Extent) -> io::Result<Findings> {
    let sizes: [usize; 3] = if extent.quick { [1_000, 10_000, 20_000] } else { [10_000, 100_000, 1_000_000] };
    let mut findings = Findings::new("many-sessions");
    for store in ["memory", "sqlite"] {
        let mut resident = Vec::new();
        for size in sizes {
            let at = TempDir::new_in(std::env::current_dir()?)?;
            let setting = format!("CLOAKROOM_STORE__SESSIONS={store}");
            let more = [count("accounts", (size / 10).max(100)), count("sessions", size)].concat();
            let mut process = subject(at.path(), "subject", &[&setting], &more)?;
            if store == "sqlite" {
                // What filling took is not what serving takes.
                process.stop()?;
                process = subject(at.path(), "subject", &[&setting], &[])?;
            }
            let lines = process.lines("sessions")?;
            for (shape, order) in [("Zipf 0.99", Order::zipf(size, 0.99)), ("uniform", Order::Uniform)] {
                let mut requests = Requests::get(VERIFY_WEB, lines.clone(), order);
                let mut client = Client::connect(process.address, extent.connections)?;
                let (rates, p99) = saturated_and_half(&mut client, &mut requests, extent)?;
                let what = format!("{store}, {size} sessions, {shape}");
                findings.add(Figure::new(format!("{what}: throughput"), Estimate::of(&rates), "/s"));
                findings.add(Figure::new(format!("{what}: p99 at half load"), Estimate::of(&p99), "µs"));
            }
            let now = process.resident()? as f64;
            findings.add(Figure::new(
                format!("{store}, {size} sessions: resident memory"),
                Estimate::exact(now / MIB),
                "MiB",
            ));
            resident.push(now);
        }
        let kept = if store == "memory" { PER_SESSION * (sizes[2] - sizes[1]) as f64 } else { 0.0 };
        let flat = resident[1] + kept;
        findings.add(
            Figure::new(
                format!("{store}: memory at {} / flat from {}", sizes[2], sizes[1]),
                Estimate::exact(resident[2] / flat),
                "×",
            )
            .bound(Bound::AtMost(1.1)),
        );
    }
    findings.note("'flat': resident memory where the near-cache is just full; in the memory store, and 150 bytes for each further session");
    findings.note("throughput and p99 by themselves: saturation in a closed loop, then an open loop at half of it");
    Ok(findings)
}

const MIB: f64 = 1_048_576.0;

/// Requests a second in a closed loop, and p99 in microseconds in an open one at half of that, round by round.
pub(super) fn saturated_and_half(
    client: &mut Client,
    requests: &mut Requests,
    extent: &Extent,
) -> io::Result<(Vec<f64>, Vec<f64>)> {
    // Until the cache holds what it can.
    client.run(requests, Pace::Closed, extent.lasting * 3)?.demand(200)?;
    let (mut rates, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..extent.rounds.div_ceil(2) {
        let sample = client.run(requests, Pace::Closed, extent.lasting)?;
        sample.demand(200)?;
        rates.push(sample.per_second());
        let half = median(&mut rates.clone()) / 2.0;
        let sample = client.run(requests, Pace::Open(half), extent.lasting)?;
        sample.demand(200)?;
        p99.push(sample.micros(0.99));
    }
    Ok((rates, p99))
}
