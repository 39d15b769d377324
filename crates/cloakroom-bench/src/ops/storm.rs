//! `/v1/verify` at half load, idle and during a storm of logins on the same core.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{login, verify::VERIFY_WEB};
use crate::{
    process::subject,
    report::{Bound, Figure, Findings},
    rounds::Extent,
};
use cloakroom_lab::{
    load::{Client, Order, Pace, Requests},
    stats::{Estimate, median},
    subject::{ADDRESSES, count},
};

const WARM: usize = 500;
/// More than hash at once, so that some wait; fewer than may.
const STORM: usize = 16;

pub(super) fn storm(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new_in(std::env::current_dir()?)?;
    let more =
        [count("accounts", 100).to_vec(), count("sessions", WARM).to_vec(), vec!["--people".to_owned()]].concat();
    let process = subject(at.path(), "subject", &[], &more)?;
    let mut verify = Requests::get(VERIFY_WEB, process.lines("sessions")?, Order::Cycle(WARM));
    let mut client = Client::connect(process.address, extent.connections)?;
    let mut saturated = Vec::new();
    for _ in 0..4 {
        let sample = client.run(&mut verify, Pace::Closed, extent.lasting.min(Duration::from_secs(1)))?;
        sample.demand(200)?;
        saturated.push(sample.per_second());
    }
    let half = median(&mut saturated[1..]) / 2.0;
    let lasting = extent.lasting.max(Duration::from_secs(1));
    let (mut idle, mut idle_again, mut stormy, mut logins, mut mids) = (vec![], vec![], vec![], vec![], vec![]);
    for round in 0..extent.rounds {
        for storming in if round % 2 == 0 { [false, true, false] } else { [false, false, true] } {
            let storm = storming.then(|| begin(process.address, lasting));
            let sample = client.run(&mut verify, Pace::Open(half), lasting)?;
            sample.demand(200)?;
            if let Some(storm) = storm {
                logins.push(storm.join().map_err(|_| io::Error::other("the storm broke off"))??);
                stormy.push(sample.micros(0.99));
                mids.push(sample.micros(0.5));
            } else if idle.len() == idle_again.len() {
                idle.push(sample.micros(0.99));
            } else {
                idle_again.push(sample.micros(0.99));
            }
        }
    }
    let mut findings = Findings::new("login-storm");
    findings.add(
        Figure::new("p99 of /v1/verify, storm / idle", Estimate::ratio(&stormy, &idle), "×").bound(Bound::AtMost(1.5)),
    );
    findings.add(
        Figure::new("A/A control: p99, idle / idle", Estimate::ratio(&idle_again, &idle), "×")
            .bound(Bound::Within(0.95, 1.05)),
    );
    findings.add(Figure::new("p99 idle", Estimate::of(&idle), "µs"));
    findings.add(Figure::new("p99 in the storm", Estimate::of(&stormy), "µs"));
    findings.add(Figure::new("p50 in the storm", Estimate::of(&mids), "µs"));
    findings.add(Figure::new("logins in the storm", Estimate::of(&logins), "/s"));
    findings.note(format!(
        "/v1/verify in an open loop at {half:.0} a second, {STORM} clients that sign in one after another"
    ));
    findings.note("server, its hashing thread included, on one core");
    Ok(findings)
}

/// Logins from a thread of their own; how many a second succeeded.
fn begin(address: std::net::SocketAddr, lasting: Duration) -> thread::JoinHandle<io::Result<f64>> {
    thread::spawn(move || {
        let mut client = Client::connect(address, STORM)?;
        let mut requests = Requests::post("/v1/login", login::logins()?, Order::Cycle(ADDRESSES));
        let start = Instant::now();
        let sample = client.run(&mut requests, Pace::Closed, lasting)?;
        sample.demand(200)?;
        Ok(sample.answers as f64 / start.elapsed().as_secs_f64())
    })
}
