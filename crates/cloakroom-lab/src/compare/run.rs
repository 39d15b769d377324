//! The order of work: what is there is found, rigs are built one after the other, and what cannot be measured is said.

use std::{
    io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use cloakroom_core::method::Method;
use tempfile::TempDir;

use super::{
    Comparison, Growth, LeftOut, Row, Store, Survival, Topology, WirePage,
    cost::{self, Costs, Mixture},
    ending,
    extent::Extent,
    machine,
    model::{self, Known},
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
}

/// What is being measured, and how far it is.
pub struct Progress<'p> {
    /// What.
    pub what: &'p str,
    /// The share that is done.
    pub done: f64,
    /// About how long the rest takes.
    pub left: Duration,
}

impl Progress<'_> {
    /// The share that is done, in thousandths.
    #[expect(clippy::cast_sign_loss, reason = "a share is not negative")]
    pub fn per_mille(&self) -> u64 {
        (self.done.clamp(0.0, 1.0) * 1000.0) as u64
    }
}

/// A piece of work, with about how many seconds it takes in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Wire,
    Costs(Store, Topology),
    Growth(Store, Method, usize),
    /// What hardly needs the processor, all at once.
    Behaviour,
    StoreKilled(Store),
}

impl Step {
    fn name(self) -> String {
        match self {
            Self::Wire => "bytes on the wire".to_owned(),
            Self::Costs(store, topology) => format!("cost: {}, {}", store.name(), topology.name()),
            Self::Growth(store, method, size) => format!("growth: {method}, {}, {size} live logins", store.name()),
            Self::Behaviour => "copied credentials, ends that cannot be heard, killed servers and keys".to_owned(),
            Self::StoreKilled(store) => format!("the store killed: {}", store.name()),
        }
    }

    fn weight(self) -> f64 {
        match self {
            Self::Wire => 1.0,
            Self::Costs(_, Topology::One) | Self::Behaviour => 30.0,
            Self::Costs(..) => 36.0,
            Self::Growth(_, _, size) => 6.0 + size as f64 / 40_000.0,
            Self::StoreKilled(_) => 7.0,
        }
    }
}

/// Tokens are made one by one; more of them than this take minutes.
const MOST_TOKENS: usize = 100_000;

