//! What waits, what a thread is at, and which of it stands still.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::job::{Job, Task};

#[derive(Default)]
pub(super) struct State {
    queue: VecDeque<Arc<Job>>,
    runs: Vec<Run>,
    /// Whether the reserve is at a job that no other thread is at.
    reserve_runs: bool,
    /// Whether the reserve is awake, or will be in time to look again.
    watched: bool,
    pub(super) stopped: bool,
}

/// A job that a thread is at.
struct Run {
    job: Arc<Job>,
    begun: Instant,
    /// Whether the reserve has taken it over.
    taken_over: bool,
}

/// What the reserve is to do.
pub(super) enum Due {
    /// This job has stood still for too long.
    Now(Arc<Job>),
    /// Look again then.
    Later(Instant),
    /// Nothing can come to stand still.
    Never,
}

impl State {
    /// Takes a task in, and says whether the reserve must be told. Where there is no room, fails with the number of jobs
    /// that are waited for.
    pub(super) fn push(&mut self, task: Task, threads: usize, room: usize) -> Result<bool, usize> {
        // A job for which a thread is free takes none of the room, however long that thread needs to come for it.
        let room = room + threads.saturating_sub(self.runs.len());
        if self.queue.len() >= room {
            self.queue.retain(|job| !job.is_abandoned());
        }
        if self.queue.len() >= room {
            return Err(self.queue.len() + self.running());
        }
        self.queue.push_back(Job::new(task));
        Ok(!std::mem::replace(&mut self.watched, true))
    }

    /// The next job that somebody waits for; it runs until [`end`](Self::end).
    pub(super) fn begin(&mut self) -> Option<Arc<Job>> {
        let job = self.pop()?;
        self.runs.push(Run { job: Arc::clone(&job), begun: Instant::now(), taken_over: false });
        Some(job)
    }

    pub(super) fn end(&mut self, job: &Arc<Job>) {
        self.runs.retain(|run| !Arc::ptr_eq(&run.job, job));
    }

    /// What has stood still for longer than `patience`: at a thread that has begun it, or because no thread came for it
    /// though not all of them are getting on with something.
    pub(super) fn due(&mut self, now: Instant, patience: Duration, threads: usize) -> Due {
        self.reserve_runs = false;
        let mut next = None;
        let getting_on = self.runs.iter().filter(|run| !run.taken_over).count();
        if getting_on < threads {
            match self.queue.front().map(|job| job.queued + patience) {
                Some(due) if due <= now => {
                    if let Some(job) = self.pop() {
                        self.reserve_runs = true;
                        return Due::Now(job);
                    }
                }
                due => next = due,
            }
        }
        if let Some(run) = self.runs.iter_mut().filter(|run| !run.taken_over).min_by_key(|run| run.begun) {
            let due = run.begun + patience;
            if due <= now {
                run.taken_over = true;
                return Due::Now(Arc::clone(&run.job));
            }
            next = Some(next.map_or(due, |next| due.min(next)));
        }
        self.watched = next.is_some();
        next.map_or(Due::Never, Due::Later)
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.queue.clear();
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn running(&self) -> usize {
        self.runs.len() + usize::from(self.reserve_runs)
    }

    fn pop(&mut self) -> Option<Arc<Job>> {
        loop {
            let job = self.queue.pop_front()?;
            if !job.is_abandoned() {
                return Some(job);
            }
        }
    }
}
