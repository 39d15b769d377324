//! The text form of metrics (Prometheus exposition format 0.0.4).

use std::fmt::Write as _;

use cloakroom_core::tally::TimeCounts;

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Metrics of one name. No label's value comes from outside, and each has few.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// A page of metrics, written family by family.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    family: Option<&'static Family>,
}

impl Page {
    /// Begins a family; the samples that follow are its own.
    pub(super) fn family(&mut self, family: &'static Family) -> &mut Self {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let Family { name, help, .. } = family;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self.family = Some(family);
        self
    }

    /// A family without labels.
    pub(super) fn one(&mut self, family: &'static Family, value: f64) {
        self.family(family).sample(&[], value);
    }

    /// A value, under values of the family's labels in their order.
    pub(super) fn sample(&mut self, labels: &[&str], value: f64) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    /// A histogram.
    pub(super) fn times<const N: usize>(&mut self, labels: &[&str], times: &TimeCounts<N>) {
        let mut sum = 0;
        for (within, bound) in times.within.iter().zip(times.bounds) {
            sum += within;
            self.line("_bucket", labels, Some(&bound.as_secs_f64().to_string()), sum as f64);
        }
        self.line("_bucket", labels, Some("+Inf"), times.count as f64);
        self.line("_sum", labels, None, times.total.as_secs_f64());
        self.line("_count", labels, None, times.count as f64);
    }

    /// All that was written.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, values: &[&str], le: Option<&str>, value: f64) {
        let Some(family) = self.family else { return };
        debug_assert_eq!(values.len(), family.labels.len(), "{}", family.name);
        let pairs = family.labels.iter().copied().zip(values.iter().copied()).chain(le.map(|bound| ("le", bound)));
        let _ = write!(self.text, "{}{suffix}", family.name);
        for (n, (name, value)) in pairs.enumerate() {
            let _ = write!(self.text, "{}{name}=\"{value}\"", if n == 0 { '{' } else { ',' });
        }
        if !family.labels.is_empty() || le.is_some() {
            self.text.push('}');
        }
        let _ = match value {
            f64::INFINITY => writeln!(self.text, " +Inf"),
            value => writeln!(self.text, " {value}"),
        };
    }
}
