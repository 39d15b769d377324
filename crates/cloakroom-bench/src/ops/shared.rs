//! Several servers on shared stores: what a check costs with three instead of one, how many renewals a server does beside the
//! same compare-and-swap by a client's bare loop, and how ten thousand to a million live sessions differ.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use cloakroom_core::method::Method;
use cloakroom_lab::{
    load::{Order, Requests},
    rig::{Rig, Store, Topology, Workshop},
    stats::Estimate,
    stopwatch::pin,
};
use tempfile::TempDir;

use super::{many::saturated_and_half, verify::VERIFY_WEB};
use crate::{
    process::{LOAD_CORE, SERVER_CORE},
    report::{Bound, Figure, Findings},
    rounds::Extent,
};

const WARM: usize = 500;
const CLIENTS: usize = 64;
const MIB: f64 = 1_048_576.0;

/// With a PostgreSQL, and a Redis if it is asked for.
fn workshop(dir: &TempDir, redis: bool) -> io::Result<Workshop> {
    let mut workshop = Workshop::new(std::env::current_exe()?, dir.path().to_owned(), Some(SERVER_CORE))?;
    workshop.start(Store::Postgres)?;
    if redis {
        workshop.start(Store::Redis)?;
    }
    Ok(workshop)
}

/// `/v1/verify` by one server, and by three among which each request falls anywhere.
pub(super) fn servers(extent: &Extent) -> io::Result<Findings> {
    let dir = TempDir::new()?;
    let workshop = workshop(&dir, false)?;
    let mut rigs = Vec::new();
    for topology in [Topology::One, Topology::One, Topology::Shared] {
        let mut rig = workshop.build(Store::Postgres, topology)?;
        rig.fill(Method::Session, WARM)?;
        rig.warm(Method::Session)?;
        let requests = Requests::get(VERIFY_WEB, rig.credentials(Method::Session)?, Order::Cycle(WARM));
        // As many at each server: who is asked less often does less at each waking.
        let connections = extent.connections * rig.addresses().len();
        let (client, requests) = (rig.client(connections)?, requests.routed(rig.route()));
        rigs.push((rig, client, requests));
    }
    let mut cpu = vec![Vec::new(); rigs.len()];
    let mut asked = (0.0, 0);
    for round in 0..=extent.rounds {
        let mut order: Vec<usize> = (0..rigs.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let (rig, client, requests) = &mut rigs[index];
            let before = rig.store_operations()?;
            let (nanos, sample) = rig.closed(client, requests, extent.lasting)?;
            sample.demand(200)?;
            // The first round warms up.
            if round > 0 {
                cpu[index].push(nanos as f64 / 1000.0 / sample.answers as f64);
                asked = (asked.0 + rig.store_operations()? - before, asked.1 + sample.answers);
            }
        }
    }
    let mut findings = Findings::new("servers");
    let ratio = |of: usize, to: usize| Estimate::ratio(&cpu[of], &cpu[to]);
    findings.add(Figure::new("CPU time of a check, three servers / one", ratio(2, 0), "×").bound(Bound::AtMost(1.05)));
    findings.add(Figure::new("A/A control: one server / one", ratio(1, 0), "×").bound(Bound::Within(0.99, 1.01)));
    findings.add(Figure::new("one server: CPU time", Estimate::of(&cpu[0]), "µs"));
    findings.add(Figure::new("three servers: CPU time", Estimate::of(&cpu[2]), "µs"));
    let share = Estimate::exact(asked.0 * 1000.0 / asked.1.max(1) as f64);
    findings.add(Figure::new("store reads per 1,000 warm checks", share, "").bound(Bound::AtMost(1.0)));
    findings.note(
        "sessions and accounts in PostgreSQL; as many connections to each server; all servers on one core, which three \
         processes share; reads: look-ups, and looks at the log's head",
    );
    Ok(findings)
}

