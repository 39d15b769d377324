//! The plan of a run: its steps, and about how many seconds each takes. Every other statement about time comes from here.

use cloakroom_core::method::Method;

use super::{Store, Topology, extent::Extent};
use crate::rig::METHODS;

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The bytes on the wire are counted while the stores start.
    Opening,
    /// The rows of a store in a topology.
    Costs(Store, Topology),
    /// A point of a curve.
    Growth(Store, Method, usize),
    /// What hardly needs the processor, all at once.
    Behaviour,
}

/// A password hash on one core of a usual machine.
const HASH: f64 = 0.1;
/// Tokens are made one by one; more of them than this take minutes.
pub(super) const MOST_TOKENS: usize = 100_000;

impl Step {
    pub(super) fn name(self) -> String {
        match self {
            Self::Opening => "bytes on the wire".to_owned(),
            Self::Costs(store, topology) => format!("cost: {}, {}", store.name(), topology.name()),
            Self::Growth(store, method, size) => format!("growth: {method}, {}, {size} live logins", store.name()),
            Self::Behaviour => {
                "copied credentials, ends that cannot be heard, killed servers, stores and keys".to_owned()
            }
        }
    }

    /// About how many seconds it takes: its windows, and what goes on between them.
    pub(super) fn seconds(self, extent: &Extent) -> f64 {
        let (rounds, lasting, methods) = (extent.rounds as f64, extent.lasting.as_secs_f64(), METHODS.len() as f64);
        match self {
            Self::Opening => 1.5,
            Self::Costs(store, topology) => {
                let login = extent.login_lasting.as_secs_f64().max(HASH * extent.hashing as f64);
                let windows =
                    methods * (2.0 * rounds * lasting + extent.login_rounds as f64 * login) + rounds * lasting;
                let ends = extent.ends as f64 * if topology == Topology::One { 0.01 } else { 0.06 };
                // Everything at once, and the most records to tell their bytes by.
                let more = if (store, topology) == (Store::Memory, Topology::One) { 2.0 } else { 0.5 };
                windows + ends + more + 1.5
            }
            Self::Growth(store, _, size) => {
                let filled = if store == Store::Memory { 60_000.0 } else { 20_000.0 };
                0.3 + (3.0 + 2.0 * rounds) * lasting + size as f64 / filled
            }
            Self::Behaviour => 5.0 + extent.watch.as_secs_f64(),
        }
    }
}

/// The steps for which there is what they need.
pub(super) fn steps(has: impl Fn(Store, Topology) -> bool, extent: &Extent) -> Vec<Step> {
    use {Store as S, Topology as T};
    let rigs = if extent.quick {
        vec![(S::Memory, T::One), (S::Sqlite, T::One), (S::Postgres, T::Shared), (S::Redis, T::Shared)]
    } else {
        let stores = [S::Memory, S::Sqlite, S::Postgres, S::Redis].map(|store| (store, T::One));
        let several = [(S::Postgres, T::Shared), (S::Redis, T::Shared), (S::Postgres, T::Sticky)];
        stores.into_iter().chain(several).collect()
    };
    let rigs = rigs.into_iter().chain([(S::Redis, T::Sticky), (S::Memory, T::Unshared)]);
    let rigs = rigs.filter(|(store, topology)| has(*store, *topology));
    let mut steps = vec![Step::Opening];
    steps.extend(rigs.map(|(store, topology)| Step::Costs(store, topology)));
    let curves = [(S::Memory, Method::Session), (S::Memory, Method::Jwt), (S::Sqlite, Method::Session)];
    for (store, method) in curves.into_iter().take(if extent.quick { 2 } else { 3 }) {
        let sizes = extent.sizes.iter().filter(|size| !method.has_tokens() || **size <= MOST_TOKENS);
        steps.extend(sizes.map(|size| Step::Growth(store, method, *size)));
    }
    steps.push(Step::Behaviour);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_form_is_planned_within_a_minute_and_the_full_one_within_ten() {
        let planned =
            |extent: &Extent| -> f64 { steps(|_, _| true, extent).into_iter().map(|step| step.seconds(extent)).sum() };
        let (quick, full) = (planned(&Extent::quick()), planned(&Extent::full()));
        assert!((30.0..55.0).contains(&quick), "{quick}");
        assert!((300.0..540.0).contains(&full), "{full}");
    }

    #[test]
    fn what_needs_a_store_is_left_where_there_is_none() {
        let alone = |store, topology| topology == Topology::One && matches!(store, Store::Memory | Store::Sqlite);
        let rigs: Vec<Step> = steps(alone, &Extent::full());
        let costs = rigs.iter().filter(|step| matches!(step, Step::Costs(..))).count();
        assert_eq!(costs, 2);
        assert!(rigs.contains(&Step::Behaviour));
    }
}
