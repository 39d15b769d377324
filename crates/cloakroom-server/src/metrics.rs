//! Metrics for Prometheus: the engine's own counts, read when they are asked for, and the refusals by reason.

use std::sync::OnceLock;

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
    RECORDER.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
}