/// Renewals by one server, and the same compare-and-swap by the store's own benchmark client, in turns.
pub(super) fn swaps(extent: &Extent) -> io::Result<Findings> {
    let dir = TempDir::new()?;
    let workshop = workshop(&dir, true)?;
    let mut findings = Findings::new("refresh-shared");
    for store in [Store::Postgres, Store::Redis] {
        let mut rig = workshop.build(store, Topology::One)?;
        let sessions = extent.times(10_000).clamp(5_000, 100_000);
        rig.fill(Method::Jwt, sessions)?;
        let mut requests = Requests::post("/v1/refresh", rig.refresh_bodies(Method::Jwt)?, Order::Once);
        let mut client = rig.client(CLIENTS)?;
        prepare(&workshop, &rig)?;
        let (mut served, mut raw, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..extent.rounds {
            let (nanos, sample) = rig.closed(&mut client, &mut requests, extent.lasting)?;
            if sample.answers == 0 {
                break;
            }
            sample.demand(200)?;
            served.push(sample.per_second());
            cpu.push(nanos as f64 / 1000.0 / sample.answers as f64);
            raw.push(bare(&workshop, &rig, extent.lasting)?);
        }
        let name = store.name();
        findings.add(
            Figure::new(format!("{name}: renewals / bare swaps"), Estimate::ratio(&served, &raw), "×")
                .bound(Bound::AtLeast(0.9)),
        );
        findings.add(Figure::new(format!("{name}: renewals"), Estimate::of(&served), "/s"));
        findings.add(Figure::new(format!("{name}: bare swaps"), Estimate::of(&raw), "/s"));
        findings.add(Figure::new(format!("{name}: CPU time of a renewal at the server"), Estimate::of(&cpu), "µs"));
    }
    findings.note("64 clients each; bare: pgbench with the same UPDATE prepared, redis-benchmark with the same script, on the load's core");
    Ok(findings)
}

/// As many sessions for the bare loop as are renewed.
const BARE: u32 = 10_000;
/// The script by which the adapter changes a record.
const SCRIPT: &str = include_str!("../../../cloakroom-core/src/store/redis/write.lua");

fn prepare(workshop: &Workshop, rig: &Rig) -> io::Result<()> {
    if let (Store::Postgres, Some(postgres)) = (rig.store, &workshop.postgres) {
        let make = format!(
            "CREATE TABLE bare (LIKE cloakroom_sessions INCLUDING ALL);
             INSERT INTO bare SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), decode(lpad(to_hex(n / 10), 32, '0'), 'hex'),
                 0, 4102444800000, 0, 0, 0, 0, 0, 0, 1, 1, '\\x01020304', '\\x00' FROM generate_series(1, {BARE}) AS n"
        );
        postgres.tell(&rig.name, &make)?;
    }
    if let (Store::Redis, Some(redis)) = (rig.store, &workshop.redis) {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port()))?;
        // A record of the stored form; its generation is 49, whose byte is a printable one.
        let record = [&[1_u8][..], &[b'a'; 52], &[0, 0, b'1']].concat();
        for number in 0..BARE {
            let key = format!("bare:{number:012}");
            let head = format!("*5\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), record.len());
            stream.write_all(&[head.as_bytes(), &record, b"\r\n$2\r\nEX\r\n$5\r\n86400\r\n"].concat())?;
        }
        let load = format!("*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n${}\r\n{SCRIPT}\r\n*1\r\n$4\r\nQUIT\r\n", SCRIPT.len());
        stream.write_all(load.as_bytes())?;
        let mut told = String::new();
        stream.read_to_string(&mut told)?;
        if told.contains("-ERR") {
            return Err(io::Error::other("Redis did not take the bare sessions"));
        }
    }
    Ok(())
}

