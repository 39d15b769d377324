//! What logins, verifications and renewals cost at the servers. Rounds of all methods alternate in an order that is drawn anew for
//! each round, so that drift falls on all alike.

use std::{io, thread, time::Duration};

use cloakroom_core::method::Method;

use super::{Cost, course::Course, extent::Extent, series::Series};
use crate::{
    load::{Client, Lines, Order, Pace, Requests},
    rig::{METHODS, Rig, app_of},
    stats::{Estimate, SplitMix},
    subject::{ADDRESSES, PASSWORD, email},
};

/// One method's costs, each with the CPU time's interval.
pub(super) struct Costs {
    /// The method.
    pub(super) method: Method,
    /// Signing in.
    pub(super) login: (Cost, Estimate),
    /// Checking.
    pub(super) verify: (Cost, Estimate),
    /// Renewing.
    pub(super) refresh: Option<(Cost, Estimate)>,
    /// Store operations per 1,000 verifications.
    pub(super) store_operations: f64,
    /// CPU time of the verifications' second half of rounds / first half.
    pub(super) noise: Option<Estimate>,
}

/// Measures a rig with all methods; it is filled for that.
pub(super) fn measure(
    rig: &mut Rig,
    extent: &Extent,
    random: &mut SplitMix,
    course: &mut Course<'_>,
) -> io::Result<Vec<Costs>> {
    course.part("live logins", || METHODS.iter().try_for_each(|(method, ..)| fill(rig, *method, extent)))?;
    let verify = course.part("verifications", || verifications(rig, extent, random))?;
    let refresh = course.part("renewals", || renewals(rig, extent, random))?;
    let login = course.part("sign-ins", || logins(rig, extent, random))?;
    let mut all = Vec::new();
    for (index, (series, store_operations)) in verify.into_iter().enumerate() {
        let refreshed = &refresh[index];
        all.push(Costs {
            method: METHODS[index].0,
            login: login[index].cost(),
            noise: halves(series.cpu()),
            verify: series.cost(),
            refresh: (!refreshed.cpu().is_empty()).then(|| refreshed.cost()),
            store_operations,
        });
    }
    Ok(all)
}

/// As many live logins as credentials go round, and where tokens are renewed, as are used up.
fn fill(rig: &mut Rig, method: Method, extent: &Extent) -> io::Result<()> {
    rig.fill(method, extent.credentials.max(if method.has_tokens() { extent.refreshes } else { 0 }))
}

/// The second half of rounds / the first half, in pairs.
fn halves(rounds: &[f64]) -> Option<Estimate> {
    let half = rounds.len() / 2;
    (half > 0).then(|| Estimate::ratio(&rounds[rounds.len() - half..], &rounds[..half]))
}

/// The order of a round.
fn order(count: usize, random: &mut SplitMix) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    random.shuffle(&mut order);
    order
}

fn verifications(rig: &Rig, extent: &Extent, random: &mut SplitMix) -> io::Result<Vec<(Series, f64)>> {
    let mut requests = Vec::new();
    for (method, _, path) in METHODS {
        let order = Order::Cycle(extent.credentials);
        requests.push(Requests::get(path, rig.credentials(method)?, order).routed(rig.route()));
    }
    for (method, ..) in METHODS {
        rig.warm(method)?;
    }
    let mut client = rig.client(extent.connections)?;
    let mut all: Vec<Series> = METHODS.iter().map(|_| Series::default()).collect();
    let mut operations = vec![(0.0, 0_u64); METHODS.len()];
    for _ in 0..extent.rounds {
        for index in order(METHODS.len(), random) {
            let before = rig.store_operations()?;
            let (cpu, sample) = rig.closed(&mut client, &mut requests[index], extent.lasting)?;
            operations[index].0 += rig.store_operations()? - before;
            operations[index].1 += sample.answers;
            all[index].push_cost(cpu, &sample);
        }
    }
    // One rate of arrival for all: half of what the slowest can do.
    let half = all.iter().map(Series::rate).fold(f64::INFINITY, f64::min) / 2.0;
    for _ in 0..extent.rounds {
        for index in order(METHODS.len(), random) {
            let sample = client.run(&mut requests[index], Pace::Open(half), extent.lasting)?;
            all[index].push_latency(&sample);
        }
    }
    let per_thousand = operations.into_iter().map(|(operations, answers)| operations * 1000.0 / answers.max(1) as f64);
    Ok(all.into_iter().zip(per_thousand).collect())
}

