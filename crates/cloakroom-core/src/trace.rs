//! Traces: how long each part of one request took, for the few requests that are looked at.
//!
//! A face begins a [`Trace`] and does its work [within](Here::within) it; [`span`] and [`Here`] note what happens there. Whoever is in
//! no trace pays for a look at a task's local variable, and the warm path of a verification not even for that. An attribute is a
//! number or one of the program's own words, so that nothing of a request can get into one (F128).

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

use crate::random::Rng;

/// The most spans of a trace; what happens past them is left out.
pub const MOST_SPANS: usize = 64;

/// A trace that is being made.
pub struct Trace {
    id: [u8; 16],
    /// The wall clock when it began, and what later moments are measured from.
    begun: (u64, Instant),
    spans: Mutex<Vec<Span>>,
    rng: Rng,
}

/// A part of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Its own id.
    pub id: [u8; 8],
    /// The span that it is a part of; of the first one the caller's, if there is one.
    pub parent: Option<[u8; 8]>,
    /// What happened.
    pub name: Cow<'static, str>,
    /// From when, in nanoseconds since 1970.
    pub from: u64,
    /// Until when.
    pub to: u64,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Whether it came to nothing by a fault on this side.
    pub failed: bool,
}

/// What is known of a span: nothing that came from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attribute {
    /// One of the program's own words.
    Word(&'static str),
    /// A route's template.
    Route(String),
    /// A number.
    Number(i64),
}

/// A finished trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// Its id.
    pub id: [u8; 16],
    /// Its spans; the first one holds the others.
    pub spans: Vec<Span>,
}

/// A place in a trace, for work that goes on in another task or thread.
#[derive(Clone)]
pub struct Here {
    trace: Arc<Trace>,
    span: [u8; 8],
}

tokio::task_local! {
    static HERE: Here;
}

impl Trace {
    /// Begins a trace of its own, or one that continues a caller's.
    pub fn begin(caller: Option<([u8; 16], [u8; 8])>, rng: &Rng) -> (Arc<Self>, Here) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let id = caller.map_or_else(|| rng.bytes(), |(id, _)| id);
        let trace = Arc::new(Self { id, begun: (now, Instant::now()), spans: Mutex::default(), rng: rng.clone() });
        let root = Span {
            id: rng.bytes(),
            parent: caller.map(|(_, span)| span),
            name: Cow::Borrowed(""),
            from: now,
            to: now,
            attributes: Vec::new(),
            failed: false,
        };
        let here = Here { trace: Arc::clone(&trace), span: root.id };
        trace.spans.lock().push(root);
        (trace, here)
    }

    /// Ends it: the first span gets its name and what is known of it. What still goes on somewhere is left out.
    pub fn finish(
        &self,
        name: impl Into<Cow<'static, str>>,
        attributes: Vec<(&'static str, Attribute)>,
        failed: bool,
    ) -> Finished {
        let mut spans = std::mem::take(&mut *self.spans.lock());
        if let Some(root) = spans.first_mut() {
            (root.name, root.attributes, root.failed) = (name.into(), attributes, failed);
            root.to = self.at(Instant::now());
        }
        Finished { id: self.id, spans }
    }

    fn at(&self, moment: Instant) -> u64 {
        self.begun.0 + moment.saturating_duration_since(self.begun.1).as_nanos() as u64
    }
}

impl Here {
    /// Where this task is, if it is in a trace.
    pub fn get() -> Option<Self> {
        HERE.try_with(Clone::clone).ok()
    }

    /// Does work as a part of this span.
    pub async fn within<T>(self, work: impl Future<Output = T>) -> T {
        HERE.scope(self, work).await
    }

    /// Notes what began then and ends now, as a part of this span.
    pub fn note(&self, name: &'static str, begun: Instant) {
        self.add(self.trace.rng.bytes(), name, begun, Outcome::Done);
    }

    fn add(&self, id: [u8; 8], name: &'static str, begun: Instant, outcome: Outcome) {
        let (from, to) = (self.trace.at(begun), self.trace.at(Instant::now()));
        let mut spans = self.trace.spans.lock();
        // Of a trace that has been finished there is nothing left.
        if !spans.is_empty() && spans.len() < MOST_SPANS {
            let (parent, failed) = (Some(self.span), outcome == Outcome::Failed);
            spans.push(Span { id, parent, name: Cow::Borrowed(name), from, to, attributes: Vec::new(), failed });
        }
    }
}

/// Whether something came to nothing by a fault on this side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It did not.
    Done,
    /// It did.
    Failed,
}

/// Does work as a span of the trace that this task is in, if it is in one.
pub async fn span<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    span_of(name, work, |_| Outcome::Done).await
}

/// The same, where the result says how it went.
pub async fn span_of<T>(name: &'static str, work: impl Future<Output = T>, outcome: impl FnOnce(&T) -> Outcome) -> T {
    let Some(here) = Here::get() else { return work.await };
    let (id, begun) = (here.trace.rng.bytes(), Instant::now());
    let inner = Here { trace: Arc::clone(&here.trace), span: id };
    let done = inner.within(work).await;
    here.add(id, name, begun, outcome(&done));
    done
}

/// Does work that waits for nothing as such a span.
pub fn span_of_work<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    let Some(here) = Here::get() else { return work() };
    let begun = Instant::now();
    let done = work();
    here.note(name, begun);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn spans_lie_in_one_another() {
        let (trace, here) = Trace::begin(None, &Rng::seeded(1));
        here.within(span("outer", async {
            span("inner", async {}).await;
            span_of_work("noted", || ());
        }))
        .await;
        let Finished { spans, .. } = trace.finish("root", vec![], false);
        let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(named("outer").parent, Some(named("root").id));
        assert_eq!(named("inner").parent, Some(named("outer").id));
        assert_eq!(named("noted").parent, Some(named("outer").id));
        assert!(named("root").from <= named("inner").from && named("inner").to <= named("root").to);
    }

    #[tokio::test]
    async fn a_trace_is_bounded_and_over_when_it_is_finished() {
        let (trace, here) = Trace::begin(Some(([7; 16], [8; 8])), &Rng::seeded(1));
        let later = here.clone();
        here.within(async {
            for _ in 0..100 {
                span("one", async {}).await;
            }
        })
        .await;
        let finished = trace.finish("root", vec![], false);
        assert_eq!((finished.id, finished.spans[0].parent, finished.spans.len()), ([7; 16], Some([8; 8]), MOST_SPANS));
        later.note("late", Instant::now());
        assert_eq!(trace.finish("root", vec![], false).spans, []);
    }

    #[tokio::test]
    async fn outside_a_trace_nothing_is_noted() {
        assert_eq!(span("alone", async { 7 }).await, 7);
        assert_eq!(span_of_work("alone", || 7), 7);
        assert!(Here::get().is_none());
    }
}
