//! Counts and times for operators: numbers that many tasks add to, and that are read when somebody asks.
//!
//! Nothing here is on the way of a warm verification, which has plain counters of its own.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

/// How often what happened. `K` has few values, as those of an enum have.
pub struct Tally<K>(Mutex<HashMap<K, u64>>);

impl<K: Eq + Hash + Clone> Tally<K> {
    /// Once more.
    pub fn add(&self, what: K) {
        *self.0.lock().entry(what).or_default() += 1;
    }

    /// All that happened at least once, in no order.
    pub fn counts(&self) -> Vec<(K, u64)> {
        self.0.lock().iter().map(|(what, count)| (what.clone(), *count)).collect()
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// The upper bounds of the classes that times are counted in, where nothing else is said; one more class has none.
pub const TIME_BOUNDS: [Duration; 12] = [
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Times, by classes whose bounds the reader knows.
pub struct Times<const N: usize = { TIME_BOUNDS.len() }> {
    bounds: &'static [Duration; N],
    within: [AtomicU64; N],
    count: AtomicU64,
    total_micros: AtomicU64,
}

/// What [`Times`] have counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeCounts<const N: usize = { TIME_BOUNDS.len() }> {
    /// The upper bounds of the classes, rising.
    pub bounds: &'static [Duration; N],
    /// Of each class alone.
    pub within: [u64; N],
    /// All of them, the longer ones too.
    pub count: u64,
    /// All of them together.
    pub total: Duration,
}

impl<const N: usize> Times<N> {
    /// None yet.
    pub fn new(bounds: &'static [Duration; N]) -> Self {
        let within = std::array::from_fn(|_| AtomicU64::new(0));
        Self { bounds, within, count: AtomicU64::new(0), total_micros: AtomicU64::new(0) }
    }

    /// Counts one.
    pub fn observe(&self, time: Duration) {
        if let Some(class) = self.bounds.iter().position(|bound| time <= *bound) {
            self.within[class].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.total_micros.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn counts(&self) -> TimeCounts<N> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TimeCounts {
            bounds: self.bounds,
            within: self.within.each_ref().map(load),
            count: load(&self.count),
            total: Duration::from_micros(load(&self.total_micros)),
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::new(&TIME_BOUNDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_the_first_class_that_holds_it() {
        let times = Times::default();
        for time in [Duration::ZERO, TIME_BOUNDS[0], TIME_BOUNDS[1], TIME_BOUNDS[11] * 2] {
            times.observe(time);
        }
        let counts = times.counts();
        assert_eq!(counts.within, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((counts.count, counts.total), (4, Duration::from_micros(10_000_600)));
    }

    #[test]
    fn the_bounds_rise() {
        assert!(TIME_BOUNDS.is_sorted() && crate::verify::LAG_BOUNDS.is_sorted());
    }
}
