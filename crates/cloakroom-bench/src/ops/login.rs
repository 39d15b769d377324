//! A login beside the hash that it must cost; and whether its time tells if there is such an account (F077).

use std::{
    io,
    process::Command,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use clap::Args;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{
    process::{SERVER_CORE, subject},
    report::{Bound, Figure, Findings},
    rounds::{Extent, settle},
};
use cloakroom_lab::{
    load::{Client, Lines, Order, Pace, Requests},
    stats::{Estimate, SplitMix},
    stopwatch::{pin, thread_nanos},
    subject::{ADDRESSES, PASSWORD, email},
};

/// Enough that the one hashing thread is never without work, and fewer than may wait.
pub(super) const CLIENTS: usize = 8;
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;

/// `raw-argon2`.
#[derive(Args, Debug)]
pub(crate) struct RawArgs {
    /// The core to run on.
    #[arg(long)]
    core: usize,
    /// For so long.
    #[arg(long)]
    seconds: f64,
}

/// What hashes cost by themselves.
#[derive(Serialize, Deserialize)]
struct Raw {
    cpu_millis: f64,
    per_second: f64,
}

/// Hashes for a while with the server's parameters, in memory that is there already, and prints what that took.
pub(crate) fn raw_argon2(args: &RawArgs) -> io::Result<()> {
    pin(args.core)?;
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(io::Error::other)?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut memory = vec![Block::default(); MEMORY_KIB as usize];
    let mut out = [0; 32];
    let mut hash = |salt: u64| {
        let salt = [salt.to_be_bytes(), salt.to_le_bytes()].concat();
        argon
            .hash_password_into_with_memory(PASSWORD.as_bytes(), &salt, &mut out, &mut memory)
            .map_err(io::Error::other)
    };
    hash(0)?;
    let (start, cpu, mut hashes) = (Instant::now(), thread_nanos(), 0_u32);
    while start.elapsed().as_secs_f64() < args.seconds || hashes == 0 {
        hash(u64::from(hashes))?;
        hashes += 1;
    }
    let per_second = f64::from(hashes) / start.elapsed().as_secs_f64();
    let cpu_millis = (thread_nanos() - cpu) as f64 / 1e6 / f64::from(hashes);
    println!("{}", serde_json::to_string(&Raw { cpu_millis, per_second })?);
    Ok(())
}

fn raw(seconds: f64) -> io::Result<Raw> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("raw-argon2").args(["--core", &SERVER_CORE.to_string(), "--seconds", &seconds.to_string()]);
    let output = command.output()?;
    serde_json::from_slice(&output.stdout).map_err(Into::into)
}

/// Bodies of right logins, an account each.
pub(super) fn logins() -> io::Result<std::sync::Arc<Lines>> {
    let bodies = (0..ADDRESSES).map(|number| body(&email(number), PASSWORD));
    Lines::of(&bodies.collect::<Vec<_>>())
}

fn body(email: &str, password: &str) -> String {
    serde_json::json!({"email": email, "password": password, "app": "web"}).to_string()
}