/// Renewals, each by a token that is due to rotate where tokens rotate; empty for methods without.
fn renewals(rig: &Rig, extent: &Extent, random: &mut SplitMix) -> io::Result<Vec<Series>> {
    let mut all: Vec<Series> = METHODS.iter().map(|_| Series::default()).collect();
    let mut client = rig.client(extent.connections)?;
    let mut requests = Vec::new();
    for (index, (method, ..)) in METHODS.iter().enumerate().filter(|(_, (method, ..))| method.has_tokens()) {
        let bodies = rig.refresh_bodies(*method)?;
        requests.push((index, Requests::post("/v1/refresh", bodies, Order::Once).routed(rig.route())));
    }
    for _ in 0..extent.rounds {
        for which in order(requests.len(), random) {
            let (index, requests) = &mut requests[which];
            let (cpu, sample) = rig.closed(&mut client, requests, extent.lasting / 2)?;
            all[*index].push_cost(cpu, &sample);
            if sample.answers > 0 {
                all[*index].push_latency(&sample);
            }
        }
    }
    Ok(all)
}

fn logins(rig: &Rig, extent: &Extent, random: &mut SplitMix) -> io::Result<Vec<Series>> {
    let mut all: Vec<Series> = METHODS.iter().map(|_| Series::default()).collect();
    // A hash costs the same wherever it is made; at one server no others wait for it.
    let mut client = Client::connect(rig.first()?.address, extent.hashing)?;
    let mut requests = Vec::new();
    for (method, ..) in METHODS {
        requests.push(Requests::post("/v1/login", bodies(method)?, Order::Cycle(ADDRESSES)));
    }
    for _ in 0..extent.login_rounds {
        for index in order(METHODS.len(), random) {
            let (cpu, sample) = rig.closed(&mut client, &mut requests[index], extent.login_lasting)?;
            all[index].push_cost(cpu, &sample);
            all[index].push_latency(&sample);
        }
    }
    Ok(all)
}

/// What all servers did in one time, and the CPU time that it took.
pub(super) struct Mixture {
    /// The method.
    pub(super) method: Method,
    /// Verifications, logins and renewals that were answered.
    pub(super) counts: [u64; 3],
    /// Microseconds.
    pub(super) cpu_us: f64,
}

/// Verifications, logins and renewals at the same time, for each method.
pub(super) fn mixtures(rig: &mut Rig, extent: &Extent) -> io::Result<Vec<Mixture>> {
    let lasting = extent.lasting * 2;
    let mut all = Vec::new();
    for (method, _, path) in METHODS {
        fill(rig, method, extent)?;
        let mut verify = Requests::get(path, rig.credentials(method)?, Order::Cycle(extent.credentials));
        let mut login = Requests::post("/v1/login", bodies(method)?, Order::Cycle(ADDRESSES));
        let mut renew = if method.has_tokens() {
            Some(Requests::post("/v1/refresh", rig.refresh_bodies(method)?, Order::Once))
        } else {
            None
        };
        let mut clients = [rig.client(extent.connections)?, rig.client(2)?, rig.client(1)?];
        let [verifying, signing_in, renewing] = &mut clients;
        rig.warm(method)?;
        let before = rig.cpu()?;
        let counts = thread::scope(|scope| {
            let login = scope.spawn(|| signing_in.run(&mut login, Pace::Closed, lasting));
            let renew =
                scope.spawn(|| renew.as_mut().map(|renew| renewing.run(renew, Pace::Open(500.0), lasting)).transpose());
            let verified = verifying.run(&mut verify, Pace::Open(5_000.0), lasting)?;
            let broken = |_| io::Error::other("a load broke off");
            let login = login.join().map_err(broken)??;
            let renewed = renew.join().map_err(broken)??;
            io::Result::Ok([verified.answers, login.answers, renewed.map_or(0, |sample| sample.answers)])
        })?;
        thread::sleep(Duration::from_millis(5));
        all.push(Mixture { method, counts, cpu_us: rig.cpu_since(&before)? as f64 / 1000.0 });
    }
    Ok(all)
}

/// The logins of all who have a password.
fn bodies(method: Method) -> io::Result<std::sync::Arc<Lines>> {
    let all: Vec<String> = (0..ADDRESSES).map(|number| login_body(number, method)).collect();
    Lines::of(&all)
}

/// The login of one of them.
pub(super) fn login_body(number: usize, method: Method) -> String {
    format!(r#"{{"email":"{}","password":"{PASSWORD}","app":"{}"}}"#, email(number), app_of(method))
}
