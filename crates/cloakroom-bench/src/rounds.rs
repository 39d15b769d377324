//! Rounds of all that is compared, in ABBA order, so that drift falls on all alike. Among them is always one baseline twice,
//! in two processes: how far these two differ is what the machine's noise makes of nothing.

use std::{io, thread, time::Duration};

use crate::report::{Bound, Figure};
use cloakroom_lab::{
    load::{Client, Pace, Requests, Sample},
    stats::Estimate,
    subject::Process,
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    pub(crate) lasting: Duration,
    pub(crate) connections: usize,
    /// Sizes are cut down too: only to see that all works.
    pub(crate) quick: bool,
}

impl Extent {
    /// How often something happens in all rounds that happens so often a second.
    pub(crate) fn times(&self, per_second: usize) -> usize {
        let millis = self.lasting.as_millis() as usize * self.rounds;
        millis * per_second / 1000
    }
}

/// One of those that are compared.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) process: Process,
    pub(crate) requests: Requests,
}

/// What each round of one contender gave.
#[derive(Clone, Default)]
pub(crate) struct Series {
    /// CPU time a request, in microseconds.
    pub(crate) cpu: Vec<f64>,
    /// Requests a second.
    pub(crate) rate: Vec<f64>,
    /// Latency in microseconds.
    pub(crate) p50: Vec<f64>,
    pub(crate) p99: Vec<f64>,
}

impl Series {
    pub(crate) fn push(&mut self, cpu_nanos: u64, sample: &Sample) {
        self.cpu.push(cpu_nanos as f64 / 1000.0 / sample.answers as f64);
        self.rate.push(sample.per_second());
        self.p50.push(sample.micros(0.5));
        self.p99.push(sample.micros(0.99));
    }
}

impl Contender {
    /// One round; every answer must be a 200.
    pub(crate) fn round(&mut self, pace: Pace, extent: &Extent) -> io::Result<(u64, Sample)> {
        let mut client = Client::connect(self.process.address, extent.connections)?;
        // Connections are made, and first requests are read, before anything counts.
        client.run(&mut self.requests, pace, Duration::from_millis(20))?;
        settle();
        let before = self.process.cpu()?;
        let sample = client.run(&mut self.requests, pace, extent.lasting)?;
        settle();
        let spent = self.process.cpu()?.since(&before);
        sample.demand(200).map_err(|error| io::Error::other(format!("{}: {error}", self.name)))?;
        Ok((spent, sample))
    }
}

/// Rounds of all, there and back again. The first rounds warm up and do not count.
pub(crate) fn compare(contenders: &mut [Contender], pace: Pace, extent: &Extent) -> io::Result<Vec<Series>> {
    compare_beside(contenders, pace, extent, || Ok(()))
}

/// The same, with something else in the middle of each round.
pub(crate) fn compare_beside(
    contenders: &mut [Contender],
    pace: Pace,
    extent: &Extent,
    mut beside: impl FnMut() -> io::Result<()>,
) -> io::Result<Vec<Series>> {
    let mut series = vec![Series::default(); contenders.len()];
    for contender in contenders.iter_mut() {
        contender.round(pace, extent)?;
    }
    for round in 0..extent.rounds {
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for (turn, index) in order.into_iter().enumerate() {
            if turn == contenders.len() / 2 {
                beside()?;
            }
            let (spent, sample) = contenders[index].round(pace, extent)?;
            series[index].push(spent, &sample);
        }
    }
    Ok(series)
}

/// What the baseline against itself gave.
pub(crate) fn control(first: &Series, again: &Series) -> [Figure; 2] {
    [
        Figure::new("A/A control: CPU time, baseline / itself", Estimate::ratio(&again.cpu, &first.cpu), "×")
            .bound(Bound::Within(0.99, 1.01)),
        Figure::new("A/A control: p99, baseline / itself", Estimate::ratio(&again.p99, &first.p99), "×")
            .bound(Bound::Within(0.95, 1.05)),
    ]
}

/// The kernel counts a thread's time when it stops.
pub(crate) fn settle() {
    thread::sleep(Duration::from_millis(5));
}
