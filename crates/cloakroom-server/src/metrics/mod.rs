//! Metrics for Prometheus: counts that other parts keep, read and written down when they are asked for.
//!
//! What there is stands in `families`, in `docs/metrics.md` with the same words, and nowhere else. Nothing here is on the way of a
//! verification: it has plain counters of its own in the core.

mod families;
mod process;
mod requests;
mod text;

use std::sync::{LazyLock, OnceLock};

use cloakroom_core::{
    engine::Engine,
    health::{Part, Whose},
    refusal::Code,
    store::{Gathered, Vitals},
    tasks,
};
use metrics::describe_counter;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use self::{
    families as f,
    text::{Family, Page},
};
pub(crate) use requests::{Requests, count_requests};

use crate::{log, state::ServerState, telemetry::Traces};

/// One recorder a process, for the refusals that the guards count; a second server in the same process shares it.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder; done before the first request.
pub(crate) fn install() {
    LazyLock::force(&process::BEGUN);
    RECORDER.get_or_init(|| {
        let handle = PrometheusBuilder::new().install_recorder().ok();
        describe_counter!(
            "cloakroom_refusals_total",
            "requests that were refused, by what the client and the operator are told"
        );
        handle
    });
}

/// The text that Prometheus reads.
pub(crate) fn render(state: &ServerState) -> String {
    let mut page = Page::default();
    verifications(&mut page, &state.engine);
    people(&mut page, &state.engine);
    health(&mut page, &state.engine);
    passwords(&mut page, &state.engine);
    stores(&mut page, &state.engine);
    page.one(&f::FEED_READERS, state.feed.readers() as f64);
    page.one(&f::FEED_DROPPED, state.feed.dropped() as f64);
    page.family(&f::HTTP_REQUESTS);
    for (request, times) in state.requests.counts() {
        page.times(&[request.method, &request.route, request.status], &times);
    }
    let (sent, lost) = state.traces.as_ref().map_or((0, 0), Traces::counts);
    page.one(&f::TRACES_SENT, sent as f64);
    page.one(&f::TRACES_LOST, lost as f64);
    page.family(&f::BUILD_INFO).sample(&[env!("CARGO_PKG_VERSION")], 1.0);
    process::render(&mut page);
    let mut text = page.into_text();
    text.extend(RECORDER.get().and_then(Option::as_ref).map(PrometheusHandle::render));
    text
}

