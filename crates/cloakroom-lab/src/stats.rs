//! Estimates with intervals. Rounds are paired: what ran in the same round is compared, and the interval is a bootstrap
//! over rounds (percentiles of resampled medians), which supposes nothing about how the noise is distributed.

use serde::{Deserialize, Serialize};

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Enough that the ends of the interval do not move in the second digit.
const RESAMPLES: usize = 4_000;

impl Estimate {
    /// A value that was counted, not estimated.
    pub const fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    /// The median of rounds.
    pub fn of(rounds: &[f64]) -> Self {
        let mut random = SplitMix(0x00c1_0a4b_0011);
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let mut drawn: Vec<f64> = rounds.iter().map(|_| rounds[random.below(rounds.len())]).collect();
                median(&mut drawn)
            })
            .collect();
        medians.sort_unstable_by(f64::total_cmp);
        let at = |per_mille: usize| medians[(RESAMPLES - 1) * per_mille / 1000];
        Self { value: median(&mut rounds.to_vec()), low: at(25), high: at(975) }
    }

    /// The median ratio of paired rounds.
    pub fn ratio(of: &[f64], to: &[f64]) -> Self {
        Self::of(&of.iter().zip(to).map(|(a, b)| a / b).collect::<Vec<_>>())
    }

    /// The median difference of paired rounds.
    pub fn difference(of: &[f64], from: &[f64]) -> Self {
        Self::of(&of.iter().zip(from).map(|(a, b)| a - b).collect::<Vec<_>>())
    }
}

/// The middle value; of none, not a number.
pub fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// A small repeatable generator: the same rounds give the same interval, and the same run the same order of requests.
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below a bound that is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.draw()) * bound as u128) >> 64) as usize
    }

    /// From 0 up to, but not including, 1.
    pub fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Ranks by Zipf's law with an exponent below 1, after Gray et al., "Quickly generating billion-record synthetic
/// databases" (1994), section 3.
pub struct Zipf {
    items: usize,
    exponent: f64,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

impl Zipf {
    /// For so many items; the exponent is above 0 and below 1.
    pub fn new(items: usize, exponent: f64) -> Self {
        let sum = |n: usize| (1..=n).map(|rank| (rank as f64).powf(-exponent)).sum::<f64>();
        let zeta = sum(items);
        let eta = (1.0 - (2.0 / items as f64).powf(1.0 - exponent)) / (1.0 - sum(2) / zeta);
        Self { items, exponent, alpha: 1.0 / (1.0 - exponent), zeta, eta }
    }

    /// A rank; 0 is the most frequent one.
    #[expect(clippy::cast_sign_loss, reason = "none of these is negative")]
    pub fn rank(&self, random: &mut SplitMix) -> usize {
        let u = random.unit();
        let scaled = u * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(self.exponent) {
            return 1;
        }
        let rank = self.items as f64 * (self.eta * u - self.eta + 1.0).powf(self.alpha);
        (rank as usize).min(self.items - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn an_estimate_of_equal_rounds_has_no_width() {
        assert_eq!(Estimate::of(&[2.0; 20]), Estimate::exact(2.0));
    }

    #[test]
    fn the_interval_covers_the_truth_and_not_much_else() {
        let mut random = SplitMix(7);
        let mut covered = 0;
        for _ in 0..100 {
            let rounds: Vec<f64> = (0..20).map(|_| 1.0 + (random.unit() - 0.5) * 0.1).collect();
            let estimate = Estimate::of(&rounds);
            covered += usize::from(estimate.low <= 1.0 && 1.0 <= estimate.high);
            assert!(estimate.high - estimate.low < 0.08);
        }
        assert!((88..=100).contains(&covered), "{covered}");
    }

    #[test]
    fn drift_that_falls_on_both_cancels_in_a_ratio() {
        let of: Vec<f64> = (1..=20).map(|n| 1.5 * f64::from(n)).collect();
        let to: Vec<f64> = (1..=20).map(f64::from).collect();
        let ratio = Estimate::ratio(&of, &to);
        assert!((ratio.value - 1.5).abs() < 1e-12 && (ratio.high - ratio.low).abs() < 1e-12);
    }

    #[test]
    fn zipf_prefers_the_first_ranks_as_its_law_says() {
        let (zipf, mut random) = (Zipf::new(1000, 0.99), SplitMix(1));
        let mut counts = vec![0_u32; 1000];
        for _ in 0..200_000 {
            counts[zipf.rank(&mut random)] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        assert!(counts[0] > counts[10] && counts[10] > counts[500]);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        SplitMix(3).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