pub(super) fn login(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new_in(std::env::current_dir()?)?;
    let process = subject(at.path(), "subject", &[], &["--people".to_owned()])?;
    let mut requests = Requests::post("/v1/login", logins()?, Order::Cycle(ADDRESSES));
    let mut client = Client::connect(process.address, CLIENTS)?;
    // A hash takes some tens of milliseconds: a round must see many.
    let lasting = extent.lasting.max(Duration::from_secs(2));
    client.run(&mut requests, Pace::Closed, Duration::from_millis(500))?.demand(200)?;
    let (mut cpu, mut rate, mut raw_cpu, mut raw_rate) = (vec![], vec![], vec![], vec![]);
    for round in 0..extent.rounds {
        // ABBA: the raw hashes first, then last.
        for raw_turn in [round % 2 == 0, round % 2 == 1] {
            if raw_turn {
                let raw = raw(lasting.as_secs_f64())?;
                raw_cpu.push(raw.cpu_millis);
                raw_rate.push(raw.per_second);
                continue;
            }
            let before = process.cpu()?;
            let sample = client.run(&mut requests, Pace::Closed, lasting)?;
            settle();
            sample.demand(200)?;
            cpu.push(process.cpu()?.since(&before) as f64 / 1e6 / sample.answers as f64);
            rate.push(sample.per_second());
        }
    }
    let again: Vec<f64> =
        (0..extent.rounds.min(6)).map(|_| raw(1.0).map(|raw| raw.cpu_millis)).collect::<Result<_, _>>()?;
    let mut findings = Findings::new("login");
    findings
        .add(Figure::new("CPU time / raw Argon2id", Estimate::ratio(&cpu, &raw_cpu), "×").bound(Bound::AtMost(1.03)));
    findings.add(
        Figure::new("saturated throughput / raw Argon2id", Estimate::ratio(&rate, &raw_rate), "×")
            .bound(Bound::AtLeast(0.97)),
    );
    findings.add(Figure::new("CPU time of a login", Estimate::of(&cpu), "ms"));
    findings.add(Figure::new("CPU time of a raw Argon2id", Estimate::of(&raw_cpu), "ms"));
    findings.add(Figure::new("logins", Estimate::of(&rate), "/s"));
    findings.add(Figure::new("raw Argon2id", Estimate::of(&raw_rate), "/s"));
    let pairs = again.len() / 2;
    findings.add(
        Figure::new("A/A control: raw / itself", Estimate::ratio(&again[..pairs], &again[pairs..pairs * 2]), "×")
            .bound(Bound::Within(0.99, 1.01)),
    );
    findings
        .note(format!("m=64 MiB, t=3, p=1, one core for both; {CLIENTS} clients; sessions and audit log in SQLite"));
    Ok(findings)
}

pub(super) fn timing(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new_in(std::env::current_dir()?)?;
    let many = ["BURST=1000000", "REFILL=1ms"];
    let limits = ["ACCOUNT", "NETWORK", "FAMILIAR_NETWORK"]
        .into_iter()
        .flat_map(|kind| many.iter().map(move |setting| format!("CLOAKROOM_LIMITS__FAILURES_PER_{kind}__{setting}")));
    let limits: Vec<String> = limits.collect();
    let settings: Vec<&str> = limits.iter().map(String::as_str).collect();
    let process = subject(at.path(), "subject", &settings, &["--people".to_owned()])?;
    let mut client = Client::connect(process.address, 1)?;
    let times = extent.rounds * 10;
    let (mut known, mut unknown, mut known_again) = (vec![], vec![], vec![]);
    let (mut random, mut answers) = (SplitMix(9), Vec::new());
    for turn in 0..times {
        let there = email(turn % ADDRESSES);
        let nobody = format!("nobody{}@example.com", 100 + turn % 900);
        let mut kinds = [(0, &there), (1, &nobody), (2, &there)];
        random.shuffle(&mut kinds);
        for (kind, email) in kinds {
            let mut requests =
                Requests::post("/v1/login", Lines::one(&body(email, "wrong-horse-battery-91")), Order::Once);
            let sample = client.run(&mut requests, Pace::Closed, Duration::from_secs(30))?;
            sample.demand(401)?;
            answers.push(sample.last.clone());
            let series = [&mut known, &mut unknown, &mut known_again];
            if let Some(series) = series.into_iter().nth(kind) {
                series.push(sample.micros(1.0) / 1000.0);
            }
        }
    }
    answers.dedup();
    let mut findings = Findings::new("login-timing");
    let difference = Estimate::difference(&unknown, &known);
    let apart = if difference.low <= 0.0 && difference.high >= 0.0 { 0.0 } else { difference.value.abs() };
    findings.add(
        Figure::new("unknown − known: what its interval leaves of it", Estimate::exact(apart), "ms")
            .bound(Bound::AtMost(0.0)),
    );
    findings.add(Figure::new("unknown − known", difference, "ms"));
    findings.add(Figure::new("A/A control: known − known", Estimate::difference(&known_again, &known), "ms"));
    findings.add(Figure::new("known address, wrong password", Estimate::of(&known), "ms"));
    findings.add(Figure::new("unknown address", Estimate::of(&unknown), "ms"));
    findings.add(
        Figure::new("different bodies of the refusals", Estimate::exact(answers.len() as f64), "")
            .bound(Bound::AtMost(1.0)),
    );
    findings.note(format!("{times} of each in random order, over one connection (F077)"));
    Ok(findings)
}
