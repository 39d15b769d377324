//! What live logins take in the stores, and how cost grows with their number.

use std::io;

use cloakroom_core::method::Method;
use rusqlite::{Connection, OpenFlags};

use super::{
    Cost, Growth, Store, Topology,
    cost::{missed, store_operations},
    extent::Extent,
};
use crate::{
    load::{Order, Pace, Requests},
    rig::{METHODS, Rig, Workshop},
    stats::{Estimate, median},
};

/// Bytes that all sessions take in their store at this moment.
pub(super) fn store_bytes(rig: &Rig, workshop: &Workshop) -> io::Result<u64> {
    match rig.store {
        Store::Memory => rig.first()?.resident(),
        // The pages of the table and of its indices, whatever else is in the file.
        Store::Sqlite => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
            let file =
                Connection::open_with_flags(rig.place(0).join("cloakroom.db"), flags).map_err(io::Error::other)?;
            let pages = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name LIKE 'session%'";
            let bytes: i64 = file.query_row(pages, [], |row| row.get(0)).map_err(io::Error::other)?;
            Ok(bytes.unsigned_abs())
        }
        Store::Postgres => {
            let postgres = workshop.postgres.as_ref().ok_or_else(|| io::Error::other("there is no PostgreSQL"))?;
            let size = postgres.tell(&rig.name, "SELECT pg_total_relation_size('cloakroom_sessions')")?;
            size.parse().map_err(io::Error::other)
        }
        Store::Redis => workshop.redis.as_ref().ok_or_else(|| io::Error::other("there is no Redis"))?.used(),
    }
}

/// Bytes for each live login of each method: the slope between two fillings.
pub(super) fn per_login(rig: &mut Rig, workshop: &Workshop, extent: &Extent) -> io::Result<Vec<f64>> {
    let mut all = Vec::new();
    for (method, ..) in METHODS {
        if !method.keeps_record() {
            all.push(0.0);
            continue;
        }
        // A process's memory comes in larger pieces than a store's pages.
        let slope = if rig.store == Store::Memory { extent.slope * 20 } else { extent.slope };
        // What is made once, and pages that are begun, are there after the first filling.
        rig.fill(method, slope / 2)?;
        let before = store_bytes(rig, workshop)?;
        rig.fill(method, slope)?;
        let added = store_bytes(rig, workshop)?.saturating_sub(before);
        all.push(added as f64 / slope as f64);
    }
    Ok(all)
}

/// Verification and memory at a number of live logins, for one method with one store and one server.
pub(super) fn growth(
    workshop: &Workshop,
    store: Store,
    method: Method,
    size: usize,
    extent: &Extent,
) -> io::Result<Growth> {
    let path = METHODS.iter().find(|(known, ..)| *known == method).map_or("", |(_, _, path)| path);
    let mut rig =
        workshop.build_with(store, Topology::One, &[&format!("CLOAKROOM_CACHE__ENTRIES={}", extent.cache)])?;
    rig.fill(method, size)?;
    let mut requests = Requests::get(path, rig.credentials(method)?, Order::zipf(size, 0.99));
    let mut client = rig.client(extent.connections)?;
    // Until the near-cache holds what it can of what is asked for.
    if size <= extent.cache {
        rig.warm(method, path)?;
    }
    client.run(&mut requests, Pace::Closed, extent.lasting * 4)?.demand(200)?;
    let (mut cpu, mut rates, mut quantiles) = (Vec::new(), Vec::new(), [const { Vec::new() }; 4]);
    let (mut operations, mut misses, mut answers) = (0.0, 0.0, 0);
    for _ in 0..extent.rounds {
        let before = (store_operations(&rig, method)?, missed(&rig)?);
        let (nanos, sample) = rig.closed(&mut client, &mut requests, extent.lasting)?;
        operations += store_operations(&rig, method)? - before.0;
        misses += missed(&rig)? - before.1;
        answers += sample.answers;
        cpu.push(nanos as f64 / 1000.0 / sample.answers.max(1) as f64);
        rates.push(sample.per_second());
        let sample = client.run(&mut requests, Pace::Open(sample.per_second() / 2.0), extent.lasting)?;
        for (values, quantile) in quantiles.iter_mut().zip([0.5, 0.9, 0.99, 0.999]) {
            values.push(sample.micros(quantile));
        }
    }
    let (cpu, [p50_us, p90_us, p99_us, p999_us]) =
        (Estimate::of(&cpu), quantiles.map(|mut values| median(&mut values)));
    let verify = Cost {
        requests_per_second: median(&mut rates),
        cpu_us_per_request: cpu.value,
        spread: (cpu.high - cpu.low) / 2.0 / cpu.value,
        refused_per_1000: 0.0,
        p50_us,
        p90_us,
        p99_us,
        p999_us,
    };
    Ok(Growth {
        method,
        store,
        live_sessions: size,
        verify,
        misses_per_1000: misses * 1000.0 / answers.max(1) as f64,
        store_operations_per_1000: operations * 1000.0 / answers.max(1) as f64,
        resident_bytes: rig.first()?.resident()?,
        store_bytes: if method.keeps_record() { store_bytes(&rig, workshop)? } else { 0 },
    })
}
