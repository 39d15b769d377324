//! Whether two measured costs differ, or only seem to.

use crate::{compare::Cost, stats::Estimate};

/// What two costs say about each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Difference {
    /// The first one is so many times the second.
    Seen(f64),
    /// Their spreads, or the machine's noise, are larger than what lies between them.
    NotSeen,
}

impl Difference {
    /// Of two CPU times per request: seen where their intervals lie apart by more than `noise`, the share by which the same work
    /// differed from itself. What was not measured, or in a single round only, shows no difference.
    pub fn between(of: &Cost, to: &Cost, noise: f64) -> Self {
        match (interval(of), interval(to)) {
            (Some(of), Some(to)) => Self::of_intervals(of, to, noise),
            _ => Self::NotSeen,
        }
    }

    /// Of two estimates.
    pub fn of_intervals(of: Estimate, to: Estimate, noise: f64) -> Self {
        let ratio = of.value / to.value;
        let apart = of.low > to.high || of.high < to.low;
        let measured = ratio.is_finite() && ratio > 0.0;
        if measured && apart && (ratio - 1.0).abs() > noise { Self::Seen(ratio) } else { Self::NotSeen }
    }
}

/// A cost's CPU time with its interval; `None` where one round is all there is, which has no spread.
pub(super) fn interval(cost: &Cost) -> Option<Estimate> {
    let (value, half) = (cost.cpu_us_per_request, cost.cpu_us_per_request * cost.spread);
    (cost.spread > 0.0 && half.is_finite()).then_some(Estimate { value, low: value - half, high: value + half })
}

/// The share by which the same work differed from itself; 0 where that was not measured.
pub(super) fn noise(estimate: Option<Estimate>) -> f64 {
    estimate.map_or(0.0, |noise| (noise.value - 1.0).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(cpu_us_per_request: f64, spread: f64) -> Cost {
        Cost { cpu_us_per_request, spread, ..Cost::default() }
    }

    #[test]
    fn what_lies_further_apart_than_both_spreads_is_seen() {
        assert_eq!(Difference::between(&cost(20.0, 0.1), &cost(10.0, 0.1), 0.0), Difference::Seen(2.0));
        assert_eq!(Difference::between(&cost(10.0, 0.1), &cost(20.0, 0.1), 0.0), Difference::Seen(0.5));
    }

    #[test]
    fn a_difference_smaller_than_the_spreads_is_not_seen() {
        assert_eq!(Difference::between(&cost(11.0, 0.06), &cost(10.0, 0.06), 0.0), Difference::NotSeen);
        assert_eq!(Difference::between(&cost(20.0, 0.6), &cost(10.0, 0.01), 0.0), Difference::NotSeen);
        assert_eq!(Difference::between(&cost(10.0, 0.01), &cost(10.0, 0.01), 0.0), Difference::NotSeen);
    }

    #[test]
    fn a_difference_smaller_than_the_machines_noise_is_not_seen() {
        let (a, b) = (cost(10.5, 0.001), cost(10.0, 0.001));
        assert_eq!(Difference::between(&a, &b, 0.0), Difference::Seen(1.05));
        assert_eq!(Difference::between(&a, &b, noise(Some(Estimate::exact(0.92)))), Difference::NotSeen);
    }

    #[test]
    fn a_single_round_shows_no_difference() {
        assert_eq!(Difference::between(&cost(20.0, 0.0), &cost(10.0, 0.01), 0.0), Difference::NotSeen);
        assert_eq!(Difference::between(&cost(20.0, 0.01), &cost(10.0, 0.0), 0.0), Difference::NotSeen);
    }

    #[test]
    fn what_was_not_measured_shows_no_difference() {
        for (a, b) in [
            (cost(10.0, f64::NAN), cost(20.0, 0.01)),
            (cost(f64::NAN, 0.01), cost(20.0, 0.01)),
            (cost(0.0, 0.01), cost(20.0, 0.01)),
        ] {
            assert_eq!(Difference::between(&a, &b, 0.0), Difference::NotSeen);
            assert_eq!(Difference::between(&b, &a, 0.0), Difference::NotSeen);
        }
    }
}
