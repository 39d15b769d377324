//! How far a run is: what the plan says, what each part really took, and what is left.

use std::time::{Duration, Instant};

use super::Phase;

/// What is being measured, and how far it is.
pub struct Progress<'p> {
    /// What.
    pub what: &'p str,
    /// The share that is done.
    pub done: f64,
    /// About how long the rest takes.
    pub left: Duration,
}

impl Progress<'_> {
    /// The share that is done, in thousandths.
    #[expect(clippy::cast_sign_loss, reason = "a share is not negative")]
    pub fn per_mille(&self) -> u64 {
        (self.done.clamp(0.0, 1.0) * 1000.0) as u64
    }
}

/// A run on its way.
pub(super) struct Course<'p> {
    progress: &'p dyn Fn(Progress<'_>),
    began: Instant,
    /// Planned seconds of all steps, and of those that are over.
    all: f64,
    over: f64,
    step: Current,
    phases: Vec<Phase>,
}

struct Current {
    name: String,
    planned: f64,
    began: Instant,
}

impl<'p> Course<'p> {
    /// Begins; `all`: the planned seconds of all steps.
    pub(super) fn begin(progress: &'p dyn Fn(Progress<'_>), all: f64) -> Self {
        let began = Instant::now();
        let step = Current { name: String::new(), planned: 0.0, began };
        Self { progress, began, all, over: 0.0, step, phases: Vec::new() }
    }

    /// The plan has changed.
    pub(super) fn replan(&mut self, all: f64) {
        self.all = all;
    }

    /// The next step, with its planned seconds; the one before it is over.
    pub(super) fn enter(&mut self, name: String, planned: f64) {
        self.over += self.step.planned;
        self.step = Current { name, planned, began: Instant::now() };
    }

    /// A part of the step.
    pub(super) fn part<T>(&mut self, part: &str, work: impl FnOnce() -> T) -> T {
        self.tell(part);
        let began = Instant::now();
        let made = work();
        let seconds = began.elapsed().as_secs_f64();
        self.phases.push(Phase { step: self.step.name.clone(), part: part.to_owned(), seconds });
        made
    }

    fn tell(&self, part: &str) {
        let done = self.over + self.step.began.elapsed().as_secs_f64().min(self.step.planned);
        let left = left(self.all, done, self.began.elapsed().as_secs_f64());
        let what = if part.is_empty() { self.step.name.clone() } else { format!("{}: {part}", self.step.name) };
        let done = if self.all > 0.0 { done / self.all } else { 0.0 };
        (self.progress)(Progress { what: &what, done, left: Duration::from_secs_f64(left) });
    }

    /// Seconds since it began.
    pub(super) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// What each part took, in seconds.
    pub(super) fn phases(self) -> Vec<Phase> {
        self.phases
    }
}

/// Seconds that are left: as planned at first, and the more is done, the more at the pace that was seen.
fn left(all: f64, done: f64, spent: f64) -> f64 {
    let trust = all / 10.0;
    let pace = if all > 0.0 { (spent + trust) / (done + trust) } else { 1.0 };
    (all - done).max(0.0) * pace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_the_plan_first_and_the_pace_later() {
        assert!((left(50.0, 0.0, 0.0) - 50.0).abs() < 1e-9);
        assert!((left(50.0, 25.0, 25.0) - 25.0).abs() < 1e-9, "as planned");
        let slow = left(50.0, 25.0, 50.0);
        assert!((40.0..50.0).contains(&slow), "half as fast: {slow}");
        assert!(left(50.0, 50.0, 70.0).abs() < 1e-9);
    }

    #[test]
    fn parts_are_told_and_timed_in_their_steps() {
        let told = std::cell::RefCell::new(Vec::new());
        let progress =
            |progress: Progress<'_>| told.borrow_mut().push((progress.what.to_owned(), progress.per_mille()));
        let mut course = Course::begin(&progress, 4.0);
        course.enter("one".to_owned(), 1.0);
        assert_eq!(course.part("a", || 7), 7);
        course.enter("two".to_owned(), 3.0);
        course.part("", || ());
        let phases = course.phases();
        assert_eq!(phases.iter().map(|phase| phase.step.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(*told.borrow(), [("one: a".to_owned(), 0), ("two".to_owned(), 250)]);
    }
}
