//! `/v1/verify` beside bare axum, axum with the same layers and bytes, jsonwebtoken and tower-sessions.

use std::{io, path::Path};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use tempfile::TempDir;

use crate::{
    process::{LOAD_CORE, SERVER_CORE, baseline, subject},
    report::{Bound, Figure, Findings},
    rounds::{Contender, Extent, Series, compare, compare_beside, control},
};
use cloakroom_lab::{
    load::{Order, Pace, Requests},
    stats::{Estimate, median},
    stopwatch::{pin, thread_nanos},
    subject::{Process, count},
};

/// As every recipe asks it.
pub(super) const VERIFY_WEB: &str = "/v1/verify?app=web";
const VERIFY_API: &str = "/v1/verify?app=api";
/// How many credentials go round while the cache is warm.
const WARM: usize = 500;

/// The places of the baselines among the contenders; the subject is the last.
const SAME: usize = 0;
const SAME_AGAIN: usize = 1;
const BARE: usize = 2;

/// Baselines of every comparison: dressed, dressed again, bare.
fn baselines(at: &Path) -> io::Result<Vec<Contender>> {
    Ok(vec![
        other("axum, same layers and bytes", baseline("nothing", true, at, "same")?)?,
        other("axum, same layers and bytes, again", baseline("nothing", true, at, "same-again")?)?,
        other("bare axum", baseline("nothing", false, at, "bare")?)?,
    ])
}

/// A contender whose credentials are all warm.
fn other(name: &str, process: Process) -> io::Result<Contender> {
    let lines = process.lines("sessions")?;
    let requests = Requests::get(VERIFY_WEB, lines, Order::Cycle(WARM));
    Ok(Contender { name: name.into(), process, requests })
}

fn tower(at: &Path) -> io::Result<[Contender; 3]> {
    Ok([
        other("tower-sessions, bare", baseline("tower-sessions", false, at, "tower-bare")?)?,
        other("tower-sessions, same layers and bytes", baseline("tower-sessions", true, at, "tower")?)?,
        other(
            "tower-sessions, same layers, answer written beforehand",
            baseline("tower-sessions-static", true, at, "tower-static")?,
        )?,
    ])
}

fn memory_subject(at: &Path, settings: &[&str], more: &[String]) -> io::Result<Process> {
    let mut all = vec!["CLOAKROOM_STORE__SESSIONS=memory", "CLOAKROOM_APP__1__ACCESS_TOKEN_LIFETIME=1h"];
    all.extend(settings);
    subject(at, "subject", &all, more)
}

/// Throughput, latency and CPU time of each, and the CPU time of each over the same layers.
fn each(findings: &mut Findings, contenders: &[Contender], series: &[Series]) {
    for figure in control(&series[SAME], &series[SAME_AGAIN]) {
        findings.add(figure);
    }
    for (contender, series) in contenders.iter().zip(series) {
        let name = &contender.name;
        findings.add(Figure::new(format!("{name}: CPU time"), Estimate::of(&series.cpu), "µs"));
        findings.add(Figure::new(format!("{name}: throughput"), Estimate::of(&series.rate), "/s"));
        findings.add(Figure::new(format!("{name}: p99, closed loop"), Estimate::of(&series.p99), "µs"));
    }
}

pub(super) fn session_warm(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new()?;
    let mut all = baselines(at.path())?;
    all.extend(tower(at.path())?);
    let more = [count("accounts", 100), count("sessions", WARM)].concat();
    all.push(other("cloakroom, warm session", memory_subject(at.path(), &[], &more)?)?);
    let series = compare(&mut all, Pace::Closed, extent)?;
    let mut findings = Findings::new("verify-session-warm");
    session_bounds(&mut findings, &series);
    each(&mut findings, &all, &series);
    Ok(findings)
}

/// The bounds of a session's check: tower-sessions in two forms at places 4 and 5.
fn session_bounds(findings: &mut Findings, series: &[Series]) {
    let (subject, tower, prepared) = (&series[series.len() - 1].cpu, &series[4].cpu, &series[5].cpu);
    findings.add(
        Figure::new("CPU time / tower-sessions with same layers and bytes", Estimate::ratio(subject, tower), "×")
            .bound(Bound::AtMost(1.0)),
    );
    findings.add(Figure::new(
        "CPU time / tower-sessions with same layers, answer written beforehand",
        Estimate::ratio(subject, prepared),
        "×",
    ));
    findings.add(
        Figure::new("CPU time over same layers and bytes", Estimate::difference(subject, &series[SAME].cpu), "µs")
            .bound(Bound::AtMost(0.8)),
    );
}

