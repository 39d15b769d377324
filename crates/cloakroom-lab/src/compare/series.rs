//! The rounds of one operation, and what they say of its cost.

use super::Cost;
use crate::{
    load::Sample,
    stats::{Estimate, median},
};

/// What one method's rounds gave.
#[derive(Default)]
pub(super) struct Series {
    cpu: Vec<f64>,
    rate: Vec<f64>,
    quantiles: [Vec<f64>; 4],
    answers: u64,
    refused: u64,
}

const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

impl Series {
    /// A round in a closed loop, and the CPU time that it took.
    pub(super) fn push_cost(&mut self, cpu_nanos: u64, sample: &Sample) {
        self.answers += sample.answers;
        self.refused += sample.answers - sample.with(200);
        if sample.answers > 0 {
            self.cpu.push(cpu_nanos as f64 / 1000.0 / sample.answers as f64);
            self.rate.push(sample.per_second());
        }
    }

    /// A round whose latency counts.
    pub(super) fn push_latency(&mut self, sample: &Sample) {
        for (values, quantile) in self.quantiles.iter_mut().zip(QUANTILES) {
            values.push(sample.micros(quantile));
        }
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        median(&mut self.rate.clone())
    }

    /// CPU time a request of each round, in microseconds.
    pub(super) fn cpu(&self) -> &[f64] {
        &self.cpu
    }

    /// How many were answered.
    pub(super) const fn answers(&self) -> u64 {
        self.answers
    }

    /// All of it, and the CPU time's interval.
    pub(super) fn cost(&self) -> (Cost, Estimate) {
        let cpu = Estimate::of(&self.cpu);
        let [p50_us, p90_us, p99_us, p999_us] = self.quantiles.each_ref().map(|values| median(&mut values.clone()));
        let spread = (cpu.high - cpu.low) / 2.0 / cpu.value;
        let refused_per_1000 = self.refused as f64 * 1000.0 / self.answers.max(1) as f64;
        let requests_per_second = self.rate();
        let cost = Cost {
            requests_per_second,
            cpu_us_per_request: cpu.value,
            p50_us,
            p90_us,
            p99_us,
            p999_us,
            spread,
            refused_per_1000,
        };
        (cost, cpu)
    }
}