fn steps(workshop: &Workshop, extent: &Extent) -> Vec<Step> {
    use {Store as S, Topology as T};
    let rigs = if extent.quick {
        vec![(S::Memory, T::One), (S::Sqlite, T::One), (S::Postgres, T::Shared), (S::Redis, T::Shared)]
    } else {
        let stores = [S::Memory, S::Sqlite, S::Postgres, S::Redis].map(|store| (store, T::One));
        let several = [(S::Postgres, T::Shared), (S::Redis, T::Shared), (S::Postgres, T::Sticky)];
        stores.into_iter().chain(several).collect()
    };
    let rigs = rigs.into_iter().chain([(S::Redis, T::Sticky), (S::Memory, T::Unshared)]);
    let mut steps = vec![Step::Wire];
    steps.extend(rigs.map(|(store, topology)| Step::Costs(store, topology)));
    let curves = [(S::Memory, Method::Session), (S::Memory, Method::Jwt), (S::Sqlite, Method::Session)];
    for (store, method) in curves.into_iter().take(if extent.quick { 2 } else { 3 }) {
        let sizes = extent.sizes.iter().filter(|size| !method.has_tokens() || **size <= MOST_TOKENS);
        steps.extend(sizes.map(|size| Step::Growth(store, method, *size)));
    }
    steps.push(Step::Behaviour);
    steps.extend([S::Postgres, S::Redis].map(Step::StoreKilled));
    steps.retain(|step| match step {
        Step::Costs(store, topology) => workshop.has(*store, *topology),
        Step::StoreKilled(store) => workshop.has(*store, Topology::One),
        _ => true,
    });
    steps
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

/// Measures. Broken off by `stop`, it answers what is whole.
///
/// # Errors
/// Where not even one server can be started, or its directory cannot be made.
pub fn run(options: &Options, progress: &dyn Fn(Progress<'_>), stop: &AtomicBool) -> io::Result<Comparison> {
    let began = Instant::now();
    let mut comparison = machine::blank(options);
    let extent = &options.extent;
    let dir = TempDir::with_prefix("cloakroom-compare-")?;
    let cores = machine::two_cores();
    let mut workshop = Workshop::new(options.program.clone(), dir.path().to_owned(), cores.map(|(server, _)| server))?;
    let mut found = Found::default();
    start_stores(&mut workshop, &mut found.left_out);
    if let Some((_, load)) = cores {
        pin(load)?;
    }
    let steps = steps(&workshop, extent);
    let all: f64 = steps.iter().map(|step| step.weight()).sum();
    let mut done = 0.0;
    for step in steps {
        if stop.load(Ordering::Relaxed) {
            comparison.measurement.interrupted = true;
            break;
        }
        let spent = began.elapsed().as_secs_f64();
        let whole = if extent.quick { 50.0 } else { 500.0 };
        let left = if done > all / 20.0 { spent / done * (all - done) } else { (whole - spent).max(0.0) };
        progress(Progress { what: &step.name(), done: done / all, left: Duration::from_secs_f64(left) });
        if let Err(error) = take(step, &mut workshop, extent, options, &mut found) {
            let remedy = "look at the reason, and run it again".to_owned();
            found.left_out.push(LeftOut { what: step.name(), why: error.to_string(), remedy });
        }
        done += step.weight();
    }
    progress(Progress { what: "the model", done: 1.0, left: Duration::ZERO });
    finish(&mut comparison, found, extent, options);
    comparison.measurement.rounds = extent.rounds;
    comparison.measurement.round_seconds = extent.lasting.as_secs_f64();
    comparison.measurement.pinned = cores;
    comparison.measurement.seconds = began.elapsed().as_secs_f64();
    if comparison.rows.is_empty() && !comparison.measurement.interrupted {
        let why = comparison.left_out.first().map_or_else(String::new, |left_out| left_out.why.clone());
        return Err(io::Error::other(format!("nothing could be measured: {why}")));
    }
    Ok(comparison)
}

fn start_stores(workshop: &mut Workshop, left_out: &mut Vec<LeftOut>) {
    let mut missing = |what: &str, why: String, remedy: &str| {
        left_out.push(LeftOut { what: what.to_owned(), why, remedy: remedy.to_owned() });
    };
    let several = "PostgreSQL, and with it every topology of three servers";
    let install = "install it (Debian: postgresql); it need not run";
    match Postgres::installed().map(Postgres::start) {
        Some(Ok(postgres)) => workshop.postgres = Some(postgres),
        Some(Err(error)) => missing(several, error.to_string(), install),
        None => missing(several, "it is not installed".to_owned(), install),
    }
    let install = "install it (Debian: redis-server, or valkey-server); it need not run";
    match Redis::installed().map(Redis::start) {
        Some(Ok(redis)) => workshop.redis = Some(redis),
        Some(Err(error)) => missing("Redis", error.to_string(), install),
        None => missing("Redis", "it is not installed".to_owned(), install),
    }
}

fn take(step: Step, workshop: &mut Workshop, extent: &Extent, options: &Options, found: &mut Found) -> io::Result<()> {
    match step {
        Step::Wire => found.wire = wire::count(workshop, options.case.egress_price_per_gb)?,
        Step::Costs(store, topology) => costs(workshop, store, topology, extent, found)?,
        Step::Growth(store, method, size) => {
            found.growth.push(state::growth(workshop, store, method, size, extent)?);
        }
        Step::Behaviour => behaviour(workshop, extent, options, found)?,
        Step::StoreKilled(store) => found.survival.extend(survival::store_killed(workshop, store, extent)?),
    }
    Ok(())
}

/// Most of it waits, so it is done at once.
fn behaviour(workshop: &Workshop, extent: &Extent, options: &Options, found: &mut Found) -> io::Result<()> {
    use {Store as S, Topology as T};
    let kills = [(S::Memory, T::One), (S::Sqlite, T::One), (S::Redis, T::Shared), (S::Memory, T::Unshared)];
    thread::scope(|scope| {
        let theft = scope.spawn(|| theft::windows(workshop, extent));
        let feed_cut = scope.spawn(|| match workshop.postgres {
            Some(_) => ending::feed_cut(workshop, extent),
            None => Ok(Vec::new()),
        });
        let killed = scope.spawn(|| {
            let mut all = survival::key_killed(workshop, &options.program, extent)?;
            for (store, topology) in kills.into_iter().filter(|(store, topology)| workshop.has(*store, *topology)) {
                all.extend(survival::server_killed(workshop, store, topology, extent)?);
            }
            io::Result::Ok(all)
        });
        let broken = |_| io::Error::other("it broke off");
        let (theft, feed_cut, killed) = (theft.join(), feed_cut.join(), killed.join());
        found.theft = theft.map_err(broken)??;
        found.feed_cut = feed_cut.map_err(broken)??;
        found.survival = killed.map_err(broken)??;
        Ok(())
    })
}

/// The rows of one store in one topology.
fn costs(
    workshop: &mut Workshop,
    store: Store,
    topology: Topology,
    extent: &Extent,
    found: &mut Found,
) -> io::Result<()> {
    let mut random = SplitMix(u64::from(std::process::id()) ^ found.rows.len() as u64);
    let mut rig = workshop.build(store, topology)?;
    let costs = cost::measure(&mut rig, extent, &mut random)?;
    if store == Store::Memory && topology == Topology::One {
        found.mixtures = cost::mixtures(&mut rig, extent)?;
    }
    let lags = ending::lags(&mut rig, extent)?;
    let changed = ending::after_password_change(&rig, extent)?;
    // A store's bytes do not depend on how many servers use it.
    let measured = found.rows.iter().any(|row| row.store == store);
    let state = if measured { None } else { Some(state::per_login(&mut rig, workshop, extent)?) };
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
        comparison.left_out.push(LeftOut {
            what: format!("growth of methods with tokens beyond {MOST_TOKENS} live logins"),
            why: "each token is signed by itself, which would take minutes".to_owned(),
            remedy: "their check needs no store: the model's extrapolation says what follows".to_owned(),
        });
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