pub(super) fn session_half(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new()?;
    let mut all = baselines(at.path())?;
    all.extend(tower(at.path())?);
    // The others come round again long after they were dropped from the smallest possible cache.
    let cold = if extent.quick { 20_000 } else { 200_000 };
    let more = [count("accounts", 100), count("sessions", cold)].concat();
    let process = memory_subject(at.path(), &["CLOAKROOM_CACHE__ENTRIES=4000"], &more)?;
    let lines = process.lines("sessions")?;
    let requests = Requests::get(VERIFY_WEB, lines, Order::Half { hot: WARM / 5 });
    all.push(Contender { name: "cloakroom, memory store, 50 % hits".into(), process, requests });
    let before = counts(&all[all.len() - 1].process)?;
    let series = compare(&mut all, Pace::Closed, extent)?;
    let after = counts(&all[all.len() - 1].process)?;
    let (warm, cold) = (after.0 - before.0, after.1 - before.1);
    let mut findings = Findings::new("verify-session-half");
    findings.add(
        Figure::new("hits among all checks, by the server's metrics", Estimate::exact(warm / (warm + cold)), "")
            .bound(Bound::Within(0.48, 0.52)),
    );
    session_bounds(&mut findings, &series);
    each(&mut findings, &all, &series);
    findings.note("a miss reads the session from memory and its account's standing from SQLite");
    Ok(findings)
}

