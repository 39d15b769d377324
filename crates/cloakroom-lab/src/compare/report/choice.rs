//! Which rows stand for the case: the topology that it has, and each method's best store in it.

use cloakroom_core::method::Method;

use crate::compare::{Comparison, Row, Store, Topology};

/// The topologies that the case allows, those that it wants most; `[One]` where it says nothing.
pub(super) fn topologies(comparison: &Comparison) -> &'static [Topology] {
    let servers = comparison.case.get("servers").and_then(serde_json::Value::as_u64).unwrap_or(1);
    let shared = comparison.case.get("shared_store").and_then(serde_json::Value::as_bool).unwrap_or(true);
    let wanted: &[Topology] = match (servers, shared) {
        (0..=1, _) => &[Topology::One],
        (_, true) => &[Topology::Shared, Topology::Sticky],
        (_, false) => &[Topology::Unshared],
    };
    // What could not be measured cannot stand for anything.
    if comparison.rows.iter().any(|row| wanted.contains(&row.topology)) { wanted } else { &ANY }
}

/// Of a method's rows the one with the least CPU time per verification, among those that keep sessions through a restart, if any
/// does.
pub(super) fn best(comparison: &Comparison, method: Method) -> Option<&Row> {
    let topologies = topologies(comparison);
    let rows = || comparison.rows.iter().filter(|row| row.method == method && topologies.contains(&row.topology));
    let lasting = rows().filter(|row| row.store != Store::Memory).min_by(|a, b| cheaper(a, b));
    lasting.or_else(|| rows().min_by(|a, b| cheaper(a, b)))
}

fn cheaper(a: &Row, b: &Row) -> std::cmp::Ordering {
    a.verify.cpu_us_per_request.total_cmp(&b.verify.cpu_us_per_request)
}

const ANY: [Topology; 4] = [Topology::One, Topology::Shared, Topology::Sticky, Topology::Unshared];
