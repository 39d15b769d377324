//! The work: what is there is found, rigs are built and measured as the `plan` says, and what cannot be measured is said.

use std::{
    io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use cloakroom_core::method::Method;
use tempfile::TempDir;
use url::Url;

use super::{
    Comparison, Growth, LeftOut, Row, Store, Survival, Topology, WirePage,
    cost::{self, Costs, Mixture},
    course::{Course, Progress},
    ending,
    extent::Extent,
    machine,
    model::{self, Known},
    plan::{self, MOST_TOKENS, Step},
    state, survival, theft, wire,
};
use crate::{
    advise,
    case::Case,
    rig::{METHODS, Workshop},
    stats::SplitMix,
    stopwatch::pin,
    stores::{Postgres, Redis},
};

/// What is to be compared, and how.
pub struct Options {
    /// The case.
    pub case: Case,
    /// How much is measured.
    pub extent: Extent,
    /// This program, for its servers and its command line.
    pub program: PathBuf,
    /// The command that does it again.
    pub command: String,
    /// A PostgreSQL to be used instead of one that is started.
    pub postgres: Option<Url>,
    /// A Redis likewise.
    pub redis: Option<Url>,
}

/// What was found up to now.
#[derive(Default)]
struct Found {
    wire: Vec<WirePage>,
    rows: Vec<Row>,
    growth: Vec<Growth>,
    feed_cut: Vec<super::FeedCut>,
    theft: Vec<super::Theft>,
    survival: Vec<Survival>,
    left_out: Vec<LeftOut>,
    /// Of the memory store and one server, which the model is made of.
    costs: Vec<Costs>,
    state: Vec<f64>,
    mixtures: Vec<Mixture>,
}

impl Found {
    /// Says why something is missing, unless it was done.
    fn unless_taken(&mut self, what: LeftOut, taken: io::Result<()>) {
        if let Err(error) = taken {
            self.left_out.push(LeftOut { why: error.to_string(), ..what });
        }
    }
}

/// Something that may turn out to be missing.
fn missing(what: &str) -> LeftOut {
    let remedy = "look_and_repeat".to_owned();
    LeftOut { what: what.to_owned(), method: None, place: None, why: String::new(), remedy }
}

/// The same with a store in a topology.
fn missing_at(what: &str, store: Store, topology: Topology) -> LeftOut {
    LeftOut { place: Some((store, topology)), ..missing(what) }
}

/// Measures. Broken off by `stop`, it answers what is whole.
///
/// # Errors
/// Where not even one server can be started, its directory cannot be made, or a store that was given cannot be used.
pub fn run(options: &Options, progress: &dyn Fn(Progress<'_>), stop: &AtomicBool) -> io::Result<Comparison> {
    let mut comparison = machine::blank(options);
    let extent = &options.extent;
    let dir = TempDir::with_prefix("cloakroom-compare-")?;
    let cores = machine::two_cores();
    let mut workshop = Workshop::new(options.program.clone(), dir.path().to_owned(), cores.map(|(server, _)| server))?;
    let unusable =
        |name: &str, error: io::Error| io::Error::other(format!("the {name} that was given cannot be used: {error}"));
    let given = options.postgres.clone().map(Postgres::given).transpose();
    workshop.postgres = given.map_err(|error| unusable("PostgreSQL", error))?;
    let given = options.redis.clone().map(Redis::given).transpose();
    workshop.redis = given.map_err(|error| unusable("Redis", error))?;
    let mut found = Found::default();
    let planned = |steps: &[Step]| steps.iter().map(|step| step.seconds(extent)).sum();
    let mut course = Course::begin(progress, planned(&plan::steps(|_, _| true, extent)));
    course.enter(Step::Opening.name(), Step::Opening.seconds(extent));
    course.part("", || opening(&mut workshop, options, &mut found));
    // The stores' processes run where they like.
    if let Some((_, load)) = cores {
        pin(load)?;
    }
    let steps = plan::steps(|store, topology| workshop.has(store, topology), extent);
    course.replan(planned(&steps));
    for step in steps.into_iter().filter(|step| *step != Step::Opening) {
        if stop.load(Ordering::Relaxed) {
            comparison.measurement.interrupted = true;
            break;
        }
        course.enter(step.name(), step.seconds(extent));
        let taken = match step {
            Step::Opening => Ok(()),
            Step::Costs(store, topology) => costs(&workshop, (store, topology), extent, &mut found, &mut course),
            Step::Growth(store, method, size) => state::growth(&workshop, (store, method, size), extent, &mut course)
                .map(|growth| found.growth.push(growth)),
            Step::Behaviour => {
                course.part("", || behaviour(&workshop, options, &mut found));
                Ok(())
            }
        };
        let what = match step {
            Step::Costs(store, topology) => missing_at("cost", store, topology),
            Step::Growth(store, method, _) => {
                LeftOut { method: Some(method), ..missing_at("growth", store, Topology::One) }
            }
            Step::Opening | Step::Behaviour => continue,
        };
        found.unless_taken(what, taken);
    }
    finish(&mut comparison, found, extent, options);
    comparison.measurement.rounds = extent.rounds;
    comparison.measurement.round_seconds = extent.lasting.as_secs_f64();
    comparison.measurement.pinned = cores;
    comparison.measurement.seconds = course.seconds();
    comparison.measurement.phases = course.phases();
    if comparison.rows.is_empty() && !comparison.measurement.interrupted {
        let why = comparison.left_out.first().map_or_else(String::new, |left_out| left_out.why.clone());
        return Err(io::Error::other(format!("nothing could be measured: {why}")));
    }
    Ok(comparison)
}

/// What was tried; `None`: it broke off.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, io::Result<T>>) -> io::Result<T> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("it broke off")))
}

/// Counts bytes while the stores start.
fn opening(workshop: &mut Workshop, options: &Options, found: &mut Found) {
    let (postgres, redis, wire) = thread::scope(|scope| {
        let postgres = Postgres::installed().filter(|_| workshop.postgres.is_none());
        let postgres = postgres.map(|programs| scope.spawn(|| Postgres::start(programs)));
        let redis = Redis::installed().filter(|_| workshop.redis.is_none());
        let redis = redis.map(|program| scope.spawn(|| Redis::start(program)));
        let wire = wire::count(workshop, options.case.egress_price_per_gb);
        (postgres.map(joined), redis.map(joined), wire)
    });
    match wire {
        Ok(wire) => found.wire = wire,
        Err(error) => found.unless_taken(missing("wire"), Err(error)),
    }
    let mut absent = |what: &str, why: Option<io::Error>, remedy: &str| {
        let why = why.map_or_else(|| "not_installed".to_owned(), |error| error.to_string());
        found.left_out.push(LeftOut { why, remedy: remedy.to_owned(), ..missing(what) });
    };
    match postgres.transpose() {
        Ok(Some(postgres)) => workshop.postgres = Some(postgres),
        Ok(None) if workshop.postgres.is_some() => {}
        other => absent("postgres", other.err(), "install_postgres"),
    }
    match redis.transpose() {
        Ok(Some(redis)) => workshop.redis = Some(redis),
        Ok(None) if workshop.redis.is_some() => {}
        other => absent("redis", other.err(), "install_redis"),
    }
}

/// Most of it waits, so it is done at once.
fn behaviour(workshop: &Workshop, options: &Options, found: &mut Found) {
    use {Store as S, Topology as T};
    let extent = &options.extent;
    let kills = [(S::Memory, T::One), (S::Sqlite, T::One), (S::Redis, T::Shared), (S::Memory, T::Unshared)];
    thread::scope(|scope| {
        let theft = scope.spawn(|| theft::windows(workshop, extent));
        let feed_cut = workshop.postgres.as_ref().map(|_| scope.spawn(|| ending::feed_cut(workshop, extent)));
        let mut trials: Vec<(LeftOut, thread::ScopedJoinHandle<'_, _>)> = Vec::new();
        for key in [survival::SIGNING_KEY, survival::TICKET_KEY] {
            let killed = scope.spawn(move || survival::key_killed(workshop, &options.program, key, extent));
            trials.push((missing(key.event), killed));
        }
        for (store, topology) in kills.into_iter().filter(|(store, topology)| workshop.has(*store, *topology)) {
            let killed = scope.spawn(move || survival::server_killed(workshop, store, topology, extent));
            trials.push((missing_at("server_killed", store, topology), killed));
        }
        for store in [S::Postgres, S::Redis].into_iter().filter(|store| workshop.has(*store, T::One)) {
            let killed = scope.spawn(move || survival::store_killed(workshop, store, extent));
            trials.push((missing_at("store_killed", store, T::One), killed));
        }
        for (what, trial) in trials {
            let rows = joined(trial).map(|rows| found.survival.extend(rows));
            found.unless_taken(what, rows);
        }
        let theft = joined(theft).map(|windows| found.theft = windows);
        found.unless_taken(missing("theft"), theft);
        let cut = feed_cut.map_or(Ok(()), |cut| joined(cut).map(|cut| found.feed_cut = cut));
        found.unless_taken(missing("feed_cut"), cut);
    });
}

/// The rows of one store in one topology.
fn costs(
    workshop: &Workshop,
    (store, topology): (Store, Topology),
    extent: &Extent,
    found: &mut Found,
    course: &mut Course<'_>,
) -> io::Result<()> {
    let mut random = SplitMix(u64::from(std::process::id()) ^ found.rows.len() as u64);
    let mut rig = course.part("servers start", || workshop.build(store, topology))?;
    let costs = cost::measure(&mut rig, extent, &mut random, course)?;
    if store == Store::Memory && topology == Topology::One {
        found.mixtures = course.part("everything at once", || cost::mixtures(&mut rig, extent))?;
    }
    let lags = course.part("ends", || ending::lags(&mut rig, extent))?;
    let changed = course.part("a new password", || ending::after_password_change(&rig, extent))?;
    // A store's bytes do not depend on how many servers use it.
    let measured = found.rows.iter().any(|row| row.store == store);
    let state = if measured {
        None
    } else {
        Some(course.part("bytes per live login", || state::per_login(&mut rig, workshop, extent))?)
    };
    for (index, costs) in costs.iter().enumerate() {
        let known = |row: &&Row| row.store == store && row.method == costs.method;
        found.rows.push(Row {
            method: costs.method,
            store,
            topology,
            login: costs.login.0,
            verify: costs.verify.0,
            refresh: costs.refresh.map(|(cost, _)| cost),
            store_operations_per_1000: costs.store_operations,
            state_bytes_per_login: match &state {
                Some(state) => Some(state[index]),
                None => found.rows.iter().find(known).and_then(|row| row.state_bytes_per_login),
            },
            wire: found
                .wire
                .iter()
                .find(|page| page.method == costs.method)
                .map(|page| page.request)
                .unwrap_or_default(),
            wrong_refusals_per_1000: costs.verify.0.refused_per_1000,
            end_lag_ms: lags[index],
            theft_window_s: changed[index].max(lags[index].max / 1000.0),
        });
    }
    if store == Store::Memory && topology == Topology::One {
        found.costs = costs;
        found.state = state.unwrap_or_default();
    }
    Ok(())
}

fn finish(comparison: &mut Comparison, found: Found, extent: &Extent, options: &Options) {
    let more = |page: &WirePage| {
        let renewal = page.refresh_answer_bytes.map_or(0.0, |bytes| bytes as f64);
        [(page.request.request_bytes_http1 - page.bare[0]) as f64, renewal]
    };
    let wire: Vec<[f64; 2]> = found.wire.iter().map(more).collect();
    let memory: Vec<Growth> = found.growth.iter().filter(|growth| growth.store == Store::Memory).cloned().collect();
    let known = Known {
        costs: &found.costs,
        cache: extent.cache,
        growth: &memory,
        state: &found.state,
        wire: &wire,
        mixtures: &found.mixtures,
    };
    comparison.model = model::make(&known, &options.case);
    comparison.machine.noise = found.costs.iter().find_map(|costs| costs.noise);
    if found.growth.iter().any(|growth| growth.live_sessions > MOST_TOKENS) {
        let (why, remedy) = ("takes_minutes".to_owned(), "model".to_owned());
        comparison.left_out.push(LeftOut { why, remedy, ..missing("growth_of_tokens") });
    }
    comparison.verdict.recommended = advise::recommend(&options.case);
    comparison.left_out.extend(found.left_out);
    comparison.rows = found.rows;
    comparison.wire = found.wire;
    comparison.growth = found.growth;
    comparison.feed_cut = found.feed_cut;
    comparison.theft = found.theft;
    comparison.survival = found.survival;
}

/// The methods, in the order in which they are shown.
pub fn methods() -> impl Iterator<Item = Method> {
    METHODS.into_iter().map(|(method, ..)| method)
}

/// Where results go, if nothing else is said.
pub const DEFAULT_OUT: &str = "cloakroom-compare";