/// Swaps a second.
fn bare(workshop: &Workshop, rig: &Rig, lasting: Duration) -> io::Result<f64> {
    let broken = |output: &std::process::Output| {
        io::Error::other(format!("the bare loop: {}", String::from_utf8_lossy(&output.stderr).trim()))
    };
    match (rig.store, &workshop.postgres, &workshop.redis) {
        (Store::Postgres, Some(postgres), _) => {
            let script = workshop.dir.join("swap.sql");
            std::fs::write(
                &script,
                format!(
                    "\\set n random(1, {BARE})\nUPDATE bare SET generation = generation + 1, rotated = 1, last_active = \
                     greatest(last_active, 1) WHERE sid = decode(lpad(to_hex(:n::int), 32, '0'), 'hex') AND generation >= 0 \
                     RETURNING *;\n"
                ),
            )?;
            let seconds = lasting.as_secs().max(1).to_string();
            let output = Command::new("pgbench")
                .args(["-n", "-M", "prepared", "-h", "127.0.0.1", "-p", &postgres.port().to_string(), "-U", "postgres"])
                .args(["-c", &CLIENTS.to_string(), "-j", "1", "-T", &seconds, "-f"])
                .arg(&script)
                .arg(&rig.name)
                .current_dir("/")
                .output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = text.lines().find_map(|line| line.strip_prefix("tps = "));
            let rate = line.and_then(|line| line.split(' ').next()?.parse().ok());
            rate.ok_or_else(|| broken(&output))
        }
        (Store::Redis, _, Some(redis)) => {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, SCRIPT.as_bytes());
            let digest = data_encoding::HEXLOWER.encode(digest.as_ref());
            let output = Command::new("redis-benchmark")
                .args(["-p", &redis.port().to_string(), "-c", &CLIENTS.to_string(), "-n", "20000", "--csv"])
                .args(["-r", &BARE.to_string(), "EVALSHA", &digest, "1", "bare:__rand_int__"])
                .args(["rotate", "49", "1", "aaaaaa", "0"])
                .output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let last = text.lines().last().unwrap_or_default();
            let rate = last.split("\",\"").nth(1).and_then(|rate| rate.trim_matches('"').parse().ok());
            rate.ok_or_else(|| broken(&output))
        }
        _ => Err(io::Error::other("there is no such store")),
    }
}

/// Ten thousand to a million live sessions in PostgreSQL and Redis, seeded through their ports.
pub(super) fn many(extent: &Extent) -> io::Result<Findings> {
    let sizes: [usize; 3] = if extent.quick { [1_000, 5_000, 20_000] } else { [10_000, 100_000, 1_000_000] };
    let mut findings = Findings::new("many-sessions-shared");
    for store in [Store::Redis, Store::Postgres] {
        let dir = TempDir::new_in(std::env::current_dir()?)?;
        // Beside the servers: the load never rests, and p99 would be of how long a store waits for a turn on its core.
        pin(SERVER_CORE)?;
        let workshop = workshop(&dir, true);
        pin(LOAD_CORE)?;
        let workshop = workshop?;
        let (mut p99, mut taken) = (Vec::new(), Vec::new());
        for size in sizes {
            let what = format!("{}, {size} sessions", store.name());
            // Of every size most sessions are not in it: else p99 of the smallest would be of memory, and of the others of the store.
            let mut rig = workshop.build_with(store, Topology::One, &["CLOAKROOM_CACHE__ENTRIES=1000"])?;
            let before = workshop.store_bytes(&rig)?;
            rig.fill(Method::Session, size)?;
            taken.push((workshop.store_bytes(&rig)?.saturating_sub(before)) as f64 / size as f64);
            let lines = rig.credentials(Method::Session)?;
            // What filling took is not what serving takes.
            rig.kill(0)?;
            let begin = Instant::now();
            rig.revive(0)?;
            let start = Estimate::exact(begin.elapsed().as_secs_f64() * 1000.0);
            findings.add(Figure::new(format!("{what}: start"), start, "ms").bound(Bound::AtMost(1000.0)));
            let mut requests = Requests::get(VERIFY_WEB, lines, Order::zipf(size, 0.99));
            let mut client = rig.client(extent.connections)?;
            let (rates, tails) = saturated_and_half(&mut client, &mut requests, extent)?;
            findings.add(Figure::new(format!("{what}: throughput"), Estimate::of(&rates), "/s"));
            findings.add(Figure::new(format!("{what}: p99 at half load"), Estimate::of(&tails), "µs"));
            findings.add(Figure::new(format!("{what}: store"), Estimate::exact(taken[taken.len() - 1]), "bytes/login"));
            let resident = rig.first()?.resident()? as f64 / MIB;
            findings.add(Figure::new(format!("{what}: server's memory"), Estimate::exact(resident), "MiB"));
            p99.push(tails);
        }
        let name = store.name();
        findings.add(
            Figure::new(
                format!("{name}: p99 at {} / at {}", sizes[2], sizes[0]),
                Estimate::ratio(&p99[2], &p99[0]),
                "×",
            )
            .bound(Bound::AtMost(1.1)),
        );
        findings.add(
            Figure::new(
                format!("{name}: bytes a login at {} / at {}", sizes[2], sizes[1]),
                Estimate::exact(taken[2] / taken[1]),
                "×",
            )
            .bound(Bound::Within(0.9, 1.1)),
        );
    }
    findings.note("a near-cache of 1,000 facts, Zipf 0.99; the store on the server's core");
    Ok(findings)
}
