//! Metrics for Prometheus: the engine's own counts, read when they are asked for, and the refusals by reason.

use std::{fmt::Write as _, sync::OnceLock};

use cloakroom_core::verify::{LAG_BOUNDS, LagCounts};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::state::ServerState;

/// One recorder a process; a second server in the same process shares it.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder; done before the first request.
pub(crate) fn install() {
    RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().ok());
}

/// The text that Prometheus reads.
pub(crate) fn render(state: &ServerState) -> String {
    let engine = &state.engine;
    let counts = engine.verifier().counts();
    counter!("cloakroom_verifications_total", "from" => "cache").absolute(counts.warm);
    counter!("cloakroom_verifications_total", "from" => "source").absolute(counts.cold);
    counter!("cloakroom_verifications_refused_total").absolute(counts.refused);
    counter!("cloakroom_leases_renewed_total").absolute(counts.leases);
    gauge!("cloakroom_cached_facts").set(counts.facts as f64);
    gauge!("cloakroom_ends_held").set(counts.ended as f64);
    gauge!("cloakroom_verifications_under_way").set(counts.under_way as f64);
    for work in engine.occupancy() {
        gauge!("cloakroom_work_under_way", "kind" => work.kind).set(work.under_way as f64);
        gauge!("cloakroom_work_waiting", "kind" => work.kind).set(work.waiting as f64);
        counter!("cloakroom_work_turned_away_total", "kind" => work.kind).absolute(work.turned_away);
    }
    counter!("cloakroom_password_hashes_total").absolute(engine.passwords().runs());
    gauge!("cloakroom_password_hashes_waiting").set(engine.passwords().queued() as f64);
    gauge!("cloakroom_password_hashes_running").set(engine.passwords().running() as f64);
    counter!("cloakroom_audit_lines_dropped_total").absolute(engine.audit().dropped());
    gauge!("cloakroom_audit_lines_waiting").set(engine.audit().waiting() as f64);
    // Without a lease its age grows without end.
    gauge!("cloakroom_lease_age_seconds").set(counts.lease_age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
    let mut text = RECORDER.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default();
    render_lag(&mut text, &counts.lag);
    text
}

/// How long ends that other servers wrote took to be heard. By hand, because it is counted elsewhere.
fn render_lag(text: &mut String, lag: &LagCounts) {
    const NAME: &str = "cloakroom_revocation_lag_seconds";
    let mut ends = 0;
    let _ = writeln!(text, "# TYPE {NAME} histogram");
    for (within, bound) in lag.within.iter().zip(LAG_BOUNDS) {
        ends += within;
        let _ = writeln!(text, "{NAME}_bucket{{le=\"{}\"}} {ends}", bound.as_secs_f64());
    }
    let _ = writeln!(text, "{NAME}_bucket{{le=\"+Inf\"}} {}", lag.ends);
    let _ = writeln!(text, "{NAME}_sum {}\n{NAME}_count {}", lag.total.as_secs_f64(), lag.ends);
}
