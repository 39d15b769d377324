//! What live logins take in the stores, and how cost grows with their number.

use std::io;

use cloakroom_core::method::Method;

use super::{Growth, Store, Topology, course::Course, extent::Extent, series::Series};
use crate::{
    load::{Order, Pace, Requests},
    rig::{METHODS, Rig, Workshop, path_of},
};

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
        rig.keep(method, slope / 2)?;
        let before = workshop.store_bytes(rig)?;
        rig.keep(method, slope)?;
        let added = workshop.store_bytes(rig)?.saturating_sub(before);
        all.push(added as f64 / slope as f64);
    }
    Ok(all)
}

/// Verification and memory at a number of live logins, for one method with one store and one server.
pub(super) fn growth(
    workshop: &Workshop,
    (store, method, size): (Store, Method, usize),
    extent: &Extent,
    course: &mut Course<'_>,
) -> io::Result<Growth> {
    let cache = format!("CLOAKROOM_CACHE__ENTRIES={}", extent.cache);
    let mut rig = course.part("server starts", || workshop.build_without_people(store, Topology::One, &[&cache]))?;
    course.part("live logins", || rig.fill(method, size))?;
    course.part("verifications", || verifications(workshop, &rig, (method, size), extent))
}

fn verifications(
    workshop: &Workshop,
    rig: &Rig,
    (method, size): (Method, usize),
    extent: &Extent,
) -> io::Result<Growth> {
    let mut requests = Requests::get(path_of(method), rig.credentials(method)?, Order::zipf(size, 0.99));
    let mut client = rig.client(extent.connections)?;
    // Until the near-cache holds what it can of what is asked for.
    if size <= extent.cache {
        rig.warm(method)?;
    }
    client.run(&mut requests, Pace::Closed, extent.lasting * 3)?.demand(200)?;
    let (mut series, mut operations, mut misses) = (Series::default(), 0.0, 0.0);
    for _ in 0..extent.rounds {
        let before = (rig.store_operations()?, rig.missed()?);
        let (nanos, sample) = rig.closed(&mut client, &mut requests, extent.lasting)?;
        operations += rig.store_operations()? - before.0;
        misses += rig.missed()? - before.1;
        series.push_cost(nanos, &sample);
        let half = Pace::Open(sample.per_second() / 2.0);
        series.push_latency(&client.run(&mut requests, half, extent.lasting)?);
    }
    let per_thousand = |count: f64| count * 1000.0 / series.answers().max(1) as f64;
    Ok(Growth {
        method,
        store: rig.store,
        live_sessions: size,
        verify: series.cost().0,
        misses_per_1000: per_thousand(misses),
        store_operations_per_1000: per_thousand(operations),
        resident_bytes: rig.first()?.resident()?,
        store_bytes: if method.keeps_record() { workshop.store_bytes(rig)? } else { 0 },
    })
}