fn verifications(page: &mut Page, engine: &Engine) {
    let counts = engine.verifier().counts();
    page.family(&f::VERIFICATIONS).sample(&["cache"], counts.warm as f64).sample(&["source"], counts.cold as f64);
    page.one(&f::VERIFICATIONS_REFUSED, counts.refused as f64);
    page.one(&f::VERIFICATIONS_UNDER_WAY, counts.under_way as f64);
    page.one(&f::CACHED_FACTS, counts.facts as f64);
    page.one(&f::ENDS_HELD, counts.ended as f64);
    page.one(&f::ENDS_CAPACITY, engine.settings().ended_capacity as f64);
    page.one(&f::ENDS_MARKED, counts.marks as f64);
    page.one(&f::MARKED_ASKED, counts.asked as f64);
    page.one(&f::LEASES_RENEWED, counts.leases as f64);
    // Without a lease its age grows without end.
    page.one(&f::LEASE_AGE, counts.lease_age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
    page.one(&f::CLOCK_OFFSET, counts.clock_offset.map_or(f64::NAN, |ms| ms as f64 / 1000.0));
    page.family(&f::REVOCATION_LAG).times(&[], &counts.lag);
    page.family(&f::KEY_AGE);
    for key in engine.key_ages() {
        page.sample(&[key.purpose.name()], key.age.as_secs_f64());
    }
}

fn people(page: &mut Page, engine: &Engine) {
    page.family(&f::SIGN_INS);
    for some in engine.sign_ins() {
        page.sample(&[some.app.as_str(), some.method.name(), outcome(some.refused)], some.count as f64);
    }
    page.family(&f::REFRESHES);
    for (refused, count) in engine.refreshes() {
        page.sample(&[outcome(refused)], count as f64);
    }
    page.family(&f::EVENTS);
    for (kind, count) in engine.audit().kinds() {
        page.sample(&[kind.as_str()], count as f64);
    }
    page.family(&f::LIMITS_HIT);
    for (limit, count) in engine.limited() {
        page.sample(&[limit.code()], count as f64);
    }
    let occupancy = engine.occupancy();
    page.family(&f::WORK_UNDER_WAY);
    for work in &occupancy {
        page.sample(&[work.kind], work.under_way as f64);
    }
    page.family(&f::WORK_WAITING);
    for work in &occupancy {
        page.sample(&[work.kind], work.waiting as f64);
    }
    page.family(&f::WORK_TURNED_AWAY);
    for work in &occupancy {
        page.sample(&[work.kind], work.turned_away as f64);
    }
    page.one(&f::AUDIT_WAITING, engine.audit().waiting() as f64);
    page.one(&f::AUDIT_DROPPED, engine.audit().dropped() as f64);
    page.one(&f::AUDIT_REFUSED, engine.audit().refused() as f64);
}

fn health(page: &mut Page, engine: &Engine) {
    let troubles = engine.health().troubles();
    page.family(&f::TROUBLES);
    for part in Part::ALL {
        for whose in [Whose::Own, Whose::Shared] {
            let count = troubles.iter().filter(|trouble| (trouble.part, trouble.whose) == (part, whose)).count();
            page.sample(&[part.name(), whose.name()], count as f64);
        }
    }
    page.family(&f::TASK_DEATHS);
    for (task, deaths) in tasks::failures() {
        page.sample(&[task], deaths as f64);
    }
    page.one(&f::LOG_LINES_LOST, log::lost() as f64);
}

fn passwords(page: &mut Page, engine: &Engine) {
    let passwords = engine.passwords();
    page.one(&f::HASHES, passwords.runs() as f64);
    page.one(&f::HASHES_TAKEN_OVER, passwords.taken_over() as f64);
    page.one(&f::HASHES_WAITING, passwords.queued() as f64);
    page.one(&f::HASHES_RUNNING, passwords.running() as f64);
    page.family(&f::HASH_WAIT).times(&[], &passwords.waits());
    page.family(&f::HASH_TIME).times(&[], &passwords.times());
}

fn stores(page: &mut Page, engine: &Engine) {
    let operations = engine.store_operations();
    page.family(&f::STORE_OPERATIONS);
    for one in &operations {
        page.times(&[one.port, one.operation], &one.times);
    }
    page.family(&f::STORE_FAILURES);
    for one in &operations {
        page.sample(&[one.port, one.operation], one.failed as f64);
    }
    let vitals = engine.store_vitals();
    let connections = || vitals.iter().filter_map(|(holds, vitals)| Some((*holds, vitals, vitals.connections?)));
    page.family(&f::STORE_CONNECTIONS);
    for (holds, Vitals { store, .. }, connections) in connections() {
        let states = [
            ("limit", connections.limit),
            ("open", connections.open),
            ("busy", connections.busy),
            ("overdue", connections.overdue),
        ];
        for (state, count) in states {
            page.sample(&[holds, store, state], count as f64);
        }
    }
    page.family(&f::STORE_CONNECTIONS_WAITING);
    for (holds, Vitals { store, .. }, connections) in connections() {
        page.sample(&[holds, store], connections.waiting as f64);
    }
    let writes = || vitals.iter().filter_map(|(holds, vitals)| Some(([*holds, vitals.store], vitals.writes?)));
    let reads = || vitals.iter().filter_map(|(holds, vitals)| Some(([*holds, vitals.store], vitals.reads?)));
    gathered(page, [&f::STORE_WRITES_WAITING, &f::STORE_BATCHES, &f::STORE_WRITES], writes);
    gathered(page, [&f::STORE_READS_WAITING, &f::STORE_READ_BATCHES, &f::STORE_READS], reads);
}

/// How many wait, how many batches there were, and how much was in them.
fn gathered<'a, I: Iterator<Item = ([&'a str; 2], Gathered)>>(
    page: &mut Page,
    [waiting, batches, operations]: [&'static Family; 3],
    of: impl Fn() -> I,
) {
    type Count = fn(Gathered) -> f64;
    let counts: [(&'static Family, Count); 3] = [
        (waiting, |gathered| gathered.waiting as f64),
        (batches, |gathered| gathered.batches as f64),
        (operations, |gathered| gathered.operations as f64),
    ];
    for (family, count) in counts {
        page.family(family);
        for (labels, gathered) in of() {
            page.sample(&labels, count(gathered));
        }
    }
}

fn outcome(refused: Option<Code>) -> &'static str {
    refused.map_or("ok", Code::as_str)
}
