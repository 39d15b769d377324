//! Durable rotations: sessions older than their grace period, each renewed once, by 64 clients at once; beside it how often
//! the disk can say in the same run that something is safe.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    process::subject,
    report::{Bound, Figure, Findings},
    rounds::{Extent, settle},
};
use cloakroom_lab::{
    load::{Client, Order, Pace, Requests},
    stats::Estimate,
    subject::count,
};

const CLIENTS: usize = 64;
/// More than can be rotated in a second.
const PER_SECOND: usize = 25_000;

pub(super) fn refresh(extent: &Extent) -> io::Result<Findings> {
    // On the disk that data would be on, not in memory.
    let at = TempDir::new_in(std::env::current_dir()?)?;
    let sessions = extent.times(PER_SECOND).clamp(20_000, 250_000);
    let more = [count("accounts", 1000), count("refresh", sessions)].concat();
    let mut process = subject(at.path(), "subject", &["CLOAKROOM_STORE__SESSIONS=sqlite"], &more)?;
    let mut requests = Requests::post("/v1/refresh", process.lines("refresh")?, Order::Once);
    let mut client = Client::connect(process.address, CLIENTS)?;
    let (mut rates, mut cpu, mut p99, mut syncs, mut syncs_alone) = (vec![], vec![], vec![], vec![], vec![]);
    let mut answers = 0;
    for _ in 0..extent.rounds {
        syncs_alone.push(sync_rate(at.path(), 1)?);
        syncs.push(sync_rate(at.path(), 16)?);
        let before = process.cpu()?;
        let sample = client.run(&mut requests, Pace::Closed, extent.lasting)?;
        settle();
        if sample.answers == 0 {
            break;
        }
        sample.demand(200)?;
        answers += sample.answers;
        cpu.push(process.cpu()?.since(&before) as f64 / 1000.0 / sample.answers as f64);
        rates.push(sample.per_second());
        p99.push(sample.micros(0.99) / 1000.0);
    }
    let rotated: u64 = process.ask("rotations")?;
    let mut findings = Findings::new("refresh");
    let rate = Estimate::of(&rates);
    findings.add(Figure::new("rotations, 64 clients", rate, "/s").bound(Bound::AtLeast(10_000.0)));
    findings.add(
        Figure::new("committed swaps / answers", Estimate::exact(rotated as f64 / answers as f64), "×")
            .bound(Bound::Within(1.0, 1.0)),
    );
    findings.add(Figure::new("CPU time of a rotation", Estimate::of(&cpu), "µs"));
    findings.add(Figure::new("p99, closed loop", Estimate::of(&p99), "ms"));
    findings.add(Figure::new("fdatasync of 4 KiB", Estimate::of(&syncs_alone), "/s"));
    findings.add(Figure::new("fdatasync of 64 KiB", Estimate::of(&syncs), "/s"));
    findings.add(Figure::new(
        "rotations an fdatasync of 4 KiB",
        Estimate::ratio(&rates, &syncs_alone[..rates.len()]),
        "",
    ));
    findings.note(format!(
        "{answers} answers, {rotated} generations in the store, of {sessions} sessions seeded an hour old"
    ));
    findings.note("server and SQLite's writer on one core; durable: WAL and synchronous=FULL, group commit");
    process.stop()?;
    Ok(findings)
}

/// How often a second so many pages are written and made safe, one writer, into space that is there already.
fn sync_rate(at: &Path, pages: usize) -> io::Result<f64> {
    let mut file = File::create(at.join("sync"))?;
    let bytes = vec![0x5a; pages * 4096];
    file.write_all(&bytes)?;
    file.sync_all()?;
    let (start, mut times) = (Instant::now(), 0_u32);
    while start.elapsed() < Duration::from_millis(250) {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        times += 1;
    }
    Ok(f64::from(times) / start.elapsed().as_secs_f64())
}