/// Checks answered from the cache, and from behind it.
fn counts(process: &Process) -> io::Result<(f64, f64)> {
    let mut client = cloakroom_lab::load::Client::connect(process.address, 1)?;
    let mut requests = Requests::get("/metrics", cloakroom_lab::load::Lines::one("accept: text/plain"), Order::Once);
    let sample = client.run(&mut requests, Pace::Closed, std::time::Duration::from_secs(5))?;
    sample.demand(200)?;
    let text = String::from_utf8_lossy(&sample.last).into_owned();
    let value = |label: &str| {
        let line = text.lines().find(|line| line.starts_with("cloakroom_verifications_total") && line.contains(label));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    Ok((value("cache"), value("source")))
}

pub(super) fn session_p99(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new()?;
    let mut all = baselines(at.path())?;
    all.extend(tower(at.path())?);
    let more = [count("accounts", 100), count("sessions", WARM)].concat();
    all.push(other("cloakroom, warm session", memory_subject(at.path(), &[], &more)?)?);
    let short = Extent { rounds: 3, ..*extent };
    let mut saturated: Vec<f64> =
        compare(&mut all, Pace::Closed, &short)?.iter().map(|series| median(&mut series.rate.clone())).collect();
    // Bare ones could do more; what all are asked for is half of what the slowest of those that do the same can do.
    saturated.drain(BARE..=3);
    let half = saturated.iter().copied().fold(f64::INFINITY, f64::min) / 2.0;
    let series = compare(&mut all, Pace::Open(half), extent)?;
    let subject = &series[series.len() - 1];
    let mut findings = Findings::new("verify-session-p99");
    findings.add(
        Figure::new("p99 / same layers and bytes", Estimate::ratio(&subject.p99, &series[SAME].p99), "×")
            .bound(Bound::AtMost(1.1)),
    );
    findings.add(
        Figure::new(
            "p99 / tower-sessions with same layers and bytes",
            Estimate::ratio(&subject.p99, &series[4].p99),
            "×",
        )
        .bound(Bound::AtMost(1.1)),
    );
    for figure in control(&series[SAME], &series[SAME_AGAIN]) {
        findings.add(figure);
    }
    for (contender, series) in all.iter().zip(&series) {
        findings.add(Figure::new(format!("{}: p50", contender.name), Estimate::of(&series.p50), "µs"));
        findings.add(Figure::new(format!("{}: p99", contender.name), Estimate::of(&series.p99), "µs"));
    }
    findings.note(format!("open loop at {half:.0} requests a second for each"));
    Ok(findings)
}

fn jwt_subject(at: &Path, tokens: usize, order: Order) -> io::Result<Contender> {
    let more = [count("accounts", 100), count("tokens", tokens)].concat();
    let process = memory_subject(at, &[], &more)?;
    let requests = Requests::get(VERIFY_API, process.lines("tokens")?, order);
    Ok(Contender { name: "cloakroom, JWT (EdDSA)".into(), process, requests })
}

pub(super) fn jwt_warm(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new()?;
    let mut all = baselines(at.path())?;
    all.push(other("jsonwebtoken HS256, bare", baseline("hs256", false, at.path(), "hs256")?)?);
    all.push(other("jsonwebtoken EdDSA, bare", baseline("ed-dsa", false, at.path(), "eddsa")?)?);
    all.push(other("jsonwebtoken HS256, same layers and bytes", baseline("hs256", true, at.path(), "hs256-same")?)?);
    all.push(jwt_subject(at.path(), WARM, Order::Cycle(WARM))?);
    let series = compare(&mut all, Pace::Closed, extent)?;
    let subject = &series[series.len() - 1].cpu;
    let mut findings = Findings::new("verify-jwt-warm");
    findings.add(
        Figure::new("CPU time over same layers and bytes", Estimate::difference(subject, &series[SAME].cpu), "µs")
            .bound(Bound::AtMost(1.2)),
    );
    findings.add(
        Figure::new("CPU time / bare axum + jsonwebtoken HS256", Estimate::ratio(subject, &series[3].cpu), "×")
            .bound(Bound::AtMost(0.95)),
    );
    findings.add(Figure::new(
        "CPU time / axum + jsonwebtoken HS256, same layers and bytes",
        Estimate::ratio(subject, &series[5].cpu),
        "×",
    ));
    each(&mut findings, &all, &series);
    findings.note("'well below' jsonwebtoken HS256 is taken as 0.95 or less of it");
    Ok(findings)
}

pub(super) fn jwt_cold(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new()?;
    let mut all = baselines(at.path())?;
    all.push(other("jsonwebtoken EdDSA, bare", baseline("ed-dsa", false, at.path(), "eddsa")?)?);
    // Each token is shown once: as many as can be checked in all rounds, and some more.
    let tokens = extent.times(30_000) + 60_000;
    all.push(jwt_subject(at.path(), tokens, Order::Once)?);
    let mut raw = Vec::new();
    let series = compare_beside(&mut all, Pace::Closed, extent, || {
        raw.push(raw_ed25519()?);
        Ok(())
    })?;
    let subject = &series[series.len() - 1].cpu;
    let bound: Vec<f64> = series[BARE].cpu.iter().zip(&raw).map(|(bare, raw)| bare + 1.15 * raw).collect();
    let mut findings = Findings::new("verify-jwt-cold");
    findings.add(
        Figure::new("CPU time / (bare axum + 1.15 × raw Ed25519)", Estimate::ratio(subject, &bound), "×")
            .bound(Bound::AtMost(1.0)),
    );
    findings.add(Figure::new("raw Ed25519 verification, in process", Estimate::of(&raw), "µs"));
    findings.add(Figure::new("CPU time over bare axum", Estimate::difference(subject, &series[BARE].cpu), "µs"));
    findings.add(Figure::new("CPU time over same layers", Estimate::difference(subject, &series[SAME].cpu), "µs"));
    each(&mut findings, &all, &series);
    findings.note(
        "raw Ed25519 is aws-lc on a message as long as a token, on the servers' core in the middle of each round",
    );
    Ok(findings)
}

/// Microseconds of CPU of one verification on the servers' core, as the median of batches.
fn raw_ed25519() -> io::Result<f64> {
    pin(SERVER_CORE)?;
    let found = time_ed25519();
    pin(LOAD_CORE)?;
    found
}

fn time_ed25519() -> io::Result<f64> {
    let pair = Ed25519KeyPair::generate().map_err(io::Error::other)?;
    let message = [b'x'; 330];
    let signature = pair.sign(&message);
    let parsed = ParsedPublicKey::new(&ED25519, pair.public_key().as_ref()).map_err(io::Error::other)?;
    let mut batches = Vec::new();
    for _ in 0..10 {
        let before = thread_nanos();
        for _ in 0..100 {
            parsed.verify_sig(&message, signature.as_ref()).map_err(io::Error::other)?;
        }
        batches.push((thread_nanos() - before) as f64 / 1000.0 / 100.0);
    }
    Ok(median(&mut batches))
}
